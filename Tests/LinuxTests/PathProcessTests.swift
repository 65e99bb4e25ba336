import Foundation
import Glibc
import Linux
import Testing

/// Links of procfs mean another file for each reader; a broker must not be the reader.
@Suite(.serialized) struct PathProcessTests {
  /// What the program's own descriptor 9 stands for, and another file that our descriptor 9xx does.
  private func withDescriptors(_ body: (PathStand, PathTree, _ theirs: String) throws -> Void) throws {
    let (stand, tree) = (try PathStand(), try PathTree())
    defer { stand.end() }
    let theirs = try tree.file("theirs")
    try stand.has("fd", tree("theirs"), "9")
    try body(stand, tree, theirs)
  }

  @Test(
    arguments: [
      "/proc/self/fd/9", "/dev/fd/9", "/proc/thread-self/fd/9", "/proc/self/task/../fd/9", "/proc/self/../self/fd/9",
      "/proc/PID/fd/9", "/proc/PID/task/PID/fd/9", "/proc/self/root/proc/self/fd/9",
    ])
  func `a descriptor's link means the program's own`(_ path: String) throws {
    try withDescriptors { stand, _, theirs in
      let path = path.replacing("PID", with: "\(stand.number)")
      let (resolved, opened) = (try stand.resolved(path), try stand.opened(path))
      #expect(resolved == theirs && opened == theirs)
    }
  }

  @Test func `/dev/stdin is the program's standard input`() throws {
    try withDescriptors { stand, _, theirs in
      let expected = try PathTree.identity("/proc/\(stand.number)/fd/0")
      #expect(try stand.resolved("/dev/stdin") == expected)
      #expect(expected != (try PathTree.identity("/proc/self/fd/0")))
    }
  }

  @Test func `a number that only we have open does not exist`() throws {
    try withDescriptors { stand, tree, _ in
      let ours = try Descriptor.pin(tree("theirs"))
      // High, so that the program has not got it.
      let high = Descriptor(adopting: fcntl(ours.rawValue, F_DUPFD_CLOEXEC, 700))
      #expect(try stand.resolved("/proc/self/fd/\(high.rawValue)") == "error \(ENOENT)")
      #expect(try stand.resolved("/dev/fd/\(high.rawValue)") == "error \(ENOENT)")
      // The twin: the kernel follows it for us as for any other reader.
      #expect(try PathTree.identity("/proc/self/fd/\(high.rawValue)") == tree.identity("theirs"))
    }
  }

