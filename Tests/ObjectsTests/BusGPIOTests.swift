import Authority
import Glibc
import Instructions
import Linux
import Objects
import Testing

/// An edge as the object's 24 bytes tell it.
struct Edge: Equatable {
  var nanoseconds: UInt64
  var line: UInt32
  var kind: UInt32
  var sequence: UInt32
  var lineSequence: UInt32

  init(nanoseconds: UInt64, line: UInt32, kind: UInt32, sequence: UInt32, lineSequence: UInt32) {
    self.nanoseconds = nanoseconds
    self.line = line
    self.kind = kind
    self.sequence = sequence
    self.lineSequence = lineSequence
  }

  init?(_ bytes: [UInt8]) {
    guard bytes.count == 24 else { return nil }
    let number = { (range: Range<Int>) in bytes[range].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) } }
    self.init(
      nanoseconds: number(0..<8), line: UInt32(number(8..<12)), kind: UInt32(number(12..<16)),
      sequence: UInt32(number(16..<20)), lineSequence: UInt32(number(20..<24)))
  }
}

@Suite struct `A GPIO chip` {
  let clock: TestClock
  let buses: SimulatedBuses

  init() {
    let clock = TestClock()
    self.clock = clock
    buses = SimulatedBuses { clock.now }
  }

  @Test func `odd lines follow even ones`() throws {
    let chip = try simulated(.gpioChip, buses)
    #expect(chip.run(.read, length: 8) == (.done(8), [0, 0, 0, 0, 0, 0, 0, 0]))
    #expect(chip.run(.write, [1, 0, 0, 0, 1, 0, 0, 0]) == (.done(8), []))
    #expect(chip.run(.read, length: 8) == (.done(8), [1, 1, 0, 0, 1, 1, 0, 0]))
  }

  @Test func `what is written to an input has no effect`() throws {
    let chip = try simulated(.gpioChip, buses)
    #expect(chip.run(.write, [0, 1, 0, 1, 0, 1, 0, 1]).outcome == .done(8))
    #expect(chip.run(.read, length: 8).bytes == [0, 0, 0, 0, 0, 0, 0, 0])
  }

  @Test func `a read longer than there are lines gives the lines`() throws {
    let chip = try simulated(.gpioChip, buses)
    #expect(chip.run(.read, length: 100) == (.done(8), [0, 0, 0, 0, 0, 0, 0, 0]))
    #expect(chip.run(.read, length: 3) == (.done(3), [0, 0, 0]))
    #expect(chip.run(.read, length: 8, room: 7) == (.failed(EINVAL), []))
  }

  @Test(arguments: [[], [1], [1, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0, 0], [2, 0, 0, 0, 0, 0, 0, 0]])
  func `a write that is not one 0 or 1 for each line is EINVAL and changes nothing`(bytes: [UInt8]) throws {
    let chip = try simulated(.gpioChip, buses)
    #expect(chip.run(.write, bytes).outcome == .failed(EINVAL))
    #expect(chip.run(.read, length: 8).bytes == [0, 0, 0, 0, 0, 0, 0, 0])
  }

