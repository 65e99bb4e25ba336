import Authority
import Foundation
import Glibc
import Instructions
import Linux
import Objects
import Testing

@Suite struct `PCI configuration space through sysfs` {
  static let address = "0000:00:00.0"

  private func open() throws -> any OpenObject {
    try BusObject.open(
      BusSpecification(device: .pci(address: Self.address, region: .config)), simulation: SimulatedBuses())
  }

  /// `0x8086\n` as a number.
  private func attribute(_ name: String) throws -> Int {
    let bytes = try #require(FileManager.default.contents(atPath: "\(PCIRegion.systemRoot)/\(Self.address)/\(name)"))
    let digits = String(decoding: bytes, as: UTF8.self).dropFirst(2).prefix { $0.isHexDigit }
    return try #require(Int(digits, radix: 16))
  }

  @Test(.enabled(if: PCIHost.isPresent)) func `vendor and device are those of sysfs`() throws {
    let card = try open()
    let ids = card.run(.read, length: 4)
    #expect(ids.outcome == .done(4))
    #expect(try attribute("vendor") == Int(ids.bytes[0]) | Int(ids.bytes[1]) << 8)
    #expect(try attribute("device") == Int(ids.bytes[2]) | Int(ids.bytes[3]) << 8)
  }

  @Test(.enabled(if: PCIHost.isPresent)) func `any offset and length give the bytes of the file`() throws {
    let card = try open()
    let whole = card.run(.read, length: 64).bytes
    try #require(whole.count == 64)
    for (offset, length) in [(0, 1), (1, 2), (1, 7), (3, 9), (8, 4), (61, 3), (0, 64)] {
      #expect(card.run(.read, offset: UInt64(offset), length: length).bytes == Array(whole[offset..<offset + length]))
    }
  }

  @Test(.enabled(if: PCIHost.isPresent)) func `a read stops at the end and reads nothing past it`() throws {
    let card = try open()
    let size = try PCIRegion(address: Self.address, bar: nil).size
    #expect(card.run(.read, offset: UInt64(size), length: 4) == (.done(0), []))
    #expect(card.run(.read, offset: .max, length: 4) == (.done(0), []))
    // The kernel shows an ordinary user the first 64 bytes (drivers/pci/pci-sysfs.c).
    #expect(card.run(.read, offset: UInt64(size) - 2, length: 4).outcome == .done(geteuid() == 0 ? 2 : 0))
    #expect(card.run(.read, offset: 60, length: 8).outcome == .done(geteuid() == 0 ? 8 : 4))
  }

  @Test(.enabled(if: PCIHost.isPresent)) func `a write that crosses the end is EINVAL`() throws {
    let card = try open()
    let size = try PCIRegion(address: Self.address, bar: nil).size
    #expect(card.run(.write, [0, 0, 0, 0], offset: UInt64(size) - 3).outcome == .failed(EINVAL))
    #expect(card.run(.write, [0], offset: .max).outcome == .failed(EINVAL))
  }

  @Test(.enabled(if: PCIHost.isPresent && geteuid() == 0))
  func `a write to a read-only register is taken, or EPERM on a locked down kernel, and changes nothing`()
    throws
  {
    let card = try open()
    let before = card.run(.read, length: 4).bytes
    #expect([.done(4), .failed(EPERM)].contains(card.run(.write, [0xde, 0xad, 0xbe, 0xef]).outcome))
    #expect(card.run(.read, length: 4).bytes == before)
  }

