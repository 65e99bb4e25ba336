import Foundation
import Glibc
import Linux
import Testing

@Suite(.serialized) struct PathTests {
  /// Runs `body` with a program in a root of its own.
  private func inRoot(_ body: (PathStand, PathTree) throws -> Void) throws {
    let (stand, tree) = (try PathStand(), try PathTree())
    defer { stand.end() }
    try stand.has("chroot", tree.path)
    try stand.has("cwd", "/")
    try body(stand, tree)
  }

  @Test func `a relative path starts at the program's directory, not ours`() throws {
    let (stand, tree) = (try PathStand(), try PathTree())
    defer { stand.end() }
    try tree.folder("a/b")
    let file = try tree.file("a/b/f")
    try stand.has("cwd", tree("a"))
    #expect(try stand.resolved("b/f") == file)
    #expect(try stand.resolved("b/../b/./f") == file)
    #expect(try stand.resolved("../a//b/f") == file)
    #expect(try stand.resolved("f") == "error \(ENOENT)")
  }

  @Test func `a relative path starts at the program's descriptor where it gave one`() throws {
    let (stand, tree) = (try PathStand(), try PathTree())
    defer { stand.end() }
    try tree.folder("a")
    let file = try tree.file("a/f")
    try stand.has("fd", tree("a"), "77")
    try stand.has("fd", tree("a/f"), "78")
    #expect(try stand.resolved("f", directory: 77) == file)
    #expect(try stand.resolved(tree("a/f"), directory: 12345) == file)
    #expect(try stand.resolved("f", directory: 12345) == "error \(EBADF)")
    #expect(try stand.resolved("f", directory: -7) == "error \(EBADF)")
    #expect(try stand.resolved("f", directory: 78) == "error \(ENOTDIR)")
  }

  @Test func `a thread's own working directory counts, not its process's`() throws {
    let (stand, tree) = (try PathStand(), try PathTree())
    defer { stand.end() }
    try tree.folder("process")
    try tree.folder("thread")
    let (process, thread) = (try tree.file("process/f"), try tree.file("thread/f"))
    try stand.has("cwd", tree("process"))
    let tid = try #require(Int32(try stand("thread", tree("thread"))))
    #expect(try stand.resolved("f", thread: tid) == thread)
    #expect(try stand.resolved("f") == process)
    #expect(try stand.resolved("/proc/thread-self/cwd/f", thread: tid) == thread)
    #expect(try stand.resolved("/proc/self/cwd/f", thread: tid) == process)
  }

  @Test(.enabled(if: PathTier.root)) func `an absolute link leads into the program's root`() throws {
    try inRoot { stand, tree in
      try tree.folder("etc")
      let file = try tree.file("etc/passwd")
      try tree.link("l", to: "/etc/passwd")
      try tree.link("etc/up", to: "../../../../../etc/passwd")
      #expect(try stand.resolved("/l") == file)
      #expect(try stand.resolved("l") == file)
      #expect(try stand.resolved("etc/up") == file)
      #expect(try stand.resolved("/../../etc/../../etc/passwd") == file)
      #expect(file != (try PathTree.identity("/etc/passwd")))
    }
  }

  @Test(.enabled(if: PathTier.root)) func `a directory outside the program's root has no way above our root`() throws {
    let (stand, tree) = (try PathStand(), try PathTree())
    defer { stand.end() }
    try tree.folder("root")
    let file = try tree.file("f")
    try stand.has("cwd", tree.path)
    try stand.has("chroot", tree("root"))
    #expect(try stand.resolved("f") == file)
    #expect(try stand.resolved("root/../f") == file)
    let up = String(repeating: "../", count: 30)
    #expect(try stand.opened(up + "dev/null") == PathTree.identity("/dev/null"))
    #expect(try stand.resolved(up + "dev/null") == "error \(EXDEV)")
  }

