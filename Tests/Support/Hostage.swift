import Foundation

/// A file system whose files keep whoever reads them waiting, in the kernel, for as long as its server lives.
public final class Hostage {
  public let folder: String
  /// Says "held" at each read.
  public let server: Dialogue

  /// What a test needs for it.
  public static let isPossible =
    Tier.root && (Tier.isRequired || FileManager.default.isWritableFile(atPath: "/dev/fuse"))

  private init(in parent: String) throws {
    folder = parent + "/hostage"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    server = try Dialogue([try Programs.path("hostage"), "serve", folder])
  }

  /// Mounted below `parent` for `body`. Who is still held then cannot end before this does.
  public static func run<Result>(in parent: String, _ body: (Hostage) throws -> Result) throws -> Result {
    let hostage = try Hostage(in: parent)
    defer { hostage.end() }
    guard hostage.server.heard() == "mounted" else { throw HarnessFailure(description: "fuse(4) cannot be mounted") }
    return try body(hostage)
  }

  /// Lets everybody go, whose reads fail.
  public func end() {
    server.end()
    _ = try? Command.run(["/usr/bin/umount", "--lazy", folder])
    try? FileManager.default.removeItem(atPath: folder)
  }
}
