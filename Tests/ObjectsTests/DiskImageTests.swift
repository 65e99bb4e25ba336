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
    try DiskObject.open(DiskSpecification(path: folder.path("image"), range: range, access: access), own: BrokerFiles())
  }

  @Test func `random reads and writes agree with a byte array`() throws {
    var model = DiskModel(bytes: contents, range: 0..<contents.count)
    model.compare(with: try open(), operations: 400, seed: testSeed())
    #expect(try folder.read("image") == model.bytes)
  }

  @Test func `random reads and writes in a range agree with a byte array and stay inside`() throws {
    var model = DiskModel(bytes: contents, range: 1234..<8765)
    model.compare(with: try open(range: ByteRange(offset: 1234, length: 7531)), operations: 400, seed: testSeed())
    #expect(try folder.read("image") == model.bytes)
  }

  @Test func `an unaligned read gives the bytes at its offset`() throws {
    let read = perform(try open(), .read, Operands(offset: 4095, length: 4099))
    #expect(read.outcome == .done(4099))
    #expect(read.bytes == Array(contents[4095..<8194]))
  }

  @Test func `a read that crosses the end is short`() throws {
    let read = perform(try open(), .read, Operands(offset: 9_990, length: 100))
    #expect(read.outcome == .done(10))
    #expect(read.bytes == Array(contents[9_990...]))
  }

  @Test(arguments: [10_000, 10_001, UInt64.max]) func `a read at or past the end gives 0 bytes`(offset: UInt64) throws {
    #expect(perform(try open(), .read, Operands(offset: offset, length: 8)).outcome == .done(0))
  }

  @Test func `a read never gives more than the reply has room for`() throws {
    let read = perform(try open(), .read, Operands(offset: 0, length: .max), room: 100)
    #expect(read.bytes == Array(contents[..<100]))
  }

  @Test func `a read in a range does not see what is behind it`() throws {
    let disk = try open(range: ByteRange(offset: 100, length: 50))
    #expect(perform(disk, .read, Operands(offset: 0, length: 1000)).bytes == Array(contents[100..<150]))
  }

  @Test func `a grant narrows the range further`() throws {
    let disk = try open(range: ByteRange(offset: 100, length: 50))
    let narrow = ByteRange(offset: 120, length: 10)
    #expect(perform(disk, .read, Operands(length: 1000), range: narrow).bytes == Array(contents[120..<130]))
    #expect(
      perform(disk, .write, Operands(offset: 9, length: 2), range: narrow, payload: [1, 2]).outcome == .failed(EPERM))
    #expect(try folder.read("image") == contents)
  }

  @Test(arguments: [
    ByteRange(offset: 99, length: 10), ByteRange(offset: 100, length: 51), ByteRange(offset: 149, length: 2),
    ByteRange(offset: 151, length: 0), ByteRange(offset: 120, length: .max), ByteRange(offset: .max, length: 1),
  ]) func `a grant whose range is outside the object does nothing`(wide: ByteRange) throws {
    let disk = try open(range: ByteRange(offset: 100, length: 50))
    #expect(perform(disk, .read, Operands(length: 1), range: wide).outcome == .failed(EPERM))
    #expect(perform(disk, .write, Operands(length: 1), range: wide, payload: [0xff]).outcome == .failed(EPERM))
    #expect(perform(disk, .discard, Operands(length: 1), range: wide).outcome == .failed(EPERM))
    #expect(perform(disk, .info, range: wide).outcome == .failed(EPERM))
    #expect(try folder.read("image") == contents)
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

  @Test func `a write up to the last byte is done`() throws {
    let disk = try open(range: ByteRange(offset: 0, length: 100))
    #expect(perform(disk, .write, Operands(offset: 98, length: 2), payload: [7, 8]).outcome == .done(2))
  }

  @Test(arguments: [UInt64(99), 100, 101, .max]) func `a write that crosses the end writes nothing`(offset: UInt64)
    throws
  {
    let disk = try open(range: ByteRange(offset: 0, length: 100))
    #expect(perform(disk, .write, Operands(offset: offset, length: 2), payload: [7, 8]).outcome == .failed(EPERM))
    #expect(try folder.read("image") == contents)
  }

  @Test(arguments: [UInt64(1), 3]) func `a payload of another length than the checked one is not written`(
    length: UInt64
  ) throws {
    #expect(perform(try open(), .write, Operands(length: length), payload: [7, 8]).outcome == .failed(EINVAL))
    #expect(try folder.read("image") == contents)
  }

  @Test func `nothing changes a read-only object`() throws {
    let disk = try open(access: .readOnly)
    #expect(perform(disk, .write, Operands(length: 1), payload: [0xff]).outcome == .failed(EACCES))
    #expect(perform(disk, .discard, Operands(length: 1)).outcome == .failed(EACCES))
    #expect(try folder.read("image") == contents)
  }

  @Test func `a read-only object can be flushed`() throws {
    #expect(perform(try open(access: .readOnly), .flush).outcome == .done(0))
  }

  @Test func `changes and flushes never happen on the checking thread`() throws {
    let disk = try open()
    #expect(perform(disk, .write, Operands(length: 1), payload: [0xff], inlineOnly: true).outcome == .blocks)
    #expect(perform(disk, .discard, Operands(length: 1), inlineOnly: true).outcome == .blocks)
    #expect(perform(disk, .flush, inlineOnly: true).outcome == .blocks)
    #expect(try folder.read("image") == contents)
  }

  @Test func `a discard of an image makes zeros of exactly its bytes`() throws {
    let disk = try open(range: ByteRange(offset: 1000, length: 9000))
    #expect(perform(disk, .discard, Operands(offset: 3, length: 5001)).outcome == .done(0))
    var expected = contents
    expected.replaceSubrange(1003..<6004, with: [UInt8](repeating: 0, count: 5001))
    #expect(try folder.read("image") == expected)
  }

  @Test func `a discard that crosses the end changes nothing`() throws {
    let disk = try open(range: ByteRange(offset: 0, length: 100))
    #expect(perform(disk, .discard, Operands(offset: 99, length: 2)).outcome == .failed(EPERM))
    #expect(try folder.read("image") == contents)
  }

  @Test func `a discard of no bytes is done`() throws {
    #expect(perform(try open(), .discard, Operands(offset: 5, length: 0)).outcome == .done(0))
  }

  @Test func `info tells the size of the grant and not of the device`() throws {
    let disk = try open(range: ByteRange(offset: 100, length: 50), access: .readOnly)
    let answer = perform(disk, .info, range: ByteRange(offset: 100, length: 20))
    #expect(answer.outcome == .done(32))
    #expect(answer.bytes.prefix(12) == [20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0])
    let decoded = DiskInformation(answer.bytes.span)
    let information = try #require(decoded)
    #expect(information.flags == .readOnly)
  }

  @Test func `info without room for it fails`() throws {
    #expect(perform(try open(), .info, room: 31).outcome == .failed(EMSGSIZE))
  }

  @Test(arguments: [Opcode.accept, .transfer, .control]) func `other kinds' operations are not supported`(
    opcode: Opcode
  ) throws {
    #expect(perform(try open(), opcode).outcome == .failed(EOPNOTSUPP))
  }

  @Test func `after recall nothing starts`() throws {
    let disk = try open()
    disk.recall()
    #expect(perform(disk, .read, Operands(length: 1)).outcome == .failed(ESHUTDOWN))
    #expect(perform(disk, .write, Operands(length: 1), payload: [0xff]).outcome == .failed(ESHUTDOWN))
    #expect(try folder.read("image") == contents)
  }
}
