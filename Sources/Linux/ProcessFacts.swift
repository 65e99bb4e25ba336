import Glibc

/// What proc(5) says of a process; only meaningful while a `ProcessPin` of it is current afterwards.
public struct ProcessFacts: Sendable {
  public struct File: Sendable, Hashable {
    public var device: UInt64
    public var inode: UInt64

    public init(device: UInt64, inode: UInt64) {
      self.device = device
      self.inode = inode
    }
  }

  public var effectiveUID: UInt32?
  public var effectiveGID: UInt32?
  public var groups: [UInt32] = []
  /// Of any of its threads: one that is traced does for its tracer whatever the process may do. 0: none. nil also where its
  /// threads were not looked at and the first one has none.
  public var tracer: Int32?
  public var parent: Int32?
  public var executable: File?
  /// As the link reads; for people only.
  public var executablePath: String?
  public var cgroup: String?
  public var pidNamespace: File?
  public var networkNamespace: File?
  private var threads: Int32?

  /// Reads what can be read; what cannot stays nil.
  ///
  /// - Parameter lookingAtThreads: for their tracers, one file each: only where something is granted or not for it.
  public init(of pid: Int32, lookingAtThreads: Bool = true) {
    let root = "/proc/\(pid)"
    if let status = try? ProcFile.read(root + "/status") { read(status: status) }
    if tracer == 0, threads != 1 {
      tracer = lookingAtThreads ? ProcessFacts.tracer(ofThreadsIn: root + "/task") : nil
    }
    executable = ProcessFacts.identity(root + "/exe")
    executablePath = try? ProcFile.readLink(root + "/exe")
    if let text = try? ProcFile.read(root + "/cgroup") { cgroup = ProcessFacts.unifiedCgroup(text) }
    pidNamespace = ProcessFacts.identity(root + "/ns/pid")
    networkNamespace = ProcessFacts.identity(root + "/ns/net")
  }

  /// Alone, with one read.
  public static func effectiveUID(of pid: Int32) -> UInt32? {
    guard let status = try? ProcFile.read("/proc/\(pid)/status") else { return nil }
    var facts = ProcessFacts()
    facts.read(status: status)
    return facts.effectiveUID
  }

  /// Device and inode of what `path` leads to, or nil.
  public static func identity(_ path: String) -> File? {
    guard let status = try? ProcFile.status(path) else { return nil }
    return File(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
  }

  /// More threads are not looked at, because everybody waits for it; whether one has a tracer is not known then.
  static let threadLimit = 1024

  /// The first tracer that one of the threads has, or 0; nil where that cannot be found out.
  private static func tracer(ofThreadsIn folder: String) -> Int32? {
    guard let threads = try? RegularFile.paths(in: folder, suffix: ""), (1...threadLimit).contains(threads.count) else {
      return nil
    }
    for thread in threads {
      var facts = ProcessFacts()
      do throws(SystemError) { facts.read(status: try ProcFile.read(thread + "/status")) } catch {
        // It has ended.
        guard error.errno == ENOENT || error.errno == ESRCH else { return nil }
        continue
      }
      guard let tracer = facts.tracer else { return nil }
      if tracer != 0 { return tracer }
    }
    return 0
  }

  private init() {}

  private mutating func read(status: [UInt8]) {
    for line in status.split(separator: UInt8(ascii: "\n")) {
      let words = line.split { $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: " ") }
      guard let key = words.first else { continue }
      func number<Number: FixedWidthInteger>(_ index: Int) -> Number? {
        index < words.count ? Number(String(decoding: words[index], as: UTF8.self)) : nil
      }
      switch String(decoding: key, as: UTF8.self) {
      case "PPid:": parent = number(1)
      case "TracerPid:": tracer = number(1)
      case "Threads:": threads = number(1)
      case "Uid:": effectiveUID = number(2)
      case "Gid:": effectiveGID = number(2)
      case "Groups:": groups = words.dropFirst().compactMap { UInt32(String(decoding: $0, as: UTF8.self)) }
      default: break
      }
    }
  }

  /// The path in the unified hierarchy; on a hybrid system whose unified one is unused, systemd's own.
  static func unifiedCgroup(_ text: [UInt8]) -> String? {
    var unified: String?
    var systemd: String?
    for line in text.split(separator: UInt8(ascii: "\n")) {
      let line = String(decoding: line, as: UTF8.self)
      if line.hasPrefix("0::") { unified = String(line.dropFirst(3)) }
      if let range = line.firstRange(of: ":name=systemd:") { systemd = String(line[range.upperBound...]) }
    }
    return unified == "/" ? systemd ?? unified : unified ?? systemd
  }
}
