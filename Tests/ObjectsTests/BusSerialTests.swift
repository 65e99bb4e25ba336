import Authority
import Foundation
import Instructions
import Linux
import Objects
import Testing

private func request(_ name: String, on bus: BusControl.Bus = .serial) throws -> UInt32 {
  try #require(BusControl(name: name, on: bus)).request
}

private func number(_ bytes: some Sequence<UInt8>) -> UInt32 {
  bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) }
}

/// Three bytes with pauses between them against a deadline that no busy machine reaches.
private func gathers(from writer: BusDevice, to reader: BusDevice) throws {
  Thread.detachNewThread {
    for byte: UInt8 in 1...3 {
      Thread.sleep(forTimeInterval: 0.05)
      _ = try? [byte].withRawSpan { try writer.write($0) }
    }
  }
  var buffer = MessageBuffer(capacity: 3)
  let start = Clock.monotonic()
  let count = try buffer.append { output in
    try reader.readArriving(upTo: 3, within: 60_000_000_000, into: &output)
  }
  #expect(count == 3)
  #expect(array(of: buffer) == [1, 2, 3])
  #expect(Clock.monotonic() - start < 30_000_000_000)
}

@Suite struct `A pair of simulated UARTs` {
  let buses = SimulatedBuses()

  @Test func `what one end writes the other reads, both ways`() throws {
    let a = try simulated(.uartA, buses)
    let b = try simulated(.uartB, buses)
    #expect(a.run(.write, [1, 0, 255]) == (.done(3), []))
    #expect(b.run(.write, [9]) == (.done(1), []))
    #expect(b.run(.read, length: 3) == (.done(3), [1, 0, 255]))
    #expect(a.run(.read, length: 1) == (.done(1), [9]))
  }

  @Test func `a read of bytes that are there does not leave the checking thread`() throws {
    let a = try simulated(.uartA, buses)
    let b = try simulated(.uartB, buses)
    #expect(a.run(.write, [1, 2, 3]).outcome == .done(3))
    #expect(b.run(.read, length: 2, blocking: false) == (.done(2), [1, 2]))
    #expect(b.run(.read, length: 2, blocking: false).outcome == .blocks)
  }

  @Test func `a read that has not all its bytes waits a second for the others`() throws {
    let a = try simulated(.uartA, buses)
    let b = try simulated(.uartB, buses)
    #expect(a.run(.write, [1, 2]).outcome == .done(2))
    let start = Clock.monotonic()
    #expect(b.run(.read, length: 10) == (.done(2), [1, 2]))
    #expect(Clock.monotonic() - start >= 1_000_000_000)
  }

  @Test func `a read gathers what arrives piece by piece and ends with its last byte`() throws {
    let a = try BusDevice(.uartA, of: buses)
    let b = try BusDevice(.uartB, of: buses)
    try gathers(from: a, to: b)
  }

  @Test func `a recall ends a read that waits, and nothing starts after it`() throws {
    let b = try BusObject.serial(BusDevice(.uartB, of: buses), waiting: 60_000_000_000)
    Thread.detachNewThread {
      Thread.sleep(forTimeInterval: 0.1)
      b.recall()
    }
    let start = Clock.monotonic()
    // Recalled before it started where the machine is that busy.
    #expect([.done(0), .failed(ESHUTDOWN)].contains(b.run(.read, length: 1).outcome))
    #expect(Clock.monotonic() - start < 30_000_000_000)
    for opcode in [Opcode.read, .write, .wait, .control] {
      #expect(b.run(opcode, [1]) == (.failed(ESHUTDOWN), []))
    }
  }

  @Test func `a full FIFO loses what comes after, and counts it`() throws {
    let a = try simulated(.uartA, buses)
    let b = try BusObject.open(
      BusSpecification(device: .simulated(.uartB), ioctls: []), simulation: buses)
    let sent = (0..<5000).map { UInt8(truncatingIfNeeded: $0) }
    #expect(a.run(.write, sent).outcome == .done(5000))
    let counters = b.run(.control, request: try request("TIOCGICOUNT"))
    #expect(counters.outcome == .done(0))
    try #require(counters.bytes.count == 80)
    // struct serial_icounter_struct: cts, dsr, rng, dcd, rx, tx, frame, overrun.
    #expect(number(counters.bytes[16..<20]) == 4096)
    #expect(number(counters.bytes[28..<32]) == 904)
    #expect(b.run(.read, length: 4096).bytes == Array(sent.prefix(4096)))
  }

