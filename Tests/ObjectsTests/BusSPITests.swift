import Authority
import Glibc
import Instructions
import Linux
import Objects
import Testing

@Suite struct `An SPI loopback` {
  let buses = SimulatedBuses()

  @Test func `what is read came in while zero bytes went out`() throws {
    let loopback = try simulated(.spiLoopback, buses)
    #expect(loopback.transfer([0xaa, 0xbb], read: 3) == (.done(3), [0, 0, 0]))
  }

  @Test func `a write alone reads nothing`() throws {
    let loopback = try simulated(.spiLoopback, buses)
    #expect(loopback.transfer([1, 2, 3]) == (.done(0), []))
  }

  @Test func `nothing to send is EINVAL`() throws {
    #expect(try simulated(.spiLoopback, buses).transfer([]) == (.failed(EINVAL), []))
  }

  @Test func `one transfer has the driver's buffer and no byte more`() throws {
    let loopback = try simulated(.spiLoopback, buses)
    #expect(loopback.transfer(Array(repeating: 1, count: 4000), read: 96).outcome == .done(96))
    #expect(loopback.transfer(Array(repeating: 1, count: 4000), read: 97) == (.failed(EMSGSIZE), []))
  }

  @Test func `a read without room is EINVAL`() throws {
    let loopback = try simulated(.spiLoopback, buses)
    #expect(loopback.run(.transfer, [1], length: 9, room: 8) == (.failed(EINVAL), []))
  }

  @Test func `the loopback's data line in is its data line out`() throws {
    let device = try BusDevice(.spi, of: buses)
    try device.spiConfigure(mode: 3, speed: 500_000, bits: 8)
    #expect(try device.spiExchange([0x12, 0x34, 0x56]) == [0x12, 0x34, 0x56])
  }

  @Test func `words of sixteen bits go in whole words only`() throws {
    let device = try BusDevice(.spi, of: buses)
    try device.spiConfigure(mode: 0, speed: 500_000, bits: 16)
    #expect(try device.spiExchange([1, 2]) == [1, 2])
    #expect { try device.spiExchange([1, 2, 3]) } throws: { ($0 as? SystemError)?.errno == EINVAL }
  }

  @Test func `settings that the device cannot have fail the open`() throws {
    let device = try BusDevice(.spi, of: buses)
    #expect { try device.spiConfigure(mode: 0, speed: 0, bits: 8) } throws: { ($0 as? SystemError)?.errno == EINVAL }
    #expect { try device.spiConfigure(mode: 0, speed: 1, bits: 33) } throws: { ($0 as? SystemError)?.errno == EINVAL }
    #expect(throws: SystemError.invalid) {
      try BusObject.open(
        BusSpecification(device: .spi(path: "/dev/null", mode: 4, speed: 1, bits: 8)), simulation: buses)
    }
    #expect {
      try BusObject.open(
        BusSpecification(device: .spi(path: "/dev/null", mode: 0, speed: 1, bits: 8)), simulation: buses)
    } throws: { ($0 as? SystemError)?.errno == ENOTTY }
  }

  @Test(arguments: Opcode.allCases.filter { $0 != .transfer })
  func `only transfer exists`(opcode: Opcode) throws {
    #expect(!BusSpecification(device: .simulated(.spiLoopback)).supports(opcode))
    #expect(try simulated(.spiLoopback, buses).run(opcode, [0], length: 1) == (.failed(EINVAL), []))
  }
}
