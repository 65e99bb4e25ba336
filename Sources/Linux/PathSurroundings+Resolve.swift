import CLinux
import Glibc

private let slash = UInt8(ascii: "/")
private let dot = UInt8(ascii: ".")

extension PathSurroundings {
  /// Pins exactly the file that the program's own open of `path` would open, now.
  ///
  /// Parts without symbolic links are one openat2(2); links are read and followed here, because the kernel would take
  /// /proc/self for ours, leave the program's root at a `..` or an absolute link, and judge links in sticky directories
  /// by our user. Directories are searched with our permissions. Whatever is odd is an error, never another file: the
  /// caller lets the kernel decide.
  ///
  /// - Parameters:
  ///   - path: as the program gave it, without the terminating zero byte.
  ///   - follow: false for O_NOFOLLOW.
  ///   - rules: what the program passed to openat2(2).
  /// - Returns: an O_PATH descriptor.
  /// - Throws: the kernel's own errors (ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG, EXDEV, EAGAIN, EBADF, EINVAL), and EACCES
  ///   for links of procfs that lead into another process.
  public func resolve(_ path: [UInt8], follow: Bool = true, rules: ResolveRules = []) throws(SystemError) -> Descriptor
  {
    guard !path.contains(0), rules.isSubset(of: .known), !rules.isSuperset(of: [.beneath, .inRoot]) else {
      throw SystemError(errno: EINVAL, operation: "resolve")
    }
    guard let first = path.first else { throw SystemError(errno: ENOENT, operation: "resolve") }
    // PATH_MAX counts the terminating zero byte.
    guard path.count < PATH_MAX else { throw SystemError(errno: ENAMETOOLONG, operation: "resolve") }
    guard first != slash || !rules.contains(.beneath) else { throw SystemError(errno: EXDEV, operation: "resolve") }

    let fromRoot = first == slash && !rules.contains(.inRoot)
    let beginning = fromRoot ? try root.duplicate() : try start()
    // With RESOLVE_IN_ROOT and RESOLVE_BENEATH the start is what must not be left.
    let base = rules.isScoped ? try beginning.duplicate() : nil
    let place = rules.isScoped ? try PathPlace(beginning) : rootPlace
    var walk = PathWalk(at: beginning, below: base, place: place, path: path, follow: follow, rules: rules)
    return try walk.run(in: self)
  }
}

/// One path on its way: where it has come to, and what is left.
struct PathWalk: ~Copyable {
  /// The kernel's MAXSYMLINKS (include/linux/namei.h).
  static let maximumLinks = 40

  private var current: Descriptor
  /// What must not be left, if it is not the program's root.
  private let base: Descriptor?
  private let basePlace: PathPlace
  private var left: ArraySlice<UInt8>
  private let follow: Bool
  private let rules: ResolveRules
  private var links = 0

  init(
    at current: consuming Descriptor, below base: consuming Descriptor?, place: PathPlace, path: [UInt8], follow: Bool,
    rules: ResolveRules
  ) {
    self.current = current
    self.base = base
    basePlace = place
    left = path[...]
    self.follow = follow
    self.rules = rules
  }

