import Authority
import Foundation
import Glibc
import Instructions
import Linux
import Objects
import Testing

@Suite struct SocketUnixTests {
  let folder: ScratchFolder
  let path: String

  init() throws {
    folder = try ScratchFolder()
    path = folder.path("socket")
  }

  /// The file that a listener leaves which ended without removing it.
  func leaveStale() throws {
    let dead = try Descriptor.socket(.unixStream)
    try dead.bind(toPath: path)
    try dead.listen(backlog: 1)
  }

  func canConnect() -> Bool {
    guard let client = try? Descriptor.socket(.unixStream) else { return false }
    return (try? client.connect(toPath: path)) != nil
  }

  @Test func `whoever reaches the folder may connect, whatever the umask is`() throws {
    let object = try openSocket(.unix(path: path))
    let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    #expect(mode == 0o666)
    object.recall()
  }

  @Test func `a connection is accepted, without a peer's address`() throws {
    let object = try openSocket(.unix(path: path))
    #expect(perform(object, .listen, Operands(request: 4)).outcome == .done(0))
    #expect(canConnect())
    let accepted = perform(object, .accept)
    #expect(accepted.outcome == .accepted(from: nil))
    #expect(accepted.connection != nil)
  }

  @Test func `a stale socket file is replaced`() throws {
    try leaveStale()
    #expect(Tier.exists(path))
    let object = try openSocket(.unix(path: path), [OperationSet(.accept)])
    #expect(canConnect())
    withExtendedLifetime(object) {}
  }

  @Test func `a socket file that somebody answers at is left alone`() throws {
    let first = try openSocket(.unix(path: path), [OperationSet(.accept)])
    #expect(openFailure(.unix(path: path)) == EADDRINUSE)
    #expect(canConnect())
    withExtendedLifetime(first) {}
  }

  @Test func `a listener that is too busy to answer is left alone`() throws {
    let busy = try openSocket(.unix(path: path))
    #expect(perform(busy, .listen, Operands(request: 0)).outcome == .done(0))
    var waiting: [Connection] = []
    for _ in 0..<8 {
      let client = try Descriptor.socket(.unixStream)
      guard (try? client.connect(toPath: path)) != nil else { break }
      waiting.append(Connection(client))
    }
    #expect(waiting.count < 8, "the queue is full")
    #expect(openFailure(.unix(path: path)) == EADDRINUSE)
    #expect(Tier.exists(path))
  }

  @Test func `a file that is no socket is never replaced`() throws {
    try folder.write("socket", [1, 2, 3])
    #expect(openFailure(.unix(path: path)) == EEXIST)
    #expect(try folder.read("socket") == [1, 2, 3])
  }

  @Test func `a symbolic link is never followed nor replaced`() throws {
    try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: folder.path("elsewhere"))
    #expect(openFailure(.unix(path: path)) == EEXIST)
    #expect(!Tier.exists(folder.path("elsewhere")))
  }

  @Test func `the file goes with the object`() throws {
    var object: SocketObject? = try openSocket(.unix(path: path))
    #expect(Tier.exists(path) && object != nil)
    object = nil
    #expect(!Tier.exists(path))
  }

  @Test func `a file that another put at the path stays`() throws {
    var object: SocketObject? = try openSocket(.unix(path: path))
    try run("mv", path, folder.path("aside"))
    try leaveStale()
    #expect(object != nil)
    object = nil
    #expect(Tier.exists(path))
  }

  @Test func `a failed open leaves nothing behind`() throws {
    #expect(openFailure(.unix(path: folder.path("missing/socket"))) == ENOENT)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
  }

  @Test func `a relative path is refused`() {
    #expect(openFailure(.unix(path: "socket")) == EINVAL)
  }

  @Test func `a path that does not fit an address is refused, not cut`() {
    #expect(openFailure(.unix(path: "/tmp/" + String(repeating: "x", count: 103))) == ENAMETOOLONG)
  }

  @Test func `a path with a NUL in it is not cut there`() {
    #expect(openFailure(.unix(path: path + "\0x")) == EINVAL)
    #expect(!Tier.exists(path))
  }
}
