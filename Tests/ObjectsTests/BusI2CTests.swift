import Authority
import Glibc
import Instructions
import Linux
import Objects
import Testing

@Suite struct `A two-wire bus` {
  let clock: TestClock
  let buses: SimulatedBuses

  init() {
    let clock = TestClock()
    self.clock = clock
    buses = SimulatedBuses { clock.now }
  }

  /// Lets the EEPROM finish.
  func settle() { clock.advance(5_000_000) }

  @Test func `an empty EEPROM reads ff everywhere and rolls over at its end`() throws {
    let eeprom = try simulated(.eeprom, buses)
    let read = eeprom.transfer([0xf0], read: 300)
    #expect(read.outcome == .done(300))
    #expect(read.bytes == Array(repeating: 0xff, count: 300))
  }

  @Test func `an EEPROM write wraps at the end of its page`() throws {
    let eeprom = try simulated(.eeprom, buses)
    #expect(eeprom.transfer([0x0e, 1, 2, 3, 4]).outcome == .done(0))
    settle()
    let read = eeprom.transfer([0x06], read: 12)
    #expect(read.bytes == [0xff, 0xff, 3, 4, 0xff, 0xff, 0xff, 0xff, 1, 2, 0xff, 0xff])
  }

  @Test func `of more than a page the last bytes stay`() throws {
    let eeprom = try simulated(.eeprom, buses)
    #expect(eeprom.transfer([0x10] + (1...11)).outcome == .done(0))
    settle()
    #expect(eeprom.transfer([0x10], read: 9).bytes == [9, 10, 11, 4, 5, 6, 7, 8, 0xff])
  }

  @Test func `an EEPROM does not acknowledge for 5 ms while it writes`() throws {
    let eeprom = try simulated(.eeprom, buses)
    #expect(eeprom.transfer([0, 0x55]).outcome == .done(0))
    #expect(eeprom.transfer([]).outcome == .failed(ENXIO))
    #expect(eeprom.transfer([0], read: 1).outcome == .failed(ENXIO))
    clock.advance(4_999_999)
    #expect(eeprom.transfer([]).outcome == .failed(ENXIO))
    clock.advance(1)
    #expect(eeprom.transfer([]).outcome == .done(0))
    #expect(eeprom.transfer([0], read: 1).bytes == [0x55])
  }

  @Test func `setting the address alone starts no write cycle`() throws {
    let eeprom = try simulated(.eeprom, buses)
    #expect(eeprom.transfer([7]).outcome == .done(0))
    #expect(eeprom.transfer([], read: 1).outcome == .done(1))
  }

  @Test func `a repeated start drops what the EEPROM was to write`() throws {
    let eeprom = try simulated(.eeprom, buses)
    #expect(eeprom.transfer([0x20, 0xaa], read: 1).outcome == .done(1))
    #expect(eeprom.transfer([0x20], read: 1).bytes == [0xff])
  }

  @Test func `an EEPROM that writes does not hold up the other chips`() throws {
    let eeprom = try simulated(.eeprom, buses)
    let registers = try simulated(.registerFile, buses)
    #expect(eeprom.transfer([0, 1]).outcome == .done(0))
    #expect(registers.transfer([0x10, 9]).outcome == .done(0))
    #expect(registers.transfer([0x10], read: 1).bytes == [9])
  }

  @Test func `random EEPROM transfers agree with a plain model`() throws {
    let eeprom = try simulated(.eeprom, buses)
    let seed = UInt64.random(in: .min ... .max)
    var random = SeededGenerator(seed: seed)
    var model = [UInt8](repeating: 0xff, count: 256)
    for step in 0..<2000 {
      let address = UInt8.random(in: .min ... .max, using: &random)
      if Bool.random(using: &random) {
        let data = (0..<Int.random(in: 1...20, using: &random)).map { _ in
          UInt8.random(in: .min ... .max, using: &random)
        }
        for (index, byte) in data.enumerated() {
          model[Int(address) / 8 * 8 + (Int(address) + index) % 8] = byte
        }
        #expect(eeprom.transfer([address] + data).outcome == .done(0), "seed \(seed) step \(step)")
        settle()
      } else {
        let count = Int.random(in: 1...300, using: &random)
        let expected = (0..<count).map { model[(Int(address) + $0) % 256] }
        try #require(eeprom.transfer([address], read: count).bytes == expected, "seed \(seed) step \(step)")
      }
    }
  }

