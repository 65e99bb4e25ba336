import Foundation
import Glibc
import Linux
import TestSupport
import Testing

@Suite struct RegularFileTests {
  /// Runs `body` with a folder of its own that is removed afterwards.
  private func inFolder(_ body: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("postern-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder.path)
  }

  @Test func `a file as large as the limit is read, one byte more is EFBIG`() throws {
    try inFolder { folder in
      try Data("12345678".utf8).write(to: URL(fileURLWithPath: "\(folder)/a"))
      #expect(try RegularFile.read("\(folder)/a", limit: 8) == Array("12345678".utf8))
      #expect(throws: SystemError(errno: EFBIG, operation: "read", path: "\(folder)/a")) {
        try RegularFile.read("\(folder)/a", limit: 7)
      }
    }
  }

  @Test func `a file that says size 0 and never ends is EFBIG`() {
    #expect(throws: SystemError(errno: EFBIG, operation: "read", path: "/proc/kallsyms")) {
      try RegularFile.read("/proc/kallsyms", limit: 1000)
    }
  }

  @Test func `a folder is EISDIR`() {
    #expect(throws: SystemError(errno: EISDIR, operation: "read", path: "/tmp")) {
      try RegularFile.read("/tmp", limit: 8)
    }
  }

  @Test func `a FIFO without a writer is refused at once`() throws {
    try inFolder { folder in
      try Command.demand(["/usr/bin/mkfifo", "\(folder)/f"])
      #expect(throws: SystemError(errno: EINVAL, operation: "read", path: "\(folder)/f")) {
        try RegularFile.read("\(folder)/f", limit: 8)
      }
    }
  }

  @Test func `a device is refused`() {
    #expect(throws: SystemError(errno: EINVAL, operation: "read", path: "/dev/zero")) {
      try RegularFile.read("/dev/zero", limit: 8)
    }
  }

  @Test func `a folder's files come in the order of their bytes, without others`() throws {
    try inFolder { folder in
      for name in ["a.yml", "Z.yaml", "2-a.yaml", "10-b.yaml", ".hidden.yaml", "README"] {
        try Data().write(to: URL(fileURLWithPath: "\(folder)/\(name)"))
      }
      let expected = ["10-b.yaml", "2-a.yaml", "Z.yaml"].map { "\(folder)/\($0)" }
      #expect(try RegularFile.paths(in: folder, suffix: ".yaml") == expected)
    }
  }

  @Test func `a folder that does not exist has no files`() throws {
    #expect(try RegularFile.paths(in: "/nonexistent/policy.d", suffix: ".yaml") == [])
  }
}
