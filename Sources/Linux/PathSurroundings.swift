import CLinux
import Glibc

/// Where a blocked thread of another process stands in the file system: its root and mount namespace, its working
/// directory or one of its directory descriptors.
///
/// Everything is reached through one descriptor of /proc/TGID/task/TID, which the kernel ties to that thread: when it has
/// ended nothing can be opened through it, also not when the number means another thread by then. That the thread is the
/// one that was asked about is for the caller to see (SECCOMP_IOCTL_NOTIF_ID_VALID, seccomp_unotify(2)), after the last
/// use.
///
/// All calls may wait for as long as the program likes if it has a FUSE file system in its way, so they run on the
/// listener's own thread only.
public struct PathSurroundings: ~Copyable, Sendable {
  /// AT_FDCWD
  public static let currentDirectory: Int32 = AT_FDCWD

  /// /proc/TGID/task/TID, in our own procfs.
  let task: Descriptor
  let root: Descriptor
  let rootPlace: PathPlace
  private let directory: Int32

  /// - Parameter directory: AT_FDCWD or a number of the program's; looked at only when a path starts there.
  /// - Throws: ESRCH or ENOENT where the thread has ended, EACCES where we may not look at it (ptrace(2), access mode
  ///   check).
  public init(tgid: Int32, tid: Int32, directory: Int32 = currentDirectory) throws(SystemError) {
    let task = try openPath(AT_FDCWD, "/proc/\(tgid)/task/\(tid)", CLINUX_PATH_DIRECTORY)
    let root = try openPath(task.rawValue, "root", CLINUX_PATH_FOLLOW)
    rootPlace = try PathPlace(root)
    self.task = task
    self.root = root
    self.directory = directory
  }

  /// What relative paths start at. EBADF for a number that is not open.
  func start() throws(SystemError) -> Descriptor {
    guard directory != PathSurroundings.currentDirectory else {
      return try openPath(task.rawValue, "cwd", CLINUX_PATH_FOLLOW)
    }
    guard directory >= 0 else { throw SystemError(errno: EBADF, operation: "openat") }
    do {
      return try openPath(task.rawValue, "fd/\(directory)", CLINUX_PATH_FOLLOW)
    } catch {
      guard error.errno == ENOENT else { throw error }
      throw SystemError(errno: EBADF, operation: "openat")
    }
  }
}

/// Which directory or link something is; only while a descriptor keeps it.
struct PathPlace: Hashable {
  let device: UInt64
  let inode: UInt64
  /// STATX_MNT_ID: a bind mount of a directory is another place than the directory.
  let mount: UInt64
}

extension PathPlace {
  init(_ descriptor: borrowing Descriptor) throws(SystemError) { self.init(try pathFacts(descriptor)) }

  init(_ facts: clinux_path_facts) { self.init(device: facts.device, inode: facts.inode, mount: facts.mount) }
}

func pathFacts(_ descriptor: borrowing Descriptor) throws(SystemError) -> clinux_path_facts {
  let number = descriptor.rawValue
  var facts = clinux_path_facts()
  // SAFETY: the structure is written by the call.
  _ = try retrying("statx") { unsafe Int(clinux_path_facts(number, &facts)) }
  return facts
}

/// openat2(2) of bytes without a zero byte among them.
func openPath(_ directory: Int32, _ path: some Sequence<UInt8>, _ how: clinux_path_open, _ rules: ResolveRules = [])
  throws(SystemError) -> Descriptor
{
  let terminated = Array(path) + [0]
  let number = try retrying("openat2", String(decoding: terminated.dropLast(), as: UTF8.self)) {
    // SAFETY: the array ends with a zero byte and lives during the call.
    unsafe Int(clinux_path_open(directory, terminated, how, rules.rawValue))
  }
  return Descriptor(adopting: Int32(number))
}

func openPath(_ directory: Int32, _ path: String, _ how: clinux_path_open, _ rules: ResolveRules = [])
  throws(SystemError) -> Descriptor
{
  try openPath(directory, path.utf8, how, rules)
}

/// The `resolve` field of openat2(2)'s struct open_how.
public struct ResolveRules: OptionSet, Sendable, Hashable {
  public let rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  public static let noMounts = ResolveRules(rawValue: UInt64(RESOLVE_NO_XDEV))
  public static let noMagicLinks = ResolveRules(rawValue: UInt64(RESOLVE_NO_MAGICLINKS))
  public static let noSymbolicLinks = ResolveRules(rawValue: UInt64(RESOLVE_NO_SYMLINKS))
  public static let beneath = ResolveRules(rawValue: UInt64(RESOLVE_BENEATH))
  public static let inRoot = ResolveRules(rawValue: UInt64(RESOLVE_IN_ROOT))
  public static let cached = ResolveRules(rawValue: UInt64(RESOLVE_CACHED))

  static let known: ResolveRules = [.noMounts, .noMagicLinks, .noSymbolicLinks, .beneath, .inRoot, .cached]
  var isScoped: Bool { !isDisjoint(with: [.beneath, .inRoot]) }
}
