import Foundation
import Testing

/// A real block device over a file, detached with its owner.
final class LoopDevice: Sendable {
  let path: String

  init(over file: String, readOnly: Bool = false) throws {
    path =
      try readOnly ? run("losetup", "--find", "--show", "--read-only", file) : run("losetup", "--find", "--show", file)
  }

  deinit {
    do { try run("losetup", "--detach", path) } catch { Issue.record("\(path) stays attached: \(error)") }
  }
}
