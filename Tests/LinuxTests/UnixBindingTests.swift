import Foundation
import Glibc
import Linux
import Synchronization
import Testing

@Suite(.serialized) struct UnixBindingTests {
  /// Runs `body` on a thread with surroundings of its own, as a listener's thread is.
  private func separated(_ body: @escaping @Sendable () throws -> Void) throws {
    let failure = Mutex<(any Error)?>(nil)
    let thread = try Linux.Thread("bind") {
      do {
        try UnixBinding.separateThread()
        try body()
      } catch { failure.withLock { $0 = error } }
    }
    thread.join()
    if let error = failure.withLock({ $0 }) { throw error }
  }

  /// Binds a new socket as `stand` would; 0 or the errno.
  private func bind(_ stand: PathStand, _ name: String, expected: SocketPlace) throws -> Int32 {
    let surroundings = try stand.surroundings()
    let owner = try surroundings.credentials()
    let result = Mutex<Int32>(0)
    let (number, tell) = (stand.number, name)
    try separated {
      let socket = try Descriptor.socket(.unixStream)
      let surroundings = try PathSurroundings(tgid: number, tid: number)
      do throws(SystemError) {
        try UnixBinding.bind(socket, name: Array(tell.utf8), surroundings: surroundings, expected: expected, as: owner)
      } catch {
        result.withLock { $0 = error.errno }
      }
    }
    return result.withLock { $0 }
  }

  private func status(_ path: String) -> stat? {
    var status = stat()
    let failed = unsafe lstat(path, &status)
    return failed == 0 ? status : nil
  }

  /// A program as nobody with umask 027, in a root where it may write nothing.
  private func confined(_ body: (PathStand, PathTree) throws -> Void) throws {
    let (stand, tree) = (try PathStand(), try PathTree())
    defer { stand.end() }
    try tree.folder("run")
    try tree.folder("other")
    try stand.has("chroot", tree.path)
    try stand.has("cwd", "/run")
    _ = try stand("umask", "027")
    try stand.has("user", "65534")
    try body(stand, tree)
  }

  @Test(.enabled(if: PathTier.root)) func `the socket's file lies in the program's root and belongs to it`() throws {
    try confined { stand, tree in
      let expected = try SocketPlace(path: tree("run/app.sock"))
      #expect(try bind(stand, "/run/app.sock", expected: expected) == 0)
      let made = try #require(status(tree("run/app.sock")))
      #expect(made.st_uid == 65534 && made.st_gid == 65534)
      #expect(made.st_mode == S_IFSOCK | 0o750)
      #expect(status("/run/app.sock") == nil)
    }
  }

  @Test(.enabled(if: PathTier.root)) func `a relative name and one as long as an address holds are bound`() throws {
    try confined { stand, tree in
      for name in ["app.sock", String(repeating: "n", count: 108)] {
        let place = try SocketPlace(path: tree("run/\(name)"))
        #expect(try bind(stand, name, expected: place) == 0)
        #expect(status(tree("run/\(name)")) != nil)
      }
    }
  }

  /// Binds `name` for a program in our root; what getsockname(2) says then.
  private func boundName(_ name: String) throws -> String {
    let stand = try PathStand()
    defer { stand.end() }
    let number = stand.number
    let bound = Mutex("")
    try separated {
      let surroundings = try PathSurroundings(tgid: number, tid: number)
      let socket = try Descriptor.socket(.unixStream)
      try UnixBinding.bind(
        socket, name: Array(name.utf8), surroundings: surroundings, expected: SocketPlace(path: name),
        as: FileCredentials(user: 65534, group: 65534, umask: 0))
      let said = socketName(socket)
      bound.withLock { $0 = said }
    }
    _ = try removeFile(at: name)
    return bound.withLock { $0 }
  }

  @Test(.enabled(if: PathTier.root)) func `a name that only root can change is the one that getsockname tells`() throws
  {
    let name = "/run/postern-\(UUID().uuidString.prefix(8)).sock"
    #expect(try boundName(name) == name)
    let tree = try PathTree()
    // The temporary folder is everybody's: what is in it may be swapped.
    #expect(try boundName(tree("s")) == "s")
    try tree.link("run", to: "/run")
    #expect(try boundName(tree("run/\(UUID().uuidString.prefix(8))")).count == 8)
  }

  @Test(.enabled(if: PathTier.root)) func `only the directory and the name of the object are bound`() throws {
    try confined { stand, tree in
      let expected = try SocketPlace(path: tree("run/app.sock"))
      for name in [
        "/other/app.sock", "/run/other.sock", "/run/../other/app.sock", "", "\0run/app.sock", "/run/app.sock/",
        "/run/..",
        "/run/.", "/",
      ] {
        #expect(try bind(stand, name, expected: expected) == EACCES, "\(name)")
      }
      #expect(try bind(stand, "/nowhere/app.sock", expected: expected) == ENOENT)
      #expect(try FileManager.default.contentsOfDirectory(atPath: tree("run")).isEmpty)
      #expect(try FileManager.default.contentsOfDirectory(atPath: tree("other")).isEmpty)
    }
  }