  @Test func `wait tells edges in the order in which they happened`() throws {
    let chip = try simulated(.gpioChip, buses)
    let start = clock.now
    #expect(chip.run(.wait).outcome == .wouldBlock(.readable))
    #expect(chip.run(.write, [0, 0, 1, 0, 0, 0, 0, 0]).outcome == .done(8))
    clock.advance(10)
    #expect(chip.run(.write, [1, 0, 1, 0, 0, 0, 0, 0]).outcome == .done(8))
    clock.advance(10)
    #expect(chip.run(.write, [1, 0, 0, 0, 0, 0, 0, 0]).outcome == .done(8))
    let first = chip.run(.wait)
    #expect(first.outcome == .done(24))
    #expect(Edge(first.bytes) == Edge(nanoseconds: start, line: 3, kind: 1, sequence: 1, lineSequence: 1))
    #expect(
      Edge(chip.run(.wait).bytes) == Edge(nanoseconds: start + 10, line: 1, kind: 1, sequence: 2, lineSequence: 1))
    #expect(
      Edge(chip.run(.wait).bytes) == Edge(nanoseconds: start + 20, line: 3, kind: 2, sequence: 3, lineSequence: 2))
    #expect(chip.run(.wait).outcome == .wouldBlock(.readable))
  }

  @Test func `the readiness is readable exactly while an edge waits`() throws {
    let chip = try simulated(.gpioChip, buses)
    let readiness = try #require(chip.readiness)
    #expect(try !pollReadable(readiness, milliseconds: 0))
    #expect(chip.run(.write, [1, 0, 0, 0, 0, 0, 1, 0]).outcome == .done(8))
    #expect(try pollReadable(readiness, milliseconds: 0))
    #expect(chip.run(.wait).outcome == .done(24))
    #expect(try pollReadable(readiness, milliseconds: 0))
    #expect(chip.run(.wait).outcome == .done(24))
    #expect(try !pollReadable(readiness, milliseconds: 0))
  }

  @Test func `writing the same value again is no edge`() throws {
    let chip = try simulated(.gpioChip, buses)
    #expect(chip.run(.write, [0, 0, 0, 0, 0, 0, 0, 0]).outcome == .done(8))
    #expect(chip.run(.wait).outcome == .wouldBlock(.readable))
  }

  @Test func `a full queue loses its oldest edges and their numbers show it`() throws {
    let chip = try simulated(.gpioChip, buses)
    for step in 0..<130 { #expect(chip.run(.write, [UInt8(1 - step % 2), 0, 0, 0, 0, 0, 0, 0]).outcome == .done(8)) }
    let edges = (0..<128).compactMap { _ in Edge(chip.run(.wait).bytes) }
    #expect(edges.map(\.sequence) == Array(3...130))
    #expect(chip.run(.wait).outcome == .wouldBlock(.readable))
  }

  @Test func `wait without room for an edge is EINVAL and the edge stays`() throws {
    let chip = try simulated(.gpioChip, buses)
    #expect(chip.run(.write, [1, 0, 0, 0, 0, 0, 0, 0]).outcome == .done(8))
    #expect(chip.run(.wait, room: 23) == (.failed(EINVAL), []))
    #expect(chip.run(.wait).outcome == .done(24))
  }

  @Test func `outputs keep their values from one holder to the next, without an edge`() throws {
    do {
      let first = try simulated(.gpioChip, buses)
      #expect(first.run(.write, [1, 0, 0, 0, 1, 0, 0, 0]).outcome == .done(8))
    }
    let second = try simulated(.gpioChip, buses)
    #expect(second.run(.read, length: 8).bytes == [1, 1, 0, 0, 1, 1, 0, 0])
    #expect(second.run(.wait).outcome == .wouldBlock(.readable))
  }

  @Test func `lines that somebody holds are EBUSY`() throws {
    let first = try simulated(.gpioChip, buses)
    #expect { try simulated(.gpioChip, buses) } throws: { ($0 as? SystemError)?.errno == EBUSY }
    #expect(first.run(.read, length: 1).outcome == .done(1))
  }

  @Test func `two holders of different lines see each other's levels`() throws {
    let chip = try BusDevice(.gpio, of: buses)
    let driver = try chip.gpioLines([4], outputs: 1, rising: false, falling: false)
    let listener = try chip.gpioLines([5, 7], outputs: 0, rising: false, falling: true)
    try driver.setGPIOValues(1, mask: 1)
    #expect(try listener.gpioValues(count: 2) == 1)
    #expect(try listener.nextGPIOEvent() == nil)
    try driver.setGPIOValues(0, mask: 1)
    let event = try listener.nextGPIOEvent()
    #expect(event == GPIOEvent(nanoseconds: clock.now, line: 5, isRising: false, sequence: 1, lineSequence: 1))
  }

  @Test func `an input cannot be set`() throws {
    let lines = try BusDevice(.gpio, of: buses).gpioLines([0, 1], outputs: 1, rising: false, falling: false)
    #expect { try lines.setGPIOValues(3, mask: 3) } throws: { ($0 as? SystemError)?.errno == EPERM }
    #expect(try lines.gpioValues(count: 2) == 0)
  }

  @Test(arguments: [[], [8], [0, 0], Array(0...64)])
  func `lines that cannot be taken are EINVAL and none is taken`(lines: [UInt32]) throws {
    let chip = try BusDevice(.gpio, of: buses)
    #expect { try chip.gpioLines(lines, outputs: 0, rising: false, falling: false) } throws: {
      ($0 as? SystemError)?.errno == EINVAL
    }
    #expect(throws: Never.self) {
      try chip.gpioLines(Array(0..<8), outputs: 0, rising: false, falling: false)
    }
  }

  @Test func `open files are given back`() throws {
    for _ in 0..<1000 { _ = try simulated(.gpioChip, buses) }
  }

  @Test(arguments: Opcode.allCases.filter { ![.read, .write, .wait].contains($0) })
  func `other operations do not exist`(opcode: Opcode) throws {
    #expect(!BusSpecification(device: .simulated(.gpioChip)).supports(opcode))
    #expect(try simulated(.gpioChip, buses).run(opcode, [0], length: 1) == (.failed(EINVAL), []))
  }

  @Test func `the footprint reaches from the first line to the last`() throws {
    #expect(try simulated(.gpioChip, buses).footprint?.range == ByteRange(offset: 0, length: 8))
  }
}
