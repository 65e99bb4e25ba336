import Authority
import Foundation
import Glibc
import Instructions
import Linux
import Objects
import Testing

@Suite(.serialized, .enabled(if: Tier.loopDevices, "needs root, losetup and loop devices"))
struct DiskBlockDeviceTests {
  let folder: ScratchFolder
  let contents: [UInt8]

  init() throws {
    folder = try ScratchFolder()
    contents = (0..<256 * 1024).map { UInt8(truncatingIfNeeded: $0 &* 13 &+ $0 / 509) }
    try folder.write("image", contents)
  }

  func open(_ device: LoopDevice, range: ByteRange? = nil, access: Access = .readWrite) throws(SystemError)
    -> DiskObject
  {
    try DiskObject.open(DiskSpecification(path: device.path, range: range, access: access), own: BrokerFiles())
  }

  @Test func `random reads and writes of a range agree with a byte array and stay inside`() throws {
    let device = try LoopDevice(over: folder.path("image"))
    var model = DiskModel(bytes: contents, range: 10_001..<99_999)
    do {
      let disk = try open(device, range: ByteRange(offset: 10_001, length: 89_998))
      model.compare(with: disk, operations: 400, seed: testSeed())
      #expect(perform(disk, .flush).outcome == .done(0))
    }
    #expect(try folder.read("image") == model.bytes)
  }

  @Test func `without a range the object is the whole device`() throws {
    let device = try LoopDevice(over: folder.path("image"))
    #expect(try open(device).range == ByteRange(offset: 0, length: 256 * 1024))
  }

  @Test func `a range that ends behind the device is refused at open`() throws {
    let device = try LoopDevice(over: folder.path("image"))
    #expect(throws: SystemError(errno: ERANGE, operation: "range", path: device.path)) {
      try open(device, range: ByteRange(offset: 256 * 1024 - 1, length: 2))
    }
  }

  @Test func `what is not cached is read on a pool thread and then without one`() throws {
    let device = try LoopDevice(over: folder.path("image"))
    let disk = try open(device)
    let operands = Operands(offset: 200 * 1024 + 7, length: 9)
    #expect(perform(disk, .read, operands, inlineOnly: true).outcome == .blocks)
    #expect(perform(disk, .read, operands).bytes == Array(contents[200 * 1024 + 7..<200 * 1024 + 16]))
    #expect(perform(disk, .read, operands, inlineOnly: true).outcome == .done(9))
  }

  @Test func `an aligned discard reads as zeros and touches nothing else`() throws {
    let device = try LoopDevice(over: folder.path("image"))
    do {
      let disk = try open(device, range: ByteRange(offset: 4096, length: 16384))
      #expect(perform(disk, .discard, Operands(offset: 4096, length: 8192)).outcome == .done(0))
      #expect(perform(disk, .flush).outcome == .done(0))
    }
    var expected = contents
    expected.replaceSubrange(8192..<16384, with: [UInt8](repeating: 0, count: 8192))
    #expect(try folder.read("image") == expected)
  }

  @Test(arguments: [(UInt64(1), UInt64(512)), (512, 511)]) func `an unaligned discard fails and changes nothing`(
    offset: UInt64, length: UInt64
  ) throws {
    let device = try LoopDevice(over: folder.path("image"))
    let disk = try open(device)
    #expect(perform(disk, .discard, Operands(offset: offset, length: length)).outcome == .failed(EINVAL))
    #expect(perform(disk, .read, Operands(length: 4096)).bytes == Array(contents[..<4096]))
  }

  @Test func `info tells the device's blocks`() throws {
    let device = try LoopDevice(over: folder.path("image"))
    let answer = perform(try open(device), .info)
    let decoded = DiskInformation(answer.bytes.span)
    let information = try #require(decoded)
    #expect(information.size == 256 * 1024)
    #expect(information.blockSize == 512)
    #expect(information.flags.contains(.blockDevice))
    #expect(!information.flags.contains(.readOnly))
  }

  @Test func `a read-only device cannot be opened for writing`() throws {
    let device = try LoopDevice(over: folder.path("image"), readOnly: true)
    #expect(throws: SystemError.self) { try open(device, access: .readWrite) }
    #expect(perform(try open(device, access: .readOnly), .read, Operands(length: 4)).bytes == Array(contents[..<4]))
  }

  @Test func `a second node of the same device has the same footprint`() throws {
    let device = try LoopDevice(over: folder.path("image"))
    let number = try Descriptor.pin(device.path).status().specialDevice
    let other = folder.path("node")
    try run("mknod", other, "b", "\(number >> 8)", "\(number & 0xff)")
    let again = try DiskObject.open(DiskSpecification(path: other), own: BrokerFiles())
    #expect(try again.footprint == open(device).footprint)
    #expect(again.identity.inode == 0)
  }

  @Test func `a device that shrank is not current`() throws {
    let device = try LoopDevice(over: folder.path("image"))
    let disk = try open(device)
    #expect(disk.isCurrent())
    try run("truncate", "--size=128K", folder.path("image"))
    try run("losetup", "--set-capacity", device.path)
    #expect(!disk.isCurrent())
  }

  @Test func `a read where the device has ended since is an error, not the end`() throws {
    let device = try LoopDevice(over: folder.path("image"))
    let disk = try open(device)
    try run("truncate", "--size=128K", folder.path("image"))
    try run("losetup", "--set-capacity", device.path)
    #expect(disk.run(.read, offset: 128 << 10, length: 512).outcome == .failed(ENXIO))
    #expect(disk.run(.read, offset: 0, length: 512).outcome == .done(512))
  }
}
