import Authority
import Foundation
import Glibc
import Instructions
import Linux
import Objects
import Testing

@Suite struct DiskImageTests {
  let folder: ScratchFolder
  /// 10,000 bytes: no multiple of any block.
  let contents: [UInt8]

  init() throws {
    folder = try ScratchFolder()
    contents = (0..<10_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 / 251) }
    try folder.write("image", contents)
  }

  func open(range: ByteRange? = nil, access: Access = .readWrite) throws -> DiskObject {
    try DiskObject.open(DiskSpecification(path: folder.path("image"), range: range, access: access))
  }

  @Test func `an unaligned read gives the bytes at its offset`() throws {
    let read = perform(try open(), .read, Operands(offset: 4095, length: 4099))
    #expect(read.outcome == .done(4099))
    #expect(read.bytes == Array(contents[4095..<8194]))
  }

  @Test func `a written image reads back and nothing around it changes`() throws {
    let disk = try open()
    let bytes: [UInt8] = [1, 2, 3, 4, 5]
    #expect(perform(disk, .write, Operands(offset: 511, length: 5), payload: bytes).outcome == .done(5))
    #expect(perform(disk, .read, Operands(offset: 511, length: 5)).bytes == bytes)
    var expected = contents
    expected.replaceSubrange(511..<516, with: bytes)
    #expect(try folder.read("image") == expected)
  }
}