  @Test(.enabled(if: PathTier.root)) func `whatever stands at the path is EADDRINUSE and stays`() throws {
    try confined { stand, tree in
      try tree.file("run/file")
      try tree.link("run/dangling", to: "/other/made")
      for name in ["file", "dangling"] {
        #expect(try bind(stand, "/run/\(name)", expected: SocketPlace(path: tree("run/\(name)"))) == EADDRINUSE)
      }
      #expect(status(tree("run/file"))?.st_size == 8)
      #expect(status(tree("other/made")) == nil)
    }
  }

  @Test(.enabled(if: PathTier.root)) func `the thread is what it was, also after a failure`() throws {
    try confined { stand, tree in
      try tree.file("run/taken")
      let (number, fresh, taken) = (stand.number, tree("run/fresh"), tree("run/taken"))
      try separated {
        func thread() throws -> [String] {
          let status = try String(contentsOfFile: "/proc/thread-self/status", encoding: .utf8).split(separator: "\n")
          let kept = ["Uid", "Gid", "Groups", "CapEff", "CapPrm", "CapInh", "CapAmb", "Umask"]
          let cwd = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/thread-self/cwd")
          return status.map(String.init).filter { line in kept.contains { line.hasPrefix($0 + ":") } } + [cwd]
        }
        let before = try thread()
        let surroundings = try PathSurroundings(tgid: number, tid: number)
        let owner = FileCredentials(user: 65534, group: 65534, umask: 0o27)
        for path in [fresh, taken] {
          let socket = try Descriptor.socket(.unixStream)
          let name = Array("/run/".utf8) + Array(path.utf8).suffix(5)
          let place = try SocketPlace(path: path)
          do throws(SystemError) {
            try UnixBinding.bind(socket, name: name, surroundings: surroundings, expected: place, as: owner)
            #expect(path == fresh)
          } catch {
            #expect(path == taken && error.errno == EADDRINUSE)
          }
          #expect(try thread() == before)
        }
        #expect(before.count == 9)
      }
    }
  }

  @Test func `a thread that shares its directory and umask binds nothing`() throws {
    let (stand, tree) = (try PathStand(), try PathTree())
    defer { stand.end() }
    let socket = try Descriptor.socket(.unixStream)
    let surroundings = try stand.surroundings()
    let (place, owner) = (try SocketPlace(path: tree("s")), try surroundings.credentials())
    let name = Array(tree("s").utf8)
    #expect(throws: SystemError(errno: EINVAL, operation: "bind")) {
      try UnixBinding.bind(socket, name: name, surroundings: surroundings, expected: place, as: owner)
    }
    #expect(status(tree("s")) == nil)
  }

  /// Names of its own thread that are tried with a link swapped between the object's directory and another.
  private func raced(
    _ stand: PathStand, _ tree: PathTree, tries: Int, _ isLost: @escaping @Sendable () -> Bool,
    _ attempt:
      @escaping @Sendable (borrowing Descriptor, borrowing PathSurroundings, SocketPlace, FileCredentials)
      throws -> Void
  ) throws -> Int {
    try tree.folder("object")
    try tree.folder("forbidden")
    try tree.link("link", to: tree("object"))
    try stand.has("swap", tree("link"), tree("object"), tree("forbidden"))
    let (number, path) = (stand.number, tree("object/s"))
    let bound = Mutex(0)
    try separated {
      let surroundings = try PathSurroundings(tgid: number, tid: number)
      let owner = try surroundings.credentials()
      let place = try SocketPlace(path: path)
      for _ in 0..<tries where !isLost() {
        let socket = try Descriptor.socket(.unixStream)
        do {
          try attempt(socket, surroundings, place, owner)
          bound.withLock { $0 += 1 }
        } catch let error as SystemError where error.errno == EACCES || error.errno == EADDRINUSE {}
        _ = try? removeFile(at: path)
      }
    }
    return bound.withLock { $0 }
  }

  @Test func `a directory that is swapped for another never gets the socket`() throws {
    let (stand, tree) = (try PathStand(), try PathTree())
    defer { stand.end() }
    let (name, forbidden) = (Array(tree("link/s").utf8), tree("forbidden/s"))
    let bound = try raced(stand, tree, tries: PathTier.isSoak ? 1_000_000 : 10_000, { access(forbidden) }) {
      socket, surroundings, place, owner in
      try UnixBinding.bind(socket, name: name, surroundings: surroundings, expected: place, as: owner)
    }
    #expect(bound > 0)
    #expect(!access(forbidden))
  }

  @Test func `the twin that binds by name after the check loses`() throws {
    let (stand, tree) = (try PathStand(), try PathTree())
    defer { stand.end() }
    let (link, forbidden) = (tree("link"), tree("forbidden/s"))
    _ = try raced(stand, tree, tries: 1_000_000, { access(forbidden) }) { socket, surroundings, place, _ in
      let found = try surroundings.resolve(Array(link.utf8)).status()
      guard found.inode == place.inode else { return }
      try socket.bind(toPath: link + "/s")
    }
    #expect(access(forbidden))
  }
}

private func access(_ path: String) -> Bool { unsafe Glibc.access(path, F_OK) == 0 }

private func socketName(_ socket: borrowing Descriptor) -> String {
  var address = sockaddr_un()
  var size = socklen_t(MemoryLayout<sockaddr_un>.size)
  let number = socket.rawValue
  return unsafe withUnsafeMutablePointer(to: &address) { pointer in
    _ = unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe getsockname(number, $0, &size) }
    return unsafe withUnsafeBytes(of: pointer.pointee.sun_path) { bytes in
      unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
  }
}
