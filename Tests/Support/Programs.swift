import Foundation
import Glibc
import Synchronization

/// The programs of the tests, each built when it is first asked for in a run, and the products next to the test bundle.
public enum Programs {
  /// The folder with everything that tests run, readable by every user.
  private static let folder: Result<String, HarnessFailure> = {
    let path = folderName
    do {
      try FileManager.default.createDirectory(
        atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o755])
      atexit { try? FileManager.default.removeItem(atPath: Programs.folderName) }
      for product in ["posternd", "postern", "postern-audit-serve", "libLibPostern.so"] {
        let places = [kept, products].compactMap(\.self).map { $0 + "/" + product }
        let place = places.first { FileManager.default.fileExists(atPath: $0) } ?? product
        // A virtual machine's disk has no room for a browser, and so no use for its server.
        if place == product, product == "postern-audit-serve" { continue }
        try FileManager.default.copyItem(atPath: place, toPath: path + "/" + product)
      }
      return .success(path)
    } catch {
      return .failure(HarnessFailure(description: "the products cannot be copied: \(error)"))
    }
  }()

  private static var folderName: String {
    FileManager.default.temporaryDirectory.path + "/postern-programs-\(getpid())"
  }

  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path
  private static let sources = ["/Tests/Programs/LifeCycle/", "/Tests/Programs/Run/"].map { root + $0 }

  /// The build folder, which the test executable lies in.
  public static let products =
    ((try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "")
    .split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")

  private static let builds = Mutex<[String: HarnessFailure]>([:])

  /// A product's path, or that of a program of the tests, by the name of its source without its ending.
  public static func path(_ name: String) throws -> String {
    let path = try folder.get() + "/" + name
    return try builds.withLock { failures in
      if let failure = failures[name] { throw failure }
      guard !FileManager.default.fileExists(atPath: path) else { return path }
      do { try obtain(name, path) } catch {
        let failure = HarnessFailure(description: "\(name) cannot be built: \(error)")
        failures[name] = failure
        throw failure
      }
      return path
    }
  }

  /// Where programs are kept that an earlier run built, or this one will have built: a compiler takes minutes in a virtual machine. It
  /// may hold the products too, in another build.
  private static let kept = ProcessInfo.processInfo.environment["POSTERN_TEST_PROGRAMS"]

  /// Every program that has a source.
  public static var names: [String] {
    get throws {
      try sources.flatMap { try FileManager.default.contentsOfDirectory(atPath: $0) }.sorted().compactMap { file in
        let name = URL(fileURLWithPath: file)
        return ["c", "swift", "py"].contains(name.pathExtension) ? name.deletingPathExtension().lastPathComponent : nil
      } + ["stranger"]
    }
  }

  private static func obtain(_ name: String, _ path: String) throws {
    guard let kept else { return try build(name, path) }
    if FileManager.default.fileExists(atPath: kept + "/" + name) {
      return try FileManager.default.copyItem(atPath: kept + "/" + name, toPath: path)
    }
    try build(name, path)
    try FileManager.default.copyItem(atPath: path, toPath: kept + "/" + name)
  }

  private static func build(_ name: String, _ path: String) throws {
    // The same program under another inode: for selectors another one.
    let base = name == "stranger" ? "actor" : name
    for source in sources.map({ $0 + base }) {
      if FileManager.default.fileExists(atPath: source + ".c") { return try compile(source + ".c", path) }
      if FileManager.default.fileExists(atPath: source + ".swift") { return try link(source + ".swift", path) }
      if FileManager.default.fileExists(atPath: source + ".py") {
        return try FileManager.default.copyItem(atPath: source + ".py", toPath: path)
      }
    }
    throw HarnessFailure(description: "it has no source")
  }

  private static func compile(_ source: String, _ output: String) throws {
    let folder = try folder.get()
    let library =
      source.contains("/library")
      ? ["-I", root + "/Sources/CPostern/include", "-L", folder, "-lLibPostern", "-Wl,-rpath,$ORIGIN"]
        + (source.contains("/library-ring") ? ["-luring"] : []) : []
    try Command.demand(
      ["/usr/bin/gcc", "-std=gnu11", "-O1", "-pthread", "-Wall", "-Wextra", "-Werror", "-o", output, source] + library)
  }

  /// A statically linked Swift program. Takes seconds, so the last one is kept beside the products.
  private static func link(_ source: String, _ output: String) throws {
    let kept = products + "/" + URL(fileURLWithPath: output).lastPathComponent + ".static"
    func modified(_ path: String) -> Date? {
      (try? FileManager.default.attributesOfItem(atPath: path))?[.modificationDate] as? Date
    }
    let isFresh = modified(kept).map { kept in modified(source).map { $0 <= kept } ?? false } ?? false
    if !isFresh {
      // Put in place at once: another run may look for it.
      let fresh = kept + ".\(getpid())"
      try Command.demand(["/usr/bin/env", "swiftc", "-O", "-static-stdlib", "-static-executable", "-o", fresh, source])
      try Command.demand(["/usr/bin/env", "mv", "--force", fresh, kept])
    }
    try FileManager.default.copyItem(atPath: kept, toPath: output)
  }
}
