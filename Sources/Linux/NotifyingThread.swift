import CLinux
import Glibc

/// The thread that issued a notified system call, and its process.
///
/// A thread's number may be used anew as soon as the thread has ended. It had not at any time before
/// `NotificationListener.isValid` says yes; so whatever is found out here counts only after a later yes.
///
/// Reading a program's memory lasts as long as the program likes (userfaultfd(2), a mapped file of its own FUSE server)
/// and can only be ended by ending either of the two: not for a thread that others wait for.
public struct NotifyingThread: ~Copyable, Sendable {
  public let tid: Int32
  /// Its process.
  public let tgid: Int32
  /// Of the process.
  public let pidfd: Descriptor
  /// Of the thread; nil before Linux 6.9.
  private let thread: Descriptor?

  /// - Parameter tid: `Notification.thread`.
  /// - Throws: ESRCH for 0, for a thread that has ended, and where the numbers do not fit each other any more.
  public init(tid: Int32) throws(SystemError) { try self.init(tid: tid, threadHandle: true) }

  /// - Parameter threadHandle: false: as on a kernel that has no pidfd of a thread.
  init(tid: Int32, threadHandle: Bool) throws(SystemError) {
    guard tid > 0 else { throw SystemError(errno: ESRCH, operation: "notifying thread", path: "\(tid)") }
    let tgid = try Self.process(of: "/proc/\(tid)/status")
    let pidfd = try ProcessPin.handle(of: tgid)
    let thread = threadHandle ? try Self.handle(ofThread: tid) : nil
    // Opened by number: they are the thread's if the thread is in that process now.
    guard ProcessFacts.identity("/proc/\(tgid)/task/\(tid)") != nil else {
      throw SystemError(errno: ESRCH, operation: "notifying thread", path: "\(tid)")
    }
    self.tid = tid
    self.tgid = tgid
    self.pidfd = pidfd
    self.thread = thread
  }

  private static func handle(ofThread tid: Int32) throws(SystemError) -> Descriptor? {
    do {
      return Descriptor(
        adopting: Int32(try retrying("pidfd_open(PIDFD_THREAD)", "\(tid)") { Int(clinux_pidfd_open_thread(tid)) }))
    } catch {
      guard error.errno == EINVAL else { throw error }
      return nil
    }
  }

  private static func process(of path: String) throws(SystemError) -> Int32 {
    // Among the first lines; the rest is not needed, and would cost most of the time.
    let status = try StatusFile(path, limit: 512)
    guard let process: Int32 = status.number("Tgid:", 1) else { throw status.invalid("Tgid") }
    return process
  }

  /// Whether its number still means this thread: it lives, or, on a kernel that knows no pidfd of a thread, it is its
  /// process's leader and the process lives.
  public var isAlive: Bool {
    switch thread {
    case .some(let thread): (try? isReadable(thread.rawValue)) == false
    case .none: tid == tgid && (try? isReadable(pidfd.rawValue)) == false
    }
  }

  /// Copies `count` bytes of its memory, once (process_vm_readv(2)).
  ///
  /// - Throws: EFAULT where any of them is not readable; EPERM where the broker may not look.
  public borrowing func read(at address: UInt64, count: Int) throws(SystemError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    guard count > 0 else { return bytes }
    let number = tid
    let result = unsafe bytes.withUnsafeMutableBytes { buffer in
      // SAFETY: the array's storage with its size; the address is the other process's and only read through the kernel.
      unsafe clinux_read_memory(number, address, buffer.baseAddress, buffer.count)
    }
    guard result == 0 else { throw SystemError(errno: -result, operation: "process_vm_readv", path: "\(tid)") }
    return bytes
  }

  /// Copies a string without its NUL, page by page, since it may end at the end of what is mapped.
  ///
  /// - Throws: ENAMETOOLONG where there is no NUL within the first `limit` bytes; else as `read`.
  public borrowing func readString(at address: UInt64, limit: Int) throws(SystemError) -> [UInt8] {
    var text: [UInt8] = []
    while text.count < limit {
      let (next, overflow) = address.addingReportingOverflow(UInt64(text.count))
      guard !overflow else { throw SystemError(errno: EFAULT, operation: "process_vm_readv", path: "\(tid)") }
      // A page of the smallest size there is.
      let part = try read(at: next, count: min(4096 - Int(next % 4096), limit - text.count))
      if let end = part.firstIndex(of: 0) { return text + part[..<end] }
      text += part
    }
    throw SystemError(errno: ENAMETOOLONG, operation: "process_vm_readv", path: "\(tid)")
  }

