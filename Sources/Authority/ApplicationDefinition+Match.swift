import Instructions

extension ApplicationDefinition {
  /// Which keys are given, and which of them match; the first that does not.
  struct Match: Hashable {
    var given: SelectorKeys = []
    var matching: SelectorKeys = []
    var mismatch: SelectorKey?

    /// At least one key is given and all of them match.
    var isComplete: Bool { !given.isEmpty && mismatch == nil }

    /// How many keys match.
    var count: Int { matching.rawValue.nonzeroBitCount }
  }

  /// Compares the selector with a subject. A fact that is nil on either side matches nothing.
  func match(_ subject: Subject, identity: (String) -> FileIdentity?) -> Match {
    var result = Match()
    func note(_ key: SelectorKey, _ matches: Bool) {
      result.given.insert(SelectorKeys(key))
      if matches {
        result.matching.insert(SelectorKeys(key))
      } else if result.mismatch == nil {
        result.mismatch = key
      }
    }
    if let user { note(.user, subject.effectiveUID == user.id) }
    if let group {
      note(.group, subject.effectiveGID == group.id || subject.supplementaryGIDs.contains(group.id))
    }
    if let executable {
      // Asked of the file system only where the subject has one to compare with.
      note(.executable, subject.executable.map { identity(executable) == $0 } ?? false)
    }
    if let cgroup { note(.cgroup, subject.cgroup.map { isCgroup($0, atOrBelow: cgroup) } ?? false) }
    return result
  }
}

/// Whether a cgroup path is `top` or below it, component by component: `/a/bc` is not below `/a/b`.
///
/// A path with `..` (a cgroup outside the reader's cgroup namespace, cgroup_namespaces(7)) is below nothing.
func isCgroup(_ path: String, atOrBelow top: String) -> Bool {
  guard path.utf8.first == UInt8(ascii: "/"), top.utf8.first == UInt8(ascii: "/") else { return false }
  let components = path.split(separator: "/")
  let expected = top.split(separator: "/")
  guard !components.contains(".."), !expected.contains("..") else { return false }
  return components.starts(with: expected) { left, right in left.utf8.elementsEqual(right.utf8) }
}
