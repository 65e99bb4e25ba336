import CLinux
import Glibc
import Synchronization

extension OwnProcess {
  private static let ignoredBefore = Atomic<Bool>(false)

  /// A write to a pipe that nobody reads gives EPIPE from now on, no signal (signal(7), SIGPIPE).
  public static func ignoreBrokenPipes() {
    ignoredBefore.store(clinux_ignore_broken_pipes() == 1, ordering: .relaxed)
  }

  /// Makes SIGPIPE again what it was before `ignoreBrokenPipes`: a program that we become is to find it so.
  public static func restoreBrokenPipes() {
    if !ignoredBefore.load(ordering: .relaxed) { _ = clinux_default_signal(SIGPIPE) }
  }

  /// Which rights files that this process makes never have (umask(2)); all of its threads share it.
  public static func setFileMask(_ mask: UInt32) { _ = umask(mask) }

  /// How much freed memory the process keeps rather than give it back at once and have it zeroed again, page by page
  /// (mallopt(3) M_TRIM_THRESHOLD; 128 KiB by itself).
  public static func keepFreedMemory(upTo bytes: Int32) { clinux_keep_freed_memory(bytes) }

  /// What ps(1) calls this process beside its command line; cut after 15 bytes (prctl(2) PR_SET_NAME).
  public static func rename(_ name: String) {
    // SAFETY: the string lives during the call.
    unsafe clinux_name_thread(name)
  }

  /// Gives a signal its default effect (signal(7)).
  public static func restoreDefault(signal: Int32) { _ = clinux_default_signal(signal) }

  /// _exit(2): nothing of this process is cleared up, as is right for a child that goes on with its parent's memory.
  public static func exitAtOnce(_ status: Int32) -> Never { _exit(status) }

  /// Becomes the program at `path` (execve(2)) with the environment as it is; returns only where that fails.
  ///
  /// - Parameters:
  ///   - arguments: with the name it is called by first.
  ///   - tail: how many of them, from the end, are also the last arguments of this process: these are passed on byte by
  ///     byte, while a Swift string repairs what is no UTF-8.
  public static func become(_ path: String, _ arguments: [String], tail: Int = 0) -> SystemError {
    // SAFETY: the list ends with a null pointer; its strings live during the call.
    unsafe withArguments(arguments, tail: tail) { list in unsafe clinux_become(path, list) }
    return SystemError(errno: errno, operation: "execve", path: path)
  }

  /// Runs this program's own file again, apart from everything: see `clinux_spawn_detached`.
  ///
  /// - Parameter descriptor: what it finds as descriptor 3; stays open here.
  public static func spawnDetached(_ arguments: [String], _ descriptor: borrowing Descriptor) throws(SystemError) {
    let number = descriptor.rawValue
    // SAFETY: as above.
    let result = unsafe withArguments(arguments, tail: 0) { list in unsafe clinux_spawn_detached(number, list) }
    guard result == 0 else { throw SystemError(errno: errno, operation: "fork") }
  }

  /// The number of the descriptor that `spawnDetached` gave this process.
  public static let detachedDescriptor = Int32(CLINUX_DETACHED_DESCRIPTOR)

  /// Takes over an inherited connection of SOCK_SEQPACKET and makes it close-on-exec; EBADF where `number` is none.
  public static func takeMessageSocket(_ number: Int32) throws(SystemError) -> Descriptor {
    guard clinux_is_message_socket(number) == 1, clinux_set_flags(number, 0, 1) == 0 else {
      throw SystemError(errno: EBADF, operation: "getsockopt", path: "descriptor \(number)")
    }
    return Descriptor(adopting: number)
  }

  @discardableResult
  private static func withArguments(
    _ arguments: [String], tail: Int, _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Int32
  ) -> Int32 {
    let inherited = Int(CommandLine.argc) - tail
    // SAFETY: the strings are ours and live to the end of this function; argv of main lives as long as the process.
    var list: [UnsafeMutablePointer<CChar>?] = unsafe arguments.enumerated().map { index, text in
      let place = index - (arguments.count - tail)
      if place >= 0, inherited > 0, let given = unsafe CommandLine.unsafeArgv[inherited + place],
        unsafe String(cString: given) == text
      {
        return unsafe strdup(given)
      }
      return unsafe strdup(text)
    }
    unsafe list.append(nil)
    defer { for index in 0..<arguments.count { unsafe free(list[index]) } }
    return unsafe list.withUnsafeBufferPointer { buffer in
      // The array has at least its null pointer.
      guard let base = buffer.baseAddress else { return -1 }
      return unsafe body(base)
    }
  }

