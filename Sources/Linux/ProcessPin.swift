import CLinux
import Glibc

/// A process held so that its number cannot come to mean another one: a pidfd, its start time, and a witness of its
/// program image.
///
/// The witness is a descriptor of /proc/PID/pagemap: the kernel ties it to the memory that the process had when it
/// was opened, and a read looks first whether that is still in use (fs/proc/task_mmu.c, pagemap_read), which it is no more once
/// an exec has replaced it. Unlike environ, maps and mem it does not wait for the process's memory map then, which the process can
/// keep to itself for as long as it likes. A process that keeps its old memory alive in a CLONE_VM child across an exec is not
/// seen by it; the proc connector is.
public struct ProcessPin: ~Copyable, Sendable {
  public enum State: Sendable, Hashable {
    case current
    case execed
    case ended
  }

  public let pid: Int32
  /// Clock ticks since boot (proc(5), stat field 22).
  public let start: UInt64
  public let pidfd: Descriptor
  private let witness: Descriptor

  /// Pins the process that is `pid` now, or the one of `pidfd` where the kernel gave one with a message.
  ///
  /// Fails with ESRCH where it has ended, with EACCES where the broker may not look at it: both mean "undecidable".
  public init(pid: Int32, pidfd given: consuming Descriptor? = nil) throws(SystemError) {
    let held: Descriptor
    if let given = given.take() {
      held = given
    } else {
      held = try ProcessPin.handle(of: pid)
    }
    let witness = try ProcessPin.openWitness(pid)
    let start = try ProcessPin.startTime(of: pid)
    // What was opened and read by number belongs to the pidfd's process only if that one is still there.
    if try isReadable(held.rawValue) {
      throw SystemError(errno: ESRCH, operation: "pidfd", path: "\(pid)")
    }
    self.pid = pid
    self.start = start
    self.pidfd = held
    self.witness = witness
  }

  /// Whether the process is still the one that was pinned, running the same program image.
  ///
  /// Anything that cannot be found out counts as ended.
  ///
  /// - Parameters:
  ///   - watchingEnd: false where the caller has just seen that its pidfd is not readable.
  ///   - watchingImage: false where exec events say it already. Either saves a system call.
  public borrowing func state(watchingEnd: Bool = true, watchingImage: Bool = true) -> State {
    if watchingEnd {
      guard let ended = try? isReadable(pidfd.rawValue), !ended else { return .ended }
    }
    return !watchingImage || ProcessPin.isInUse(witness.rawValue) ? .current : .execed
  }

  /// A pidfd of the process that is `pid` now (pidfd_open(2)).
  public static func handle(of pid: Int32) throws(SystemError) -> Descriptor {
    Descriptor(adopting: Int32(try retrying("pidfd_open", "\(pid)") { Int(clinux_pidfd_open(pid, 0)) }))
  }

  /// Sends a signal to exactly this process.
  public borrowing func send(signal: Int32) throws(SystemError) {
    let fd = pidfd.rawValue
    _ = try retrying("pidfd_send_signal") { Int(clinux_pidfd_send_signal(fd, signal)) }
  }

  private static func openWitness(_ pid: Int32) throws(SystemError) -> Descriptor {
    let path = "/proc/\(pid)/pagemap"
    let witness = try ProcFile.open(path)
    guard isInUse(witness.rawValue) else { throw SystemError(errno: ESRCH, operation: "read", path: path) }
    return witness
  }

  /// Entries are of eight bytes: the kernel refuses to read a part of one, but only of memory that is in use; else there is
  /// nothing to read.
  private static func isInUse(_ witness: Int32) -> Bool {
    var byte: UInt8 = 0
    // SAFETY: one byte has room for one byte.
    return unsafe pread(witness, &byte, 1, 0) < 0 && errno == EINVAL
  }

  /// The processes that `pid` descends from as far as proc(5) tells now, nearest first: who was reparented has lost them.
  public static func parents(of pid: Int32) -> [(pid: Int32, start: UInt64)] {
    var found: [(Int32, UInt64)] = []
    var next = pid
    // Deeper than any real descent; a parent's number cannot lead back to its child.
    while found.count < 256, let (parent, _) = try? parentAndStart(of: next), parent > 0,
      let (_, start) = try? parentAndStart(of: parent)
    {
      found.append((parent, start))
      next = parent
    }
    return found
  }

  /// Every process that proc(5) shows now, with its parent.
  public static func running() throws(SystemError) -> [(pid: Int32, parent: Int32, start: UInt64)] {
    try ProcessDescriptors.processes().compactMap { pid in
      guard let (parent, start) = try? parentAndStart(of: pid) else { return nil }
      return (pid, parent, start)
    }
  }

  /// Whether the process of this number that began at `start` has ended, though nobody may have waited for it yet.
  /// Anything that cannot be found out counts as not ended.
  public static func hasEnded(_ pid: Int32, start: UInt64) -> Bool {
    do throws(SystemError) {
      let held = try handle(of: pid)
      guard try startTime(of: pid) == start else { return true }
      return try isReadable(held.rawValue)
    } catch { return error.errno == ESRCH || error.errno == ENOENT }
  }

  /// The start time of `pid` now.
  public static func startTime(of pid: Int32) throws(SystemError) -> UInt64 { try parentAndStart(of: pid).start }

  /// Whether threads of `pid` live beside its leader, which may be ending (proc(5), stat field 20).
  public static func hasOtherThreads(_ pid: Int32) -> Bool {
    guard let fields = try? statistics(of: pid), fields.count > 17 else { return false }
    return (Int(String(decoding: fields[17], as: UTF8.self)) ?? 0) > 1
  }

  private static func parentAndStart(of pid: Int32) throws(SystemError) -> (parent: Int32, start: UInt64) {
    let fields = try statistics(of: pid)
    guard fields.count > 19, let start = UInt64(String(decoding: fields[19], as: UTF8.self)),
      let parent = Int32(String(decoding: fields[1], as: UTF8.self))
    else { throw SystemError(errno: EINVAL, operation: "parse", path: "/proc/\(pid)/stat") }
    return (parent, start)
  }

  /// The fields of /proc/PID/stat from the third on.
  private static func statistics(of pid: Int32) throws(SystemError) -> [ArraySlice<UInt8>] {
    let path = "/proc/\(pid)/stat"
    let text = try ProcFile.read(path, limit: 4096)
    // The name in parentheses may hold anything; the numbers start after the last one. Field 22 is the 20th after it.
    guard let end = text.lastIndex(of: UInt8(ascii: ")")) else {
      throw SystemError(errno: EINVAL, operation: "parse", path: path)
    }
    return text[(end + 1)...].split(separator: UInt8(ascii: " "))
  }
}