  @Test func `bytes wait for a reader that opens later`() throws {
    do {
      let a = try simulated(.uartA, buses)
      #expect(a.run(.write, [7, 8]).outcome == .done(2))
    }
    #expect(try simulated(.uartB, buses).run(.read, length: 2) == (.done(2), [7, 8]))
  }

  @Test func `wait would block until a byte arrives, and the readiness says the same`() throws {
    let a = try simulated(.uartA, buses)
    let b = try simulated(.uartB, buses)
    let readiness = try #require(b.readiness)
    #expect(b.run(.wait).outcome == .wouldBlock(.readable))
    #expect(try !pollReadable(readiness, milliseconds: 0))
    #expect(a.run(.write, [1]).outcome == .done(1))
    #expect(try pollReadable(readiness, milliseconds: 0))
    #expect(b.run(.wait) == (.done(0), []))
    #expect(b.run(.read, length: 1).outcome == .done(1))
    #expect(try !pollReadable(readiness, milliseconds: 0))
  }

  @Test func `two holders of one end are both woken`() throws {
    let a = try simulated(.uartA, buses)
    let first = try simulated(.uartB, buses)
    let second = try simulated(.uartB, buses)
    #expect(first.footprint == second.footprint)
    #expect(first.footprint != a.footprint)
    #expect(a.run(.write, [1]).outcome == .done(1))
    #expect(try pollReadable(try #require(first.readiness), milliseconds: 0))
    #expect(try pollReadable(try #require(second.readiness), milliseconds: 0))
    #expect(second.run(.read, length: 1).outcome == .done(1))
    #expect(try !pollReadable(try #require(first.readiness), milliseconds: 0))
  }

  @Test func `no wake-up is lost between two threads`() throws {
    let a = try simulated(.uartA, buses)
    let b = try simulated(.uartB, buses)
    let rounds = 5000
    Thread.detachNewThread {
      for _ in 0..<rounds {
        guard let readiness = b.readiness, (try? pollReadable(readiness, milliseconds: 5000)) == true else { return }
        _ = b.run(.write, b.run(.read, length: 1, room: 1).bytes)
      }
    }
    let readiness = try #require(a.readiness)
    for round in 0..<rounds {
      let byte = UInt8(truncatingIfNeeded: round)
      _ = a.run(.write, [byte])
      try #require(try pollReadable(readiness, milliseconds: 5000), "round \(round)")
      try #require(a.run(.read, length: 1, room: 1).bytes == [byte], "round \(round)")
    }
  }

  @Test func `control passes requests with their bytes`() throws {
    let a = try simulated(.uartA, buses)
    let b = try simulated(.uartB, buses)
    #expect(a.run(.write, [1, 2, 3]).outcome == .done(3))
    #expect(b.run(.control, request: try request("FIONREAD")) == (.done(0), [3, 0, 0, 0]))
    #expect(b.run(.control, [0, 0, 0, 0], request: try request("TCFLSH")) == (.done(0), []))
    #expect(b.run(.control, request: try request("FIONREAD")) == (.done(0), [0, 0, 0, 0]))
    #expect(b.run(.control, [9, 0, 0, 0], request: try request("TCFLSH")) == (.failed(EINVAL), []))
    #expect(b.run(.control, request: try request("TIOCMGET")) == (.failed(ENOTTY), []))
  }

  @Test func `control with bytes of another size, or without room, is EINVAL`() throws {
    let b = try simulated(.uartB, buses)
    #expect(b.run(.control, [0, 0, 0], request: try request("FIONREAD")) == (.failed(EINVAL), []))
    #expect(b.run(.control, [0, 0, 0], request: try request("TCFLSH")) == (.failed(EINVAL), []))
    #expect(b.run(.control, request: try request("TCFLSH")) == (.failed(EINVAL), []))
    #expect(b.run(.control, request: try request("FIONREAD"), room: 3) == (.failed(EINVAL), []))
  }

