import CLinux
import Glibc

/// Where a symbolic link leads.
enum LinkTarget: ~Copyable {
  case text([UInt8])
  /// A "magic" link of procfs goes to an open file, whatever name that has.
  case file(Descriptor)
}

extension PathSurroundings {
  /// - Parameters:
  ///   - entry: the link itself, found under `name` in `directory`.
  ///   - parent: facts of `directory`.
  func target(
    of entry: borrowing Descriptor, _ facts: clinux_path_facts, name: ArraySlice<UInt8>,
    in directory: borrowing Descriptor, _ parent: clinux_path_facts
  ) throws(SystemError) -> LinkTarget {
    switch facts.type {
    case clinux_type_proc: try procTarget(of: entry, facts, name: name, in: directory, parent)
    // Its links lead to another place for each reader (security/apparmor/apparmorfs.c).
    case clinux_type_apparmor: throw PathSurroundings.refusal(name)
    default: .text(try PathSurroundings.text(of: entry))
    }
  }

  /// The rule of fs.protected_symlinks (proc_sys_fs(5)) for the program's user: in a sticky directory that everybody may
  /// write to, only the follower's own links and the directory owner's lead anywhere. Kept also where the machine has it
  /// switched off.
  func checkTrust(in link: clinux_path_facts, of directory: clinux_path_facts) throws(SystemError) {
    let shared = S_ISVTX | S_IWOTH
    guard directory.mode & shared == shared, link.uid != directory.uid else { return }
    guard try credentials().user == link.uid else { throw SystemError(errno: EACCES, operation: "resolve") }
  }

  fileprivate static func text(of entry: borrowing Descriptor) throws(SystemError) -> [UInt8] {
    let number = entry.rawValue
    var text = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = try retrying("readlink") {
      // SAFETY: the array's size is passed.
      unsafe clinux_path_read_link(number, &text, Int(PATH_MAX))
    }
    guard count < text.count else { throw SystemError(errno: ENAMETOOLONG, operation: "readlink") }
    return Array(text[..<count])
  }

  private static func refusal(_ name: some Sequence<UInt8>) -> SystemError {
    SystemError(errno: EACCES, operation: "resolve", path: String(decoding: Array(name), as: UTF8.self))
  }

  // MARK: procfs

  /// A confused broker would follow these as itself: /proc/self/fd/3 as its own descriptor 3.
  ///
  /// What is followed goes through our own procfs and the descriptor of the program's thread, never through the link that
  /// was found: the program may mount what it likes over names of its procfs between two looks.
  private func procTarget(
    of entry: borrowing Descriptor, _ facts: clinux_path_facts, name: ArraySlice<UInt8>,
    in directory: borrowing Descriptor, _ parent: clinux_path_facts
  ) throws(SystemError) -> LinkTarget {
    // A bind mount shows a link, or a directory of links, under a name that is not its own.
    guard parent.type == clinux_type_proc, parent.mount == facts.mount else { throw PathSurroundings.refusal(name) }
    let text = String(decoding: name, as: UTF8.self)
    // PROC_ROOT_INO (include/linux/proc_ns.h)
    if parent.inode == 1 {
      switch text {
      case "self": return .text(Array(try numbers(in: directory).process.utf8))
      case "thread-self":
        let numbers = try numbers(in: directory)
        return .text(Array("\(numbers.process)/task/\(numbers.thread)".utf8))
      // "self/mounts" and "self/net"
      case "mounts", "net": return .text(try PathSurroundings.text(of: entry))
      default: throw PathSurroundings.refusal(name)
      }
    }
    switch text {
    case "cwd", "root", "exe": return .file(try own(text, of: ProcessTask(directory)))
    default:
      guard let number = Int32(text), number >= 0 else { throw PathSurroundings.refusal(name) }
      let above = try openPath(directory.rawValue, "..", CLINUX_PATH_DIRECTORY, .noMounts)
      let descriptors = try openPath(above.rawValue, "fd", CLINUX_PATH_DIRECTORY, .noMounts)
      guard try PathPlace(descriptors) == PathPlace(parent) else { throw PathSurroundings.refusal(name) }
      return .file(try own("fd/\(number)", of: ProcessTask(above)))
    }
  }

  /// What the link `name` of the program's own process leads to.
  private func own(_ name: String, of task: ProcessTask) throws(SystemError) -> Descriptor {
    let asking = try ProcessTask(self.task)
    guard task.isSameProcess(as: asking) else { throw PathSurroundings.refusal(name.utf8) }
    // Threads can have descriptors and a working directory of their own (CLONE_FILES, CLONE_FS).
    if task.thread == asking.thread { return try openPath(self.task.rawValue, name, CLINUX_PATH_FOLLOW) }
    guard task.isLeader else { throw PathSurroundings.refusal(name.utf8) }
    return try openPath(self.task.rawValue, "../../\(name)", CLINUX_PATH_FOLLOW)
  }

  /// The numbers that the program's process and thread have in the pid namespace of the procfs whose root `directory` is.
  private func numbers(in directory: borrowing Descriptor) throws(SystemError) -> (process: String, thread: String) {
    let asking = try ProcessTask(task)
    for (process, thread) in zip(asking.processNumbers, asking.threadNumbers) {
      guard
        let found = try? openPath(directory.rawValue, process, CLINUX_PATH_DIRECTORY, [.noMounts, .noSymbolicLinks]),
        let task = try? ProcessTask(found), task.isLeader, task.isSameProcess(as: asking)
      else { continue }
      return (process, thread)
    }
    // As the kernel says where the reader is not in that namespace (fs/proc/self.c).
    throw SystemError(errno: ENOENT, operation: "resolve", path: "self")
  }
}

/// Whose directory of procfs one is, in whatever instance of procfs it was found.
private struct ProcessTask {
  /// From the namespace of that procfs inwards to the process's own (proc_pid_status(5), NStgid and NSpid).
  let processNumbers: [String]
  let threadNumbers: [String]
  /// pid:[inode]
  private let namespace: [UInt8]

  init(_ directory: borrowing Descriptor) throws(SystemError) {
    // Without these a file mounted over "status" would tell whose it is.
    let strict: ResolveRules = [.noMounts, .noSymbolicLinks, .noMagicLinks]
    let file = try openPath(directory.rawValue, "status", CLINUX_PATH_READ, strict)
    let text = try ProcFile.read(file, path: "status", limit: 16384)
    var fields: [Substring: [String]] = [:]
    for line in String(decoding: text, as: UTF8.self).split(separator: "\n") where line.hasPrefix("NS") {
      let words = line.split { $0 == "\t" || $0 == " " }
      if let key = words.first { fields[key] = words.dropFirst().map(String.init) }
    }
    processNumbers = fields["NStgid:"] ?? []
    threadNumbers = fields["NSpid:"] ?? []
    let spaces = try openPath(directory.rawValue, "ns", CLINUX_PATH_DIRECTORY, strict)
    let space = try openPath(spaces.rawValue, "pid", CLINUX_PATH_ENTRY, .noMounts)
    namespace = try PathSurroundings.text(of: space)
    guard !processNumbers.isEmpty, processNumbers.count == threadNumbers.count else {
      throw SystemError(errno: ESRCH, operation: "read", path: "status")
    }
  }

  /// The number in the innermost namespace, which every procfs tells alike.
  var thread: String? { threadNumbers.last }
  var isLeader: Bool { threadNumbers.last == processNumbers.last }

  func isSameProcess(as other: ProcessTask) -> Bool {
    namespace == other.namespace && processNumbers.last == other.processNumbers.last
  }
}