  @Test func `links into another process are refused, also into ours`() throws {
    try withDescriptors { stand, tree, _ in
      let other = try PathStand()
      defer { other.end() }
      try other.has("fd", tree("theirs"), "9")
      let ours = try Descriptor.pin(tree("theirs"))
      let paths = [
        "/proc/\(other.number)/fd/9", "/proc/\(other.number)/root/tmp", "/proc/\(other.number)/cwd",
        "/proc/\(other.number)/exe", "/proc/\(getpid())/fd/\(ours.rawValue)", "/proc/\(getpid())/root/",
        "/proc/self/../\(other.number)/fd/9", "/proc/self/ns/mnt", "/proc/1/root",
      ]
      for path in paths { #expect(try stand.resolved(path) == "error \(EACCES)", "\(path)") }
    }
  }

  @Test func `the program's own root, directory and image are followed`() throws {
    try withDescriptors { stand, tree, theirs in
      try stand.has("cwd", tree.path)
      #expect(try stand.resolved("/proc/self/cwd/theirs") == theirs)
      #expect(try stand.resolved("/proc/self/root\(tree.path)/theirs") == theirs)
      #expect(try stand.resolved("/proc/self/exe") == PathTree.identity("/proc/\(stand.number)/exe"))
      #expect(try stand.resolved("/proc/self/exe", rules: .noMagicLinks) == "error \(ELOOP)")
      #expect(try stand.resolved("/proc/self/cwd", follow: false) == "error \(ELOOP)")
    }
  }

  @Test func `a thread's own descriptors count for thread-self only`() throws {
    try withDescriptors { stand, tree, theirs in
      let threads = try tree.file("threads")
      let tid = try #require(Int32(try stand("thread", tree.path, tree("threads"))))
      #expect(try stand.resolved("/proc/thread-self/fd/9", thread: tid) == threads)
      #expect(try stand.resolved("/proc/self/fd/9", thread: tid) == theirs)
      // Another thread than the one that asks.
      #expect(try stand.resolved("/proc/self/task/\(tid)/fd/9") == "error \(EACCES)")
    }
  }

  @Test(.enabled(if: PathTier.root)) func `/proc/self has the number of the program's own pid namespace`() throws {
    let tree = try PathTree()
    let theirs = try tree.file("theirs")
    let stand = try PathStand(["/usr/bin/unshare", "--pid", "--fork", "--mount-proc"])
    defer { stand.end() }
    #expect(try stand("pid") == "1")
    try stand.has("fd", tree("theirs"), "9")
    for path in ["/proc/self/fd/9", "/dev/fd/9", "/proc/1/fd/9", "/proc/thread-self/fd/9"] {
      #expect(try stand.opened(path) == theirs)
      #expect(try stand.resolved(path) == theirs, "\(path)")
    }
    // Our number there is nobody, or somebody else.
    #expect(try stand.resolved("/proc/\(stand.number)/fd/9") == "error \(ENOENT)")
  }

  @Test(.enabled(if: PathTier.root)) func `the same number in two pid namespaces is two processes`() throws {
    try withDescriptors { _, tree, theirs in
      let (one, other) = (
        try PathStand(["/usr/bin/unshare", "--pid", "--fork"]), try PathStand(["/usr/bin/unshare", "--pid", "--fork"])
      )
      defer {
        one.end()
        other.end()
      }
      try one.has("fd", tree("theirs"), "9")
      try other.has("fd", tree.path, "9")
      #expect(try one.resolved("/proc/\(one.number)/fd/9") == theirs)
      #expect(try one.resolved("/proc/\(other.number)/fd/9") == "error \(EACCES)")
    }
  }

  /// Whose a directory of procfs is, is read from its "status": what is mounted over that must not tell.
  @Test(.enabled(if: PathTier.root)) func `a program cannot pass another process off as itself by mounting`() throws {
    try withDescriptors { stand, tree, _ in
      let other = try PathStand()
      defer { other.end() }
      try tree.folder("p")
      try other.has("fd", tree.path, "9")
      try stand.has("mounts")
      try stand.has("bind", "/proc/\(stand.number)/status", "/proc/\(other.number)/status")
      #expect(try stand.opened("/proc/\(other.number)/fd/9") == PathTree.identity(tree.path))
      #expect(try stand.resolved("/proc/\(other.number)/fd/9") == "error \(EXDEV)")
      // A link over a link.
      try other.has("cwd", "/dev")
      try stand.has("over", "/proc/\(other.number)/cwd", "/proc/\(stand.number)/cwd")
      #expect(try stand.opened("/proc/self/cwd") == PathTree.identity("/dev"))
      #expect(try stand.resolved("/proc/self/cwd") == "error \(EACCES)")
      // A folder of links where none is looked for.
      try stand.has("bind", "/proc/\(other.number)/fd", tree("p"))
      #expect(try stand.resolved(tree("p/9")) == "error \(EXDEV)")
      try stand.has("bind", "/proc/\(other.number)/fd", "/proc/\(stand.number)/fd")
      #expect(try stand.opened("/proc/self/fd/9") == PathTree.identity(tree.path))
      #expect(try stand.resolved("/proc/self/fd/9") == "error \(EXDEV)")
    }
  }

  @Test(.enabled(if: PathTier.root)) func `a procfs of the program's own in its root is read in its place`() throws {
    try withDescriptors { stand, tree, theirs in
      try tree.folder("root/proc")
      try tree.link("root/self", to: "/proc/self/fd/9")
      try stand.has("mounts")
      try stand.has("chroot", tree("root"))
      try stand.has("cwd", "/")
      try stand.has("proc", "/proc")
      #expect(try stand.resolved("/self") == theirs)
      #expect(try stand.resolved("/proc/self/../../self") == theirs)
      // Out through our own procfs there is no way.
      #expect(try stand.resolved("/proc/self/../..") == stand.opened("/"))
    }
  }

  @Test func `a thread that has ended resolves nothing`() throws {
    let stand = try PathStand()
    let surroundings = try stand.surroundings()
    stand.end()
    #expect(throws: SystemError.self) { _ = try surroundings.resolve(Array("f".utf8)) }
    let pid = stand.number
    #expect(throws: SystemError.self) { _ = try PathSurroundings(tgid: pid, tid: pid) }
  }
}