  @Test(arguments: [0x5412, 0x402c_542b, 0x5402, 0x80045430, 0, .max] as [UInt32])
  func `a request outside the table is EINVAL and the device never sees it`(request: UInt32) throws {
    // TIOCSTI, TCSETS2, TCSETS, TIOCGPTN
    #expect(try simulated(.uartA, buses).run(.control, [1], request: request) == (.failed(EINVAL), []))
    #expect(throws: SystemError.invalid) {
      try BusObject.open(
        BusSpecification(
          device: .simulated(.uartA), ioctls: [ControlRequest(name: "X", request: request)]),
        simulation: buses)
    }
  }

  @Test(arguments: Opcode.allCases.filter { ![.read, .write, .wait, .control].contains($0) })
  func `other operations do not exist`(opcode: Opcode) throws {
    #expect(!BusSpecification(device: .simulated(.uartA)).supports(opcode))
    #expect(try simulated(.uartA, buses).run(opcode, [0], length: 1) == (.failed(EINVAL), []))
  }

  @Test func `its settings are those of the object while it is open and the old ones after`() throws {
    let tty = try BusDevice(.uartA, of: buses)
    let before = try tty.terminalSettings()
    #expect(!before.isRaw)
    do {
      let a = try simulated(.uartA, buses)
      let during = try tty.terminalSettings()
      #expect(during.isRaw && during.baud == 115200 && during.stopBits == 1 && during.parity == .none)
      withExtendedLifetime(a) {}
    }
    #expect(try tty.terminalSettings() == before)
  }
}

@Suite struct `A serial object on a real tty` {
  let buses = SimulatedBuses()
  let pty: Pseudoterminal

  init() throws { pty = try Pseudoterminal() }

  private func open(
    baud: UInt32 = 115200, parity: BusSpecification.Parity = .none, stopBits: UInt8 = 1,
    ioctls: [ControlRequest] = []
  ) throws -> any OpenObject {
    try BusObject.open(
      BusSpecification(
        device: .serial(path: pty.slavePath, baud: baud, parity: parity, stopBits: stopBits), ioctls: ioctls),
      simulation: buses)
  }

  @Test(arguments: [(9600, 1), (57600, 2), (123_457, 2), (4_000_000, 1)] as [(UInt32, UInt8)])
  func `the line has the settings while the object is open and the old ones after`(baud: UInt32, stopBits: UInt8)
    throws
  {
    let before = try pty.slave.terminalSettings()
    #expect(!before.isRaw)
    do {
      let serial = try open(baud: baud, stopBits: stopBits)
      let during = try pty.slave.terminalSettings()
      #expect(during.isRaw)
      #expect(during.baud == baud)
      #expect(during.stopBits == stopBits)
      #expect(during.dataBits == 8)
      withExtendedLifetime(serial) {}
    }
    #expect(try pty.slave.terminalSettings() == before)
  }

  @Test(arguments: [(0, 1), (9600, 0), (9600, 3)] as [(UInt32, UInt8)])
  func `settings that no line has are EINVAL and nothing is set`(baud: UInt32, stopBits: UInt8) throws {
    let before = try pty.slave.terminalSettings()
    #expect(throws: SystemError.invalid) { try open(baud: baud, stopBits: stopBits) }
    #expect(try pty.slave.terminalSettings() == before)
  }

  @Test func `parity goes into the settings that are asked for`() throws {
    let settings = try pty.slave.terminalSettings()
    #expect(settings.raw(baud: 9600, parity: .even, stopBits: 1).parity == .even)
    #expect(settings.raw(baud: 9600, parity: .odd, stopBits: 1).parity == .odd)
    #expect(settings.raw(baud: 9600, parity: .none, stopBits: 1).parity == .none)
    // The kernel keeps a pseudoterminal's parity off (drivers/tty/pty.c); that alone is no reason to refuse it.
    #expect(throws: Never.self) { try open(parity: .even) }
  }

