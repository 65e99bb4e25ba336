import Foundation
import TestSupport
import Glibc
import Instructions
import Linux
import Postern
import Synchronization
import Testing
import Wire

@Suite struct DirectDiskTests {
  private let content = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }

  private func disk(
    _ operations: OperationSet? = nil, length: UInt64 = 200_000, grown: Int = 0, _ body: (DirectObject) throws -> Void
  ) throws {
    let bytes = content + [UInt8](repeating: 0xAA, count: grown)
    try FakeDirect(.disk, operations: operations, length: length) { try scratchFile(bytes) }.opened(body)
  }

  private func information(_ disk: DirectObject) throws -> DiskInformation {
    let bytes = try disk.info()
    guard let information = DiskInformation(bytes.span) else { throw ToolFailure(text: "\(bytes.count) bytes") }
    return information
  }

  @Test func `bytes are read and written at their offsets, of any number`() throws {
    try disk { disk in
      try #expect(read(disk, 100_000, at: 70_000) == Array(content[70_000..<170_000]))
      let written = [UInt8](repeating: 7, count: 150_000)
      try #expect(disk.write(written.span, at: 3) == 150_000)
      try #expect(read(disk, 150_006) == Array(content[..<3]) + written + content[150_003..<150_006])
    }
  }

  @Test func `a read ends at the range's end and gives nothing beyond it, also where the file has more`() throws {
    try disk(grown: 1000) { disk in
      try #expect(read(disk, 100, at: 199_990) == Array(content[199_990...]))
      try #expect(read(disk, 100, at: 200_000) == [])
      try #expect(read(disk, 100, at: .max) == [])
    }
  }

  @Test func `a write that crosses the end is refused with limit and writes nothing`() throws {
    try disk(grown: 10) { disk in
      let bytes = [UInt8](repeating: 7, count: 100_000)
      #expect(
        failure { _ = try disk.write(bytes.span, at: 100_001) }
          == .refused(Refusal(.limit), errno: Reason.limit.errno))
      #expect(failure { _ = try disk.write([1].span, at: .max) }?.refusal?.reason == .limit)
      try #expect(read(disk, 100_000, at: 100_000) == Array(content[100_000...]))
      try #expect(disk.write(bytes.span, at: 100_000) == 100_000)
    }
  }

  @Test func `what is discarded reads as zero, and no discard crosses the end`() throws {
    try disk { disk in
      try disk.flush()
      try disk.discard(offset: 4096, length: 4096)
      try #expect(read(disk, 4098, at: 4095) == [content[4095]] + [UInt8](repeating: 0, count: 4096) + [content[8192]])
      #expect(failure { try disk.discard(offset: 199_999, length: 2) }?.refusal?.reason == .limit)
      try #expect(read(disk, 1, at: 199_999) == [content[199_999]])
    }
  }

  @Test func `info says what the path mediated says of an image file`() throws {
    try disk { disk in
      let information = try information(disk)
      #expect(information.size == 200_000)
      #expect(information.blockSize == 1)
      var status = stat()
      _ = unsafe fstat(disk.number, &status)
      #expect(information.physicalBlockSize == UInt32(status.st_blksize))
      #expect(information.flags == [])
    }
  }

  @Test func `info says read-only where the descriptor is`() throws {
    let direct = FakeDirect(.disk, length: 3) {
      let file = try scratchFile([1, 2, 3])
      return try file.reopen(.readOnly)
    }
    try direct.opened { disk in
      try #expect(information(disk).flags == .readOnly)
    }
  }

  @Test(.enabled(if: geteuid() == 0 && FileManager.default.fileExists(atPath: "/dev/loop-control")))
  func `info says what a block device says of itself, and blocks are discarded`() throws {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("postern-\(UUID().uuidString)")
    try Data(repeating: 9, count: 1 << 20).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    let device = try LoopDevice(over: file.path)
    let geometry = try Descriptor.pin(device.path).reopen(.readOnly).blockGeometry()
    try FakeDirect(.disk, length: 1 << 20) { try Descriptor.pin(device.path).reopen(.readWrite) }.opened { disk in
      let information = try information(disk)
      #expect(information.size == 1 << 20)
      #expect(information.blockSize == geometry.logicalBlock)
      #expect(information.physicalBlockSize == geometry.physicalBlock)
      #expect(information.flags.contains(.blockDevice))
      #expect(information.flags.contains(.rotational) == geometry.isRotational)
      try #expect(read(disk, 4, at: (1 << 20) - 4) == [9, 9, 9, 9])
      try #expect(read(disk, 4, at: 1 << 20) == [])
      try disk.discard(offset: 8192, length: 4096)
      try #expect(read(disk, 1, at: 8192) == [0])
    }
  }

  @Test func `a write through a descriptor that only reads is refused as an operation where it was not granted`() throws
  {
    let direct = FakeDirect(.disk, operations: [.init(.read)], length: 3) {
      let file = try scratchFile([1, 2, 3])
      return try file.reopen(.readOnly)
    }
    try direct.opened { disk in
      #expect(
        failure { _ = try disk.write([1].span) } == .refused(Refusal(.operation), errno: Reason.operation.errno))
    }
  }

  @Test func `operations that a disk does not know are refused, and transfer is not for this path`() throws {
    try disk { disk in
      #expect(failure { _ = try disk.accept() }?.refusal?.reason == .operation)
      #expect(failure { try disk.listen() }?.refusal?.reason == .operation)
      var none: [UInt8] = []
      var empty = none.mutableSpan
      let error = failure { _ = try disk.transfer([1].span, into: &empty) }
      #expect(error?.refusal == nil && error?.errno == EOPNOTSUPP)
    }
  }

  @Test
  func `the library says that it can take the object's own descriptor, and a demanded path goes with the request`()
    throws
  {
    let direct = FakeDirect(.disk) { try scratchFile([1]) }
    let broker = try direct.broker()
    try broker.serving {
      let connection = try PosternConnection(path: broker.path)
      _ = try connection.open("one", .init(.read))
      _ = try connection.open("two", path: .direct)
      let opens = direct.state.withLock { $0.opens }
      #expect(
        opens == [
          Open(object: "one", operations: .init(.read), accepts: [.direct, .ring]),
          Open(object: "two", path: .direct, accepts: [.direct, .ring]),
        ])
    }
  }

  @Test(arguments: [OperationPath.ring, .handover])
  func `a path that the library cannot use is an error, and its descriptor is closed`(path: OperationPath) throws {
    let broker = try FakeDirect(.disk, path: path) { try scratchFile([1]) }.broker()
    try broker.serving {
      let connection = try PosternConnection(path: broker.path)
      #expect(failure { _ = try connection.open("object") }?.errno == EOPNOTSUPP)
    }
  }

  @Test func `a channel's number with an object's own descriptor is nonsense, and the association is given up`() throws
  {
    let direct = FakeDirect(.disk, channel: 4) { try scratchFile([1]) }
    let broker = try direct.broker()
    try broker.serving {
      let connection = try PosternConnection(path: broker.path)
      #expect(failure { _ = try connection.open("object") } == .violation(.badValue(.identity)))
      #expect(direct.state.withLock { $0.released } == [AssociationID(rawValue: 5)])
    }
  }

  @Test func `the descriptor is close-on-exec and the object's own`() throws {
    try disk { disk in
      #expect(fcntl(disk.number, F_GETFD) == FD_CLOEXEC)
      try #expect(disk.write([1, 2, 3].span, at: 10) == 3)
      #expect(lseek(disk.number, 0, SEEK_END) == 200_000)
    }
  }
}

/// A real block device over a file, detached with its owner.
private final class LoopDevice: Sendable {
  let path: String

  init(over file: String) throws { path = try Self.losetup(["--find", "--show", file]) }

  deinit {
    do { _ = try Self.losetup(["--detach", path]) } catch { Issue.record("\(path) stays attached: \(error)") }
  }

  private static func losetup(_ arguments: [String]) throws -> String {
    let process = Process()
    let output = ChildProcess.pipe()
    process.executableURL = URL(fileURLWithPath: "/usr/sbin/losetup")
    process.arguments = arguments
    process.standardOutput = output
    try ChildProcess.start(process)
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw ToolFailure(text: "losetup \(arguments)") }
    return text.trimmingCharacters(in: .whitespacesAndNewlines)
  }
}
