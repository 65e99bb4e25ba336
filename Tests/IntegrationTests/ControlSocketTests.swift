import Foundation
import Linux
import Synchronization
import TestSupport
import Testing

@Suite struct ControlSocketTests {
  private func inFolder(_ body: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.path + "/postern-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try body(folder)
  }

  private func mode(_ path: String) throws -> Int? {
    try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
  }

  @Test(arguments: [UInt32(0o666), 0o660, 0o600])
  func `the socket has exactly the mode that was asked for`(_ asked: UInt32) throws {
    try inFolder { folder in
      let listener = try MessageSocket.listen(at: folder + "/socket", mode: asked)
      #expect(try mode(folder + "/socket") == Int(asked))
      _ = consume listener
    }
  }

  @Test func `what another thread makes meanwhile keeps its own mode`() throws {
    try inFolder { folder in
      let stop = Mutex(false)
      let done = DispatchSemaphore(value: 0)
      Thread.detachNewThread {
        while !stop.withLock({ $0 }) {
          _ = try? MessageSocket.listen(at: folder + "/socket", mode: 0o600)
        }
        done.signal()
      }
      defer {
        stop.withLock { $0 = true }
        done.wait()
      }
      for index in 0..<2_000 {
        let made = folder + "/made"
        _ = try JournalDirectory(path: made, create: true)
        defer { try? FileManager.default.removeItem(atPath: made) }
        try #require(try mode(made) == 0o700, "folder \(index)")
      }
    }
  }
}