  @Test func `links, slashes and odd names end as in the kernel`() throws {
    let (stand, tree) = (try PathStand(), try PathTree())
    defer { stand.end() }
    try tree.folder("d")
    try tree.file("f")
    try tree.link("loop", to: "loop")
    try tree.link("l", to: "f")
    try tree.link("ld", to: "d/")
    try tree.link("lfs", to: "f/")
    try stand.has("cwd", tree.path)
    let long = String(repeating: "n", count: 256)
    let paths = [
      "f/", "f/.", "f/..", "d/", "d/.", ".", "..", "/", "//", "l/", "ld", "ld/", "ld/.", "lfs", "loop", "loop/x", "x",
      "x/", long, "d/\(long)", String(repeating: "d/../", count: 818) + "f", String(repeating: "./", count: 2048),
    ]
    for path in paths {
      for follow in [true, false] {
        let flags = O_RDONLY | (follow ? 0 : O_NOFOLLOW)
        let expected = try stand.opened(path, flags: flags)
        #expect(try stand.resolved(path, follow: follow) == expected, "\(path.prefix(40)) \(follow)")
      }
    }
    #expect(try stand.resolved("") == "error \(ENOENT)")
    #expect(try stand.resolved("a\0b") == "error \(EINVAL)")
    #expect(try stand.resolved("f", rules: ResolveRules(rawValue: 1 << 20)) == "error \(EINVAL)")
    #expect(try stand.resolved("f", rules: [.beneath, .inRoot]) == "error \(EINVAL)")
  }

  @Test func `forty links are followed, one more is ELOOP`() throws {
    let (stand, tree) = (try PathStand(), try PathTree())
    defer { stand.end() }
    let file = try tree.file("f")
    try tree.link("l1", to: "f")
    for number in 2...41 { try tree.link("l\(number)", to: "l\(number - 1)") }
    try stand.has("cwd", tree.path)
    #expect(try stand.resolved("l40") == file)
    #expect(try stand.opened("l40") == file)
    #expect(try stand.resolved("l41") == "error \(ELOOP)")
    #expect(try stand.opened("l41") == "error \(ELOOP)")
  }

  @Test(.enabled(if: PathTier.root)) func `another /dev in the program's mount namespace counts`() throws {
    let stand = try PathStand()
    defer { stand.end() }
    try stand.has("mounts")
    try stand.has("tmpfs", "/dev")
    try stand.has("node", "/dev/null", "1", "5")
    let found = try stand.surroundings().resolve(Array("/dev/null".utf8)).fileDescription()
    #expect(found.status.kind == .characterDevice)
    #expect(found.status.specialDevice == 1 << 8 | 5)
    #expect(try Descriptor.pin("/dev/null").status().specialDevice == 1 << 8 | 3)
  }

  @Test(.enabled(if: PathTier.root)) func `strangers' links in a sticky directory are not followed`() throws {
    let (stand, tree) = (try PathStand(), try PathTree())
    defer { stand.end() }
    try tree.folder("t", mode: 0o1777)
    let file = try tree.file("f")
    for (name, owner) in [("own", 65534), ("root", 0), ("strangers", 12345)] as [(String, uid_t)] {
      try tree.link("t/\(name)", to: "../f")
      let changed = unsafe lchown(tree("t/\(name)"), owner, owner)
      #expect(changed == 0)
    }
    try stand.has("cwd", tree("t"))
    try stand.has("user", "65534")
    #expect(try stand.resolved("own") == file)
    #expect(try stand.resolved("root") == file)
    #expect(try stand.resolved("strangers") == "error \(EACCES)")
  }

  @Test func `the rules of openat2 are kept`() throws {
    let (stand, tree) = (try PathStand(), try PathTree())
    defer { stand.end() }
    try tree.folder("d")
    let file = try tree.file("d/f")
    try tree.file("f")
    try tree.link("d/out", to: "../f")
    try tree.link("d/absolute", to: "/f")
    try tree.link("d/in", to: "f")
    try tree.link("d/proc", to: "/proc/self/cwd/f")
    try stand.has("cwd", tree("d"))
    for rules in [.beneath, .inRoot, .noMounts, .noSymbolicLinks, .noMagicLinks] as [ResolveRules] {
      for path in ["f", "in", "out", "absolute", "proc", "../f", "/f", tree("f"), "/proc/1", "/proc/self/status"] {
        let expected = try stand.opened(path, rules: rules)
        let found = try stand.resolved(path, rules: rules)
        // A `..` after a link cannot be held to the start here: left to the kernel.
        let isLeft = found == "error \(EAGAIN)" && rules.isSubset(of: [.beneath, .inRoot])
        #expect(found == expected || isLeft, "\(path) \(rules): \(found), not \(expected)")
      }
    }
    #expect(try stand.resolved("f", rules: .cached) == file)
    #expect(try stand.resolved("in", rules: .cached) == "error \(EAGAIN)")
  }
}