  @Test func `registers count on through writes and reads and round the end`() throws {
    let registers = try simulated(.registerFile, buses)
    #expect(registers.transfer([0xfe, 1, 2, 3]).outcome == .done(0))
    #expect(registers.transfer([0xfd], read: 5).bytes == [0, 1, 2, 3, 0])
    #expect(registers.transfer([0xfe]).outcome == .done(0))
    #expect(registers.transfer([], read: 1).bytes == [1])
    #expect(registers.transfer([], read: 2).bytes == [2, 3])
  }

  @Test func `state outlives the objects that made it`() throws {
    do {
      let first = try simulated(.eeprom, buses)
      #expect(first.transfer([0x40, 0xca, 0xfe]).outcome == .done(0))
    }
    settle()
    let second = try simulated(.eeprom, buses)
    #expect(second.transfer([0x40], read: 2).bytes == [0xca, 0xfe])
    let another = SimulatedBuses()
    #expect(try simulated(.eeprom, another).transfer([0x40], read: 2).bytes == [0xff, 0xff])
  }

  @Test func `a temperature sensor tells 25 degrees at power-on`() throws {
    let sensor = try simulated(.temperatureSensor, buses)
    #expect(sensor.transfer([0], read: 2).bytes == [0x19, 0x00])
  }

  @Test(
    arguments: [
      (0, [0x00, 0x00]), (500, [0x00, 0x80]), (-500, [0xff, 0x80]), (-25000, [0xe7, 0x00]), (124_900, [0x7c, 0x80]),
      (-100, [0xff, 0x80]), (999_999, [0x7d, 0x00]), (-999_999, [0xc9, 0x00]),
    ] as [(Int32, [UInt8])])
  func `a temperature is nine bits of half a degree`(milli: Int32, bytes: [UInt8]) throws {
    let sensor = try simulated(.temperatureSensor, buses)
    buses.setTemperature(milliCelsius: milli)
    #expect(sensor.transfer([0], read: 2).bytes == bytes)
  }

  @Test func `the sensor's pointer stays between transfers`() throws {
    let sensor = try simulated(.temperatureSensor, buses)
    #expect(sensor.transfer([3]).outcome == .done(0))
    #expect(sensor.transfer([], read: 2).bytes == [0x50, 0x00])
    #expect(sensor.transfer([], read: 2).bytes == [0x50, 0x00])
    #expect(sensor.transfer([2], read: 2).bytes == [0x4b, 0x00])
  }

  @Test func `the sensor's limits keep nine bits and its configuration five`() throws {
    let sensor = try simulated(.temperatureSensor, buses)
    #expect(sensor.transfer([3, 0x12, 0xff]).outcome == .done(0))
    #expect(sensor.transfer([3], read: 2).bytes == [0x12, 0x80])
    #expect(sensor.transfer([1, 0xfe]).outcome == .done(0))
    #expect(sensor.transfer([1], read: 1).bytes == [0x1e])
  }

  @Test func `the temperature register cannot be written`() throws {
    let sensor = try simulated(.temperatureSensor, buses)
    #expect(sensor.transfer([0, 0x11, 0x80]).outcome == .done(0))
    #expect(sensor.transfer([0], read: 2).bytes == [0x19, 0x00])
  }