  /// Sets a variable of our own environment; only while there is one thread.
  public static func set(variable name: String, to value: String) {
    // SAFETY: both strings are copied by the call.
    _ = unsafe setenv(name, value, 1)
  }
}

extension OwnProcess {
  /// The first of `count` numbers from `first` on that would be open in a program that we become; nil: none would.
  public static func firstKept(from first: Int32, count: Int) -> Int32? {
    (first..<(first + Int32(count))).first { number in
      let flags = clinux_descriptor_flags(number)
      return flags >= 0 && flags & FD_CLOEXEC == 0
    }
  }

  /// Puts copies of descriptors at consecutive numbers, open also in the program that we become; whatever is at these
  /// numbers is closed. Only right before that: the numbers may be those of descriptors that others own.
  public static func place(_ descriptors: [SharedDescriptor], from first: Int32) throws(SystemError) {
    // All of them out of the way first, so that none is overwritten by another one.
    var moved: [Int32] = []
    for shared in descriptors {
      guard let descriptor = shared.take() else { continue }
      let number = descriptor.rawValue
      let lowest = first + Int32(descriptors.count)
      moved.append(Int32(try retrying("fcntl(F_DUPFD_CLOEXEC)") { Int(clinux_duplicate_above(number, lowest)) }))
    }
    for (index, number) in moved.enumerated() {
      _ = try retrying("dup2") { Int(clinux_place(number, first + Int32(index))) }
    }
  }
}

/// A child that this process waits for (fork(2)); it is in the same process group and has the same terminal.
public struct ChildProcess: ~Copyable, Sendable {
  public let pid: Int32

  /// Runs `body` in a child.
  ///
  /// Only in a process with one thread: the child goes on with a copy of everything, locks that others held too.
  public init(_ body: () -> Never) throws(SystemError) {
    let pid = clinux_fork()
    if pid == 0 { body() }
    guard pid > 0 else { throw SystemError(errno: errno, operation: "fork") }
    self.pid = pid
  }

  /// What a shell would say once it has ended (the exit code, or 128 and the signal's number); nil while it runs.
  public borrowing func ended() throws(SystemError) -> Int32? { try status(waiting: false) }

  /// The same, once it has ended.
  public borrowing func wait() throws(SystemError) -> Int32 { try status(waiting: true) ?? 0 }

  private borrowing func status(waiting: Bool) throws(SystemError) -> Int32? {
    var status: Int32 = 0
    let number = pid
    let count = try retrying("waitpid") {
      // SAFETY: four bytes are written to four bytes.
      unsafe Int(clinux_child_ended(number, &status, waiting ? 1 : 0))
    }
    return count == 0 ? nil : clinux_shell_status(status)
  }

  /// kill(2)
  public borrowing func send(signal: Int32) { _ = kill(pid, signal) }
}

/// Signals by their names in signal(7), for modules without a C library.
public enum Signal {
  public static let hangUp = SIGHUP
  public static let interrupt = SIGINT
  public static let quit = SIGQUIT
  public static let terminate = SIGTERM
  public static let childEnded = SIGCHLD
}

extension Descriptor {
  /// A file for writing, made anew or emptied (open(2) O_CREAT and O_TRUNC), readable for everybody the umask lets.
  public static func create(_ path: String) throws(SystemError) -> Descriptor {
    // SAFETY: the string lives during the call.
    Descriptor(
      adopting: Int32(
        try retrying("open", path) {
          unsafe Int(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0o644))
        }))
  }

  /// Writes every byte where the descriptor stands, in as many calls as it takes.
  public borrowing func writeAll(_ bytes: [UInt8]) throws(SystemError) {
    let number = rawValue
    var written = 0
    while written < bytes.count {
      let start = written
      written += try retrying("write") {
        unsafe bytes.withUnsafeBytes { source in
          // SAFETY: the part that is given lies inside the array's storage.
          unsafe Glibc.write(number, source.baseAddress.map { unsafe $0 + start }, source.count - start)
        }
      }
    }
  }

  /// Whether this process may open for use what this descriptor pins (faccessat(2) with the effective ids).
  public borrowing func isAccessible(_ access: Served.Access) -> Bool {
    let mode: Int32 =
      switch access {
      case .readOnly: R_OK
      case .writeOnly: W_OK
      case .readWrite: R_OK | W_OK
      }
    return clinux_may_access(rawValue, mode) == 0
  }
}
