import Authority
import Foundation
import Glibc
import Instructions
import Linux
import Objects
import Testing

/// `0.0.0.0`, `[::]` and particular addresses are different objects (DESIGN section 6).
@Suite struct SocketFamilyTests {
  func listener(_ address: NetworkAddress, network: NetworkNamespace = .host) throws -> SocketObject {
    try openSocket(.tcp(address), [OperationSet(.accept)], network: network)
  }

  @Test func `a listener on all of IPv6 takes IPv4 as well`() throws {
    let object = try listener(ipv6(last: 0, port: 0))
    let port = try address(of: object).port
    let old = try #require(try connect(to: ipv4(port: port)))
    guard case .accepted(let peer) = performSoon(object, .accept).outcome else {
      Issue.record("not accepted")
      return
    }
    #expect(peer?.family == .ipv6, "an IPv4 peer of an IPv6 socket is told as a mapped address")
    #expect(peer?.port == (try old.descriptor.localAddress()?.port))
    let new = try #require(try connect(to: ipv6(port: port)))
    #expect(performSoon(object, .accept).outcome == .accepted(from: try new.descriptor.localAddress()))
  }

  @Test func `a listener on all of IPv4 takes no IPv6`() throws {
    let object = try listener(ipv4(0, 0, 0, 0, port: 0))
    let port = try address(of: object).port
    #expect(try connect(to: ipv6(port: port)) == nil)
    #expect(try connect(to: ipv4(port: port)) != nil)
  }

  @Test func `a listener on one IPv6 address takes no IPv4`() throws {
    let object = try listener(ipv6(port: 0))
    let port = try address(of: object).port
    #expect(try connect(to: ipv4(port: port)) == nil)
    #expect(try connect(to: ipv6(port: port)) != nil)
  }

  @Test func `one IPv6 address and all of IPv4 share a port, both of all do not`() throws {
    let particular = try listener(ipv6(port: 0))
    let port = try address(of: particular).port
    #expect(openFailure(.tcp(ipv4(0, 0, 0, 0, port: port))) == nil)
    let all = try listener(ipv6(last: 0, port: 0))
    #expect(openFailure(.tcp(ipv4(0, 0, 0, 0, port: try address(of: all).port))) == EADDRINUSE)
  }

  @Test func `listeners are shared, all else is one per open`() {
    #expect(!SocketObject.isShared(.raw(.ipv4, ipProtocol: 1)))
    #expect(!SocketObject.isShared(.udp(ipv4(port: 1))))
    #expect(!SocketObject.isShared(.packet(interface: "lo")))
    #expect(SocketObject.isShared(.tcp(ipv4(port: 1))))
    #expect(SocketObject.isShared(.unix(path: "/x")))
  }

  @Test func `an IPv4 address written as IPv6 is refused`() {
    // [::ffff:127.0.0.1] would be the IPv4 object under a second name.
    var mapped = ipv6(port: 0)
    for (index, byte) in [UInt8(0xff), 0xff, 127, 0, 0, 1].enumerated() { mapped.bytes[10 + index] = byte }
    #expect(openFailure(.tcp(mapped)) == EINVAL)
    #expect(openFailure(.udp(mapped)) == EINVAL)
  }

  @Test(.enabled(if: Tier.networkNamespaces, "needs root and ip"))
  func `all of IPv6 is dual-stack also where the system's default is not`() throws {
    let namespace = try NetworkNamespaceFixture()
    let setting = "/proc/sys/net/ipv6/bindv6only"
    try run("ip", "netns", "exec", namespace.name, "sh", "-c", "echo 1 > \(setting)")
    let object = try listener(ipv6(last: 0, port: 80), network: namespace.network)
    // IPv4's wildcard is taken, because the object has it.
    #expect(openFailure(.tcp(ipv4(0, 0, 0, 0, port: 80)), network: namespace.network) == EADDRINUSE)
    // The guard off: a socket that leaves the option alone does not have it.
    let plain = try Descriptor.socket(.tcp(.ipv6), networkNamespace: namespace.path)
    try plain.bind(to: ipv6(last: 0, port: 81))
    #expect(openFailure(.tcp(ipv4(0, 0, 0, 0, port: 81)), network: namespace.network) == nil)
    withExtendedLifetime(object) {}
  }
}