  @Test func `a file that is no tty is ENOTTY`() {
    #expect {
      try BusObject.open(
        BusSpecification(device: .serial(path: "/dev/null", baud: 9600, parity: .none, stopBits: 1)),
        simulation: buses)
    } throws: { ($0 as? SystemError)?.errno == ENOTTY }
  }

  @Test func `every byte passes both ways untouched`() throws {
    let serial = try open()
    let all = Array(UInt8.min ... .max)
    #expect(serial.run(.write, all).outcome == .done(256))
    var arrived = MessageBuffer(capacity: 256)
    _ = try arrived.append { output in
      try pty.master.readArriving(upTo: 256, within: 1_000_000_000, into: &output)
    }
    #expect(array(of: arrived) == all)
    #expect(try all.withRawSpan { try pty.master.write($0) } == 256)
    #expect(serial.run(.read, length: 256) == (.done(256), all))
  }

  @Test func `a read waits a second for what arrives, perhaps nothing`() throws {
    let serial = try open()
    let start = Clock.monotonic()
    #expect(serial.run(.read, length: 5) == (.done(0), []))
    #expect(Clock.monotonic() - start >= 1_000_000_000)
  }

  @Test func `a read gathers what arrives piece by piece and ends with its last byte`() throws {
    let serial = try open()
    try gathers(from: pty.master, to: pty.slave)
    withExtendedLifetime(serial) {}
  }

  @Test func `a line that nobody reads takes what fits, then would block`() throws {
    let serial = try open()
    let chunk = [UInt8](repeating: 0x55, count: 4096)
    var last = serial.run(.write, chunk).outcome
    #expect(last == .done(4096))
    for _ in 0..<1000 {
      guard case .done = last else { break }
      last = serial.run(.write, chunk).outcome
    }
    #expect(last == .wouldBlock(.writable))
  }

  @Test func `wait and its readiness follow the line`() throws {
    let serial = try open()
    let readiness = try #require(serial.readiness)
    #expect(serial.run(.wait).outcome == .wouldBlock(.readable))
    #expect(try !pollReadable(readiness, milliseconds: 0))
    _ = try [1].withRawSpan { try pty.master.write($0) }
    #expect(try pollReadable(readiness, milliseconds: 1000))
    #expect(serial.run(.wait).outcome == .done(0))
  }

  @Test func `control runs on a pool thread and reaches the tty`() throws {
    let count = try #require(BusControl(name: "FIONREAD", on: .serial))
    let serial = try open(ioctls: [ControlRequest(name: count.name, request: count.request)])
    #expect(serial.run(.control, request: count.request, blocking: false).outcome == .blocks)
    _ = try [1, 2].withRawSpan { try pty.master.write($0) }
    #expect(try pollReadable(try #require(serial.readiness), milliseconds: 1000))
    #expect(serial.run(.control, request: count.request) == (.done(0), [2, 0, 0, 0]))
  }

  @Test func `the footprint is the device number`() throws {
    let serial = try open()
    #expect(serial.footprint?.device.inode == 0)
    #expect(serial.footprint == (try open()).footprint)
    #expect(serial.footprint?.range == nil)
  }
}

@Suite struct `A serial object whose line hangs up` {
  @Test func `reads nothing, at once, and wait ends`() throws {
    var pty: Pseudoterminal? = try Pseudoterminal()
    let path = try #require(pty?.slavePath)
    let serial = try BusObject.open(
      BusSpecification(device: .serial(path: path, baud: 9600, parity: .none, stopBits: 1)),
      simulation: SimulatedBuses())
    pty = nil
    let start = Clock.monotonic()
    #expect(serial.run(.wait).outcome == .done(0))
    let read = serial.run(.read, length: 5)
    #expect([.done(0), .failed(EIO)].contains(read.outcome))
    #expect(serial.run(.write, [1]).outcome == .failed(EIO))
    #expect(Clock.monotonic() - start < 900_000_000)
  }
}
