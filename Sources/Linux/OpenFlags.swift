import CLinux

/// The flags of open(2) as a program passed them, in the kernel's numbers.
///
/// open(2) and openat(2) pass an int: widen it without its sign. openat2(2) passes 64 bits.
public struct OpenFlags: OptionSet, Sendable, Hashable {
  public let rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  public static let writeOnly = OpenFlags(rawValue: clinux_o_wronly)
  public static let readWrite = OpenFlags(rawValue: clinux_o_rdwr)
  public static let create = OpenFlags(rawValue: clinux_o_creat)
  public static let exclusive = OpenFlags(rawValue: clinux_o_excl)
  public static let noControllingTerminal = OpenFlags(rawValue: clinux_o_noctty)
  public static let truncate = OpenFlags(rawValue: clinux_o_trunc)
  public static let append = OpenFlags(rawValue: clinux_o_append)
  public static let nonBlocking = OpenFlags(rawValue: clinux_o_nonblock)
  public static let dataSync = OpenFlags(rawValue: clinux_o_dsync)
  /// Includes `dataSync`.
  public static let sync = OpenFlags(rawValue: clinux_o_sync)
  public static let async = OpenFlags(rawValue: clinux_o_async)
  public static let direct = OpenFlags(rawValue: clinux_o_direct)
  public static let largeFile = OpenFlags(rawValue: clinux_o_largefile)
  public static let directory = OpenFlags(rawValue: clinux_o_directory)
  public static let noFollow = OpenFlags(rawValue: clinux_o_nofollow)
  public static let noAccessTime = OpenFlags(rawValue: clinux_o_noatime)
  public static let closeOnExec = OpenFlags(rawValue: clinux_o_cloexec)
  public static let path = OpenFlags(rawValue: clinux_o_path)
  /// Includes `directory`.
  public static let temporary = OpenFlags(rawValue: clinux_o_tmpfile)

  /// What creat(2) stands for.
  public static let creat: OpenFlags = [.writeOnly, .create, .truncate]

  /// The access mode; nil for the fourth value, which only drivers give a meaning to (open(2)).
  public var access: Served.Access? {
    switch rawValue & clinux_o_accmode {
    case 0: .readOnly
    case clinux_o_wronly: .writeOnly
    case clinux_o_rdwr: .readWrite
    default: nil
    }
  }
}

/// An open that the broker performs in the program's place.
public struct Served: Sendable, Hashable {
  public enum Access: Sendable, Hashable {
    case readOnly
    case writeOnly
    case readWrite
  }

  public var access: Access
  /// What the opened file is to have beside the access mode: `append`, `direct`, `dataSync`, `sync`, `noAccessTime`,
  /// `nonBlocking`, `truncate`.
  public var flags: OpenFlags
  /// For the descriptor that the program gets; ours are always close-on-exec.
  public var closeOnExec: Bool
  /// For `PathSurroundings.resolve`: false where the program passed O_NOFOLLOW.
  public var follow: Bool

  public init(access: Access, flags: OpenFlags, closeOnExec: Bool, follow: Bool) {
    self.access = access
    self.flags = flags
    self.closeOnExec = closeOnExec
    self.follow = follow
  }

  public var truncates: Bool { flags.contains(.truncate) }
}

extension OpenFlags {
  private static let kept: OpenFlags = [
    .append, .direct, .sync, .dataSync, .noAccessTime, .nonBlocking, .truncate, .exclusive,
  ]
  /// What is taken note of or means nothing here. The broker never takes a controlling terminal, so a session's leader
  /// that opens a tty without O_NOCTTY does not get one from us. O_ASYNC does nothing in open(2), and every open of a
  /// 64 bit process is O_LARGEFILE. O_CREAT alone does nothing to a file that exists; for one that does not, resolving
  /// ends in ENOENT, and creating it is the kernel's affair.
  private static let dropped: OpenFlags = [
    .writeOnly, .readWrite, .create, .noControllingTerminal, .async, .largeFile, .noFollow, .closeOnExec,
  ]

  /// How the broker opens for a program that passed these flags, or nil where it leaves the call to the kernel.
  ///
  /// To the kernel go: O_PATH, which needs no permission for the file; O_DIRECTORY and O_TMPFILE, which mean no object;
  /// O_EXCL with O_CREAT, which demands that nothing is there; the fourth access mode; O_TRUNC without write access, which
  /// open(2) leaves undefined; every bit that is not known here.
  public static func servable(_ flags: OpenFlags) -> Served? {
    guard flags.isSubset(of: kept.union(dropped)), let access = flags.access else { return nil }
    guard !flags.contains(.truncate) || access != .readOnly else { return nil }
    // Alone it claims a block device (open(2)), and does nothing to anything else.
    guard !flags.contains(.exclusive) || !flags.contains(.create) else { return nil }
    return Served(
      access: access, flags: flags.intersection(kept), closeOnExec: flags.contains(.closeOnExec),
      follow: !flags.contains(.noFollow))
  }
}
