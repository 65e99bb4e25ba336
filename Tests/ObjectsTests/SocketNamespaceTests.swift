import Authority
import Foundation
import Glibc
import Instructions
import Linux
import Objects
import Testing

@Suite(.serialized, .enabled(if: Tier.networkNamespaces, "needs root and ip"))
struct SocketNamespaceTests {
  let namespace: NetworkNamespaceFixture
  var network: NetworkNamespace { namespace.network }

  init() throws { namespace = try NetworkNamespaceFixture() }

  /// An Ethernet frame of an experimental type (IEEE 802, 0x88b5) between no addresses.
  func frame(_ data: [UInt8]) -> [UInt8] { [UInt8](repeating: 0, count: 12) + [0x88, 0xb5] + data }

  @Test func `one address and port are two objects in two namespaces`() throws {
    let here = try openSocket(.tcp(ipv4(port: 0)))
    let port = try address(of: here)
    let there = try openSocket(.tcp(port), [OperationSet(.accept)], network: network)
    #expect(try address(of: there) == port)
    #expect(openFailure(.tcp(port), network: network) == EADDRINUSE)
    #expect(try connect(to: port) == nil, "the one here does not listen")
  }

  @Test func `no thread stays in another namespace`() throws {
    let objects = try (0..<20).map { _ in try openSocket(.udp(ipv4(port: 0)), network: network) }
    #expect(objects.count == 20)
    let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/net")
    for task in try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task") {
      // A task that ended since it was listed is in no namespace.
      let its = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/task/\(task)/ns/net")
      #expect(its == nil || its == own)
    }
  }

  @Test func `a path that is no network namespace is refused`() throws {
    #expect(openFailure(.tcp(ipv4(port: 0)), network: .path("/proc/self/ns/uts")) == EINVAL)
    #expect(openFailure(.tcp(ipv4(port: 0)), network: .path("/dev/null")) == EINVAL)
    #expect(openFailure(.tcp(ipv4(port: 0)), network: .path("/run/netns/none-such")) == ENOENT)
  }

  @Test func `a packet object sends and receives whole frames`() throws {
    let sender = try openSocket(.packet(interface: "lo"), network: network)
    let receiver = try openSocket(.packet(interface: "lo"), network: network)
    let bytes = frame(Array("postern".utf8))
    #expect(send(sender, bytes) == .done(UInt64(bytes.count)))
    let received = performSoon(receiver, .receive, Operands(length: 2048))
    #expect(received.outcome == .received(UInt64(bytes.count), from: nil))
    #expect(received.bytes == bytes)
  }

  @Test func `a packet object sees other sockets' datagrams as frames`() throws {
    let watcher = try openSocket(.packet(interface: "lo"), network: network)
    let receiver = try openSocket(.udp(ipv4(port: 0)), network: network)
    let sender = try openSocket(.udp(ipv4(port: 0)), network: network)
    #expect(send(sender, Array("payload".utf8), to: try address(of: receiver)) == .done(7))
    let received = performSoon(watcher, .receive, Operands(length: 2048))
    #expect(received.bytes.suffix(7).elementsEqual("payload".utf8))
  }

  @Test func `a packet object sees no other interface`() throws {
    try namespace.addPair("one", "two")
    let watcher = try openSocket(.packet(interface: "two"), network: network)
    let other = try openSocket(.packet(interface: "lo"), network: network)
    let sender = try openSocket(.packet(interface: "one"), network: network)
    #expect(send(other, frame([1])) == .done(15))
    // The kernel itself speaks on a link that comes up (IPv6 neighbour discovery): only our frames count. It also drops
    // what is sent before it has noticed that the link is up, hence again and again.
    var seen: [[UInt8]] = []
    for _ in 0..<200 where !seen.contains(frame([2])) {
      #expect(send(sender, frame([2])) == .done(15))
      while case let received = perform(watcher, .receive, Operands(length: 2048)), received.bytes.count > 0 {
        seen.append(received.bytes)
      }
      Thread.sleep(forTimeInterval: 0.01)
    }
    #expect(seen.contains(frame([2])))
    #expect(!seen.contains(frame([1])))
  }

  @Test func `a packet object whose opener may not receive gets no frame`() throws {
    let deaf = try openSocket(.packet(interface: "lo"), [OperationSet(.send)], network: network)
    let hearing = try openSocket(.packet(interface: "lo"), network: network)
    #expect(send(deaf, frame([1])) == .done(15))
    #expect(performSoon(hearing, .receive, Operands(length: 2048)).bytes == frame([1]))
    #expect(perform(deaf, .receive, Operands(length: 2048)).outcome == .wouldBlock(.readable))
  }

  @Test func `an interface is looked up in the object's namespace`() throws {
    try run("ip", "-n", namespace.name, "link", "add", "onlythere", "type", "veth", "peer", "name", "peer")
    #expect(openFailure(.packet(interface: "onlythere"), network: network) == nil)
    #expect(openFailure(.packet(interface: "onlythere")) == ENODEV)
  }

  @Test(arguments: ["", "none-such", "a-name-that-is-too-long-for-one", "lo\0"])
  func `an interface that does not exist is told`(name: String) {
    #expect(openFailure(.packet(interface: name), network: network) == ENODEV)
  }

  @Test func `a send that the queue has no room for waits for writability`() throws {
    try namespace.addPair("one", "two")
    // 8 kbit/s: what is sent stays charged to the socket.
    try run(
      "tc", "-n", namespace.name, "qdisc", "add", "dev", "one", "root", "tbf", "rate", "8kbit", "burst", "2kb", "limit",
      "10mb")
    let sender = try openSocket(.packet(interface: "one"), network: network)
    let bytes = frame([UInt8](repeating: 0, count: 1000))
    var last = Observed.done(0)
    for _ in 0..<4000 {
      last = send(sender, bytes)
      guard case .done = last else { break }
    }
    #expect(last == .wouldBlock(.writable))
  }
}