  @Test(arguments: [
    "", "..", "0000:00:00", "../0000:00:00.0", "0000:00:00.0/../0000:00:01.0", "zz00:00:00.0",
    "0000:00:00.00", "0000:0:00.0", "0000:00:00.0:0",
  ])
  func `an address that is none is EINVAL and no path`(address: String) {
    #expect(throws: SystemError(errno: EINVAL, operation: "open", path: address)) {
      try PCIRegion(address: address, bar: nil)
    }
  }

  @Test func `an address with a zero byte is EINVAL`() {
    #expect(throws: SystemError.self) { try PCIRegion(address: "0000:00:00.0\0", bar: nil) }
    #expect(throws: SystemError.self) { try PCIRegion(address: "0000:00:00.\0", bar: nil) }
  }

  @Test func `a card that is not there is ENOENT, and a seventh bar EINVAL`() {
    #expect { try PCIRegion(address: "ffff:ff:1f.7", bar: nil) } throws: { ($0 as? SystemError)?.errno == ENOENT }
    #expect { try PCIRegion(address: "0000:00:00.0", bar: 6) } throws: { ($0 as? SystemError)?.errno == EINVAL }
  }
}

enum PCIHost {
  static let isPresent = Tier.exists("\(PCIRegion.systemRoot)/0000:00:00.0/vendor")
}

/// A file stands in for a BAR: mapped and accessed in the same way, without a device behind it.
@Suite struct `A BAR` {
  let folder: ScratchFolder
  let card: any OpenObject

  init() throws {
    folder = try ScratchFolder()
    try FileManager.default.createDirectory(
      atPath: folder.path("0000:00:04.0"), withIntermediateDirectories: false)
    try folder.write("0000:00:04.0/resource2", (0..<64).map { UInt8($0) })
    card = try BusObject.openPCI(address: "0000:00:04.0", region: .bar(2), root: folder.path)
  }

  private var file: [UInt8]? { try? folder.read("0000:00:04.0/resource2") }

  @Test func `it is mapped`() throws {
    #expect(try PCIRegion(address: "0000:00:04.0", bar: 2, root: folder.path).isMapped)
  }

  @Test func `reads of any offset and length give the bytes`() {
    for offset in 0..<16 {
      for length in 1...16 {
        #expect(
          card.run(.read, offset: UInt64(offset), length: length).bytes
            == (offset..<offset + length).map { UInt8($0) })
      }
    }
  }

  @Test func `writes of any offset and length change those bytes only`() throws {
    let seed = UInt64.random(in: .min ... .max)
    var random = SeededGenerator(seed: seed)
    var model = (0..<64).map { UInt8($0) }
    for step in 0..<200 {
      let offset = Int.random(in: 0..<64, using: &random)
      let bytes = (0..<Int.random(in: 0...(64 - offset), using: &random)).map { _ in
        UInt8.random(in: .min ... .max, using: &random)
      }
      model.replaceSubrange(offset..<offset + bytes.count, with: bytes)
      #expect(card.run(.write, bytes, offset: UInt64(offset)).outcome == .done(UInt64(bytes.count)))
      try #require(file == model, "seed \(seed) step \(step)")
    }
  }

  @Test func `a write across the end writes nothing`() {
    #expect(card.run(.write, [1, 2, 3], offset: 62).outcome == .failed(EINVAL))
    #expect(file == (0..<64).map { UInt8($0) })
  }

  @Test func `a grant's range moves the start and the end`() {
    let range = ByteRange(offset: 16, length: 8)
    #expect(card.run(.read, offset: 2, length: 100, range: range).bytes == [18, 19, 20, 21, 22, 23])
    #expect(card.run(.read, offset: 8, length: 1, range: range) == (.done(0), []))
    #expect(card.run(.write, [0xaa], offset: 7, range: range).outcome == .done(1))
    #expect(card.run(.write, [0xaa, 0xbb], offset: 7, range: range).outcome == .failed(EINVAL))
    #expect(file?[23...24] == [0xaa, 24])
  }

  @Test func `every effect runs on a pool thread`() {
    #expect(card.run(.read, length: 4, blocking: false).outcome == .blocks)
    #expect(card.run(.write, [1], blocking: false).outcome == .blocks)
  }

  @Test(arguments: Opcode.allCases.filter { ![.read, .write].contains($0) })
  func `other operations do not exist`(opcode: Opcode) {
    #expect(!BusSpecification(device: .pci(address: "0000:00:04.0", region: .bar(2))).supports(opcode))
    #expect(card.run(opcode, [0], length: 1) == (.failed(EINVAL), []))
  }
}