  /// A copy of its descriptor `number`, close-on-exec (pidfd_getfd(2)).
  ///
  /// A stranger prepared it: close it as a `PeerDescriptor` where nobody may be held up.
  ///
  /// - Throws: EBADF where it has none of that number, EPERM where the broker may not look; ENOTSUP where the thread has a
  ///   descriptor table of its own and the kernel knows no pidfd of a thread.
  public borrowing func fetch(_ number: Int32) throws(SystemError) -> Descriptor {
    let handle: Int32
    switch thread {
    case .some(let thread): handle = thread.rawValue
    case .none:
      guard try sharesDescriptors() else { throw SystemError(errno: ENOTSUP, operation: "pidfd_getfd", path: "\(tid)") }
      handle = pidfd.rawValue
    }
    return Descriptor(
      adopting: Int32(try retrying("pidfd_getfd", "\(tid)") { Int(clinux_pidfd_get(handle, number)) }))
  }

  private borrowing func sharesDescriptors() throws(SystemError) -> Bool {
    let (one, other) = (tid, tgid)
    return try retrying("kcmp", "\(tid)") { Int(clinux_share_descriptors(one, other)) } == 1
  }

  /// What proc(5) says of the thread now.
  ///
  /// - Throws: EBADMSG where anything is missing; nothing has a default.
  public borrowing func facts() throws(SystemError) -> ThreadFacts {
    let root = "/proc/\(tgid)/task/\(tid)"
    let status = try StatusFile(root + "/status")
    guard let effectiveUID: UInt32 = status.number("Uid:", 2), let fsUID: UInt32 = status.number("Uid:", 4) else {
      throw status.invalid("Uid")
    }
    guard let fsGID: UInt32 = status.number("Gid:", 4) else { throw status.invalid("Gid") }
    guard let groups = status.numbers("Groups:") else { throw status.invalid("Groups") }
    guard let capabilities: UInt64 = status.number("CapEff:", 1, radix: 16) else { throw status.invalid("CapEff") }
    guard let noNewPrivileges: Int = status.number("NoNewPrivs:", 1) else { throw status.invalid("NoNewPrivs") }
    return ThreadFacts(
      effectiveUID: effectiveUID, fsUID: fsUID, fsGID: fsGID, groups: groups, effectiveCapabilities: capabilities,
      umask: status.number("Umask:", 1, radix: 8), networkNamespace: ProcessFacts.identity(root + "/ns/net"),
      userNamespace: ProcessFacts.identity(root + "/ns/user"), noNewPrivileges: noNewPrivileges != 0)
  }
}

/// Who a thread is where the kernel checks what it does to files and sockets.
public struct ThreadFacts: Sendable, Hashable {
  public var effectiveUID: UInt32
  public var fsUID: UInt32
  public var fsGID: UInt32
  /// Supplementary groups.
  public var groups: [UInt32]
  /// Bit N is capability N: over what belongs to the thread's user namespace, which need not be ours.
  public var effectiveCapabilities: UInt64
  /// nil for a thread that is ending.
  public var umask: UInt32?
  /// nil where the broker may not look at it (ptrace(2), PTRACE_MODE_READ).
  public var networkNamespace: ProcessFacts.File?
  /// nil as above.
  public var userNamespace: ProcessFacts.File?
  public var noNewPrivileges: Bool
}

extension ThreadFacts {
  /// Whether it has this capability over what our own user namespace governs: in a namespace of its own a process may
  /// have every capability and no privilege here (user_namespaces(7)).
  public func holds(_ capability: Capability) -> Bool {
    userNamespace == Self.ownUserNamespace && effectiveCapabilities & (1 << UInt64(capability.rawValue)) != 0
  }

  private static let ownUserNamespace = ProcessFacts.identity("/proc/self/ns/user")
}

/// /proc/PID/status by its lines; a name within it cannot break a line, the kernel escapes it.
private struct StatusFile {
  private let path: String
  private var lines: [String: [Substring]] = [:]

  init(_ path: String, limit: Int = 65536) throws(SystemError) {
    self.path = path
    do {
      for line in String(decoding: try ProcFile.read(path, limit: limit), as: UTF8.self).split(separator: "\n") {
        let words = line.split { $0 == "\t" || $0 == " " }
        if let key = words.first { lines[String(key)] = words }
      }
    } catch {
      // The thread has ended: proc(5) has no folder for it.
      guard error.errno == ENOENT else { throw error }
      throw SystemError(errno: ESRCH, operation: error.operation, path: path)
    }
  }

  func number<Number: FixedWidthInteger>(_ key: String, _ index: Int, radix: Int = 10) -> Number? {
    guard let words = lines[key], index < words.count else { return nil }
    return Number(words[index], radix: radix)
  }

  func numbers(_ key: String) -> [UInt32]? {
    guard let words = lines[key]?.dropFirst() else { return nil }
    let numbers = words.compactMap { UInt32($0) }
    return numbers.count == words.count ? numbers : nil
  }

  func invalid(_ key: String) -> SystemError { SystemError(errno: EBADMSG, operation: key, path: path) }
}