  @Test func `a sensor that is shut down keeps its last conversion`() throws {
    let sensor = try simulated(.temperatureSensor, buses)
    #expect(sensor.transfer([1, 1]).outcome == .done(0))
    buses.setTemperature(milliCelsius: 30000)
    #expect(sensor.transfer([0], read: 2).bytes == [0x19, 0x00])
    #expect(sensor.transfer([1, 0]).outcome == .done(0))
    #expect(sensor.transfer([0], read: 2).bytes == [0x1e, 0x00])
  }

  @Test func `a write longer than the adapter takes is EINVAL and changes nothing`() throws {
    let registers = try simulated(.registerFile, buses)
    #expect(registers.transfer([0] + Array(repeating: 7, count: 8192)).outcome == .failed(EINVAL))
    #expect(registers.transfer([0], read: 1).bytes == [0])
    #expect(registers.transfer([0] + Array(repeating: 7, count: 8191)).outcome == .done(0))
    #expect(registers.transfer([0], read: 1).bytes == [7])
  }

  @Test func `a read without room is EINVAL and does not move the pointer`() throws {
    let registers = try simulated(.registerFile, buses)
    #expect(registers.transfer([5, 1]).outcome == .done(0))
    #expect(registers.transfer([5]).outcome == .done(0))
    #expect(registers.run(.transfer, length: 9, room: 8) == (.failed(EINVAL), []))
    #expect(registers.transfer([], read: 8193).outcome == .failed(EINVAL))
    #expect(registers.transfer([], read: 1).bytes == [1])
  }

  @Test(arguments: Opcode.allCases.filter { $0 != .transfer })
  func `only transfer exists`(opcode: Opcode) throws {
    for device in [SimulatedDevice.registerFile, .eeprom, .temperatureSensor] {
      #expect(!BusSpecification(device: .simulated(device)).supports(opcode))
      #expect(try simulated(device, buses).run(opcode, [0], length: 1) == (.failed(EINVAL), []))
    }
  }

  @Test(arguments: [("/dev/i2c-none", ENOENT), ("/dev/null", ENOTTY), ("/etc/passwd", ENOTTY)])
  func `what is no adapter is not opened`(path: String, errno: Int32) {
    #expect {
      try BusObject.open(BusSpecification(device: .i2c(path: path, address: 0x48)), simulation: buses)
    } throws: { [errno, EACCES].contains(($0 as? SystemError)?.errno) }
  }

  @Test func `a path with a zero byte is EINVAL, not what stands before it`() {
    #expect(throws: SystemError(errno: EINVAL, operation: "open", path: "/dev/null\0")) {
      try BusDevice(path: "/dev/null\0")
    }
  }

  @Test func `an address of eleven bits is EINVAL, and one of ten bits goes out as such`() throws {
    #expect(throws: SystemError.invalid) { try BusObject.i2c(BusDevice(.i2c, of: buses), address: 0x400) }
    // The simulated adapter has no addresses of ten bits, and says so.
    let slave = try BusObject.i2c(BusDevice(.i2c, of: buses), address: 0x3ff)
    #expect(slave.transfer([0]).outcome == .failed(EOPNOTSUPP))
  }

  @Test func `nothing reaches a chip after a recall`() throws {
    let registers = try simulated(.registerFile, buses)
    registers.recall()
    #expect(registers.transfer([0, 1]) == (.failed(ESHUTDOWN), []))
    #expect(try simulated(.registerFile, buses).transfer([0], read: 1).bytes == [0])
  }

  @Test func `a chip that is not there does not acknowledge`() throws {
    let adapter = try BusDevice(.i2c, of: buses)
    let slave = try BusObject.i2c(adapter, address: 0x51)
    #expect(slave.transfer([0], read: 1) == (.failed(ENXIO), []))
  }

  @Test func `slaves on one bus have different footprints and one slave has one`() throws {
    let eeprom = try simulated(.eeprom, buses)
    #expect(eeprom.footprint == (try simulated(.eeprom, buses)).footprint)
    #expect(eeprom.footprint != (try simulated(.registerFile, buses)).footprint)
    #expect(eeprom.footprint?.range == ByteRange(offset: 0x50, length: 1))
  }
}
