import Foundation
import TestSupport
import Glibc
import Instructions
import Testing

@testable import Linux

@Suite(.serialized) struct SocketDescriptionTests {
  @Test func `a socket is described as it was made and bound`() throws {
    let tcp = try Descriptor.socket(.tcp(.ipv6))
    var facts = try SocketDescription(of: tcp)
    #expect(facts.domain == AF_INET6)
    #expect(facts.type == Int32(SOCK_STREAM.rawValue))
    #expect(facts.ipProtocol == Int32(IPPROTO_TCP))
    #expect(facts.local == .network(.ipv6(last: 0)))
    #expect(!facts.isListening)
    #expect(!facts.isFilterLocked)
    try tcp.bind(to: .ipv6(last: 1))
    try tcp.listen(backlog: 1)
    let address = try #require(try tcp.localAddress())
    facts = try SocketDescription(of: tcp)
    #expect(facts.isListening)
    #expect(facts.local == .network(address))
    let same = try tcp.duplicate()
    #expect(try SocketDescription(of: same) == facts)
  }

  @Test func `two sockets have two cookies and one network`() throws {
    let one = try SocketDescription(of: try Descriptor.socket(.udp(.ipv4)))
    let other = try SocketDescription(of: try Descriptor.socket(.unixStream))
    #expect(one.cookie != other.cookie)
    #expect(one.network == other.network)
    #expect(try SocketDescription.networkCookie(namespacePath: nil) == one.network)
    #expect(other.domain == AF_UNIX)
    #expect(other.local == .unix([]))
  }

  @Test func `a unix socket's path and abstract name are told apart`() throws {
    let folder = FileManager.default.temporaryDirectory.path + "/postern-" + UUID().uuidString.prefix(8)
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let socket = try Descriptor.socket(.unixStream)
    try socket.bind(toPath: folder + "/s")
    #expect(try SocketDescription(of: socket).local == .unix(Array((folder + "/s").utf8)))
    let automatic = try Descriptor.socket(.unixStream)
    try bindAbstract(automatic)
    guard case .unix(let name) = try SocketDescription(of: automatic).local else {
      Issue.record("no name")
      return
    }
    // unix(7), autobind: five hexadecimal digits after the NUL.
    #expect(name.count == 6 && name.first == 0)
  }

  @Test(.enabled(if: Tier.root, "needs root"))
  func `a packet socket is described with its interface`() throws {
    let socket = try Descriptor.socket(.packet)
    try socket.bind(toInterface: "lo", receiving: true)
    let facts = try SocketDescription(of: socket)
    #expect(facts.domain == AF_PACKET)
    #expect(facts.local == .packet(interface: 1, protocol: 3))
  }

  @Test func `what is no socket is ENOTSOCK`() throws {
    let file = try ProcFile.open("/dev/null")
    let error = #expect(throws: SystemError.self) { _ = try SocketDescription(of: file) }
    #expect(error?.errno == ENOTSOCK)
  }

  @Test(.enabled(if: Tier.root, "needs root"))
  func `another network namespace has another cookie`() throws {
    let other = Process()
    other.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
    other.arguments = ["--net", "sleep", "60"]
    try ChildProcess.start(other)
    defer {
      kill(other.processIdentifier, SIGKILL)
      other.waitUntilExit()
    }
    let path = "/proc/\(other.processIdentifier)/ns/net"
    let own = ProcessFacts.identity("/proc/self/ns/net")
    _ = try eventually("namespace") { ProcessFacts.identity(path).flatMap { $0 == own ? nil : $0 } }
    let here = try SocketDescription.networkCookie(namespacePath: nil)
    let there = try SocketDescription.networkCookie(namespacePath: path)
    #expect(here != there)
    let socket = try Descriptor.socket(.udp(.ipv4), networkNamespace: path)
    #expect(try SocketDescription(of: socket).network == there)
  }

  /// bind(2) with a family and nothing else.
  private func bindAbstract(_ socket: borrowing Descriptor) throws {
    var address = sockaddr(sa_family: sa_family_t(AF_UNIX), sa_data: (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
    #expect(unsafe bind(socket.rawValue, &address, socklen_t(MemoryLayout<sa_family_t>.size)) == 0)
  }
}