  mutating func run(in surroundings: borrowing PathSurroundings) throws(SystemError) -> Descriptor {
    if let found = try straight(isAtBase: base != nil || left.first == slash) { return found }
    while true {
      left = left.drop { $0 == slash }
      // Whatever was followed by a slash is known to be a directory.
      guard !left.isEmpty else { return try here() }
      let end = left.firstIndex(of: slash) ?? left.endIndex
      let name = left[..<end]
      left = left[end...]
      let isLast = left.allSatisfy { $0 == slash }
      let isDirectory = !left.isEmpty
      if name.elementsEqual([dot]) { continue }
      if name.elementsEqual([dot, dot]) {
        try goUp()
        continue
      }
      if isDirectory, try enter(name) { continue }
      let entry = try openPath(current.rawValue, name, CLINUX_PATH_ENTRY, step)
      let facts = try pathFacts(entry)
      guard facts.mode & S_IFMT == S_IFLNK else {
        guard isDirectory else { return entry }
        guard facts.mode & S_IFMT == S_IFDIR else { throw failure(ENOTDIR) }
        current = entry
        continue
      }
      guard follow || !isLast || isDirectory else { throw failure(ELOOP) }
      links += 1
      guard links <= PathWalk.maximumLinks, !rules.contains(.noSymbolicLinks), facts.no_symlinks == 0 else {
        throw failure(ELOOP)
      }
      let parent = try pathFacts(current)
      if isLast { try surroundings.checkTrust(in: facts, of: parent) }
      switch try surroundings.target(of: entry, facts, name: name, in: current, parent) {
      case .text(let text):
        try putInFront(text, root: surroundings.root)
        if let found = try straight(isAtBase: PathPlace(current) == basePlace) { return found }
      case .file(let file):
        guard !rules.contains(.noMagicLinks) else { throw failure(ELOOP) }
        let status = try pathFacts(file)
        guard !rules.isScoped, !rules.contains(.noMounts) || status.mount == parent.mount else { throw failure(EXDEV) }
        guard isDirectory else { return file }
        guard status.mode & S_IFMT == S_IFDIR else { throw failure(ENOTDIR) }
        current = file
      }
    }
  }

  /// What each step by itself has to keep of the program's rules.
  private var step: ResolveRules { rules.intersection(.noMounts) }

  /// All that is left in one call, if there is no symbolic link in it and no way out; nil where it has to be walked.
  private mutating func straight(isAtBase: Bool) throws(SystemError) -> Descriptor? {
    let rest = left.drop { $0 == slash }
    guard !rest.isEmpty else { return nil }
    // At the program's root `..` stays; elsewhere it may lead above what one call can be held to.
    let scope: ResolveRules = isAtBase ? (rules.contains(.beneath) ? .beneath : .inRoot) : .beneath
    let asked = rules.intersection([.noMounts, .cached]).union([.noSymbolicLinks, .noMagicLinks, scope])
    do {
      return try openPath(
        current.rawValue, rest, CLINUX_PATH_FOLLOW, asked)
    } catch {
      let isWalkable = [ELOOP, EXDEV, EAGAIN].contains(error.errno)
      guard isWalkable else { throw error }
      // A look into the cache cannot be walked; the program asks again without (openat2(2)).
      guard !rules.contains(.cached) else { throw failure(EAGAIN) }
      return nil
    }
  }

  /// Goes into a directory; false where the name is none, which a link is not.
  private mutating func enter(_ name: ArraySlice<UInt8>) throws(SystemError) -> Bool {
    do {
      current = try openPath(current.rawValue, name, CLINUX_PATH_DIRECTORY, step)
      return true
    } catch {
      guard error.errno == ENOTDIR else { throw error }
      return false
    }
  }

  private mutating func goUp() throws(SystemError) {
    let place = try PathPlace(current)
    // A rename elsewhere can move us out of the start between two steps; the kernel would notice, we would not.
    guard !rules.isScoped else { throw failure(EAGAIN) }
    guard place != basePlace else { return }
    let above = try openPath(current.rawValue, "..", CLINUX_PATH_DIRECTORY, step)
    // Nothing above, although the program's root is elsewhere: a root of ours, or of a mount namespace that the program
    // has left its root in.
    guard try PathPlace(above) != place else { throw failure(EXDEV) }
    current = above
  }

  private mutating func putInFront(_ text: [UInt8], root: borrowing Descriptor) throws(SystemError) {
    guard let first = text.first else { throw failure(ENOENT) }
    if first == slash {
      // With RESOLVE_NO_XDEV the kernel refuses most such links, also within a mount (nd_jump_root, fs/namei.c).
      guard rules.isDisjoint(with: [.beneath, .noMounts]) else { throw failure(EXDEV) }
      switch base {
      case .some(let base): current = try base.duplicate()
      case .none: current = try root.duplicate()
      }
    }
    left = (text + left)[...]
  }

  private borrowing func here() throws(SystemError) -> Descriptor {
    try openPath(current.rawValue, ".", CLINUX_PATH_DIRECTORY)
  }

  private func failure(_ code: Int32) -> SystemError {
    SystemError(errno: code, operation: "resolve", path: String(decoding: left, as: UTF8.self))
  }
}
