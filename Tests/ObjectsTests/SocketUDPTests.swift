import Authority
import Foundation
import Glibc
import Instructions
import Linux
import Objects
import Testing

@Suite struct SocketUDPTests {
  func object(_ address: NetworkAddress = ipv4(port: 0)) throws -> SocketObject { try openSocket(.udp(address)) }

  @Test(arguments: [ipv4(port: 0), ipv6(port: 0)])
  func `a datagram arrives with its sender's address`(local: NetworkAddress) throws {
    let sender = try object(local)
    let receiver = try object(local)
    #expect(send(sender, [1, 2, 3], to: try address(of: receiver)) == .done(3))
    let received = performSoon(receiver, .receive, Operands(length: 100))
    #expect(received.outcome == .received(3, from: try address(of: sender)))
    #expect(received.bytes == [1, 2, 3])
  }

  @Test func `receive without a datagram waits for readability`() throws {
    #expect(perform(try object(), .receive, Operands(length: 100)).outcome == .wouldBlock(.readable))
  }

  @Test func `a datagram that does not fit is cut, and its whole length told`() throws {
    let receiver = try object()
    #expect(send(try object(), [1, 2, 3, 4, 5], to: try address(of: receiver)) == .done(5))
    let received = performSoon(receiver, .receive, Operands(length: 2))
    guard case .received(5, _) = received.outcome else {
      Issue.record("\(received.outcome)")
      return
    }
    #expect(received.bytes == [1, 2])
    #expect(perform(receiver, .receive, Operands(length: 9)).outcome == .wouldBlock(.readable), "the rest is gone")
  }

  @Test func `receive stores no more than the reply has room for`() throws {
    let receiver = try object()
    #expect(send(try object(), [1, 2, 3, 4, 5], to: try address(of: receiver)) == .done(5))
    #expect(try isReady(receiver))
    #expect(perform(receiver, .receive, Operands(length: 5), room: 3).bytes == [1, 2, 3])
  }

  @Test func `an empty datagram is one`() throws {
    let receiver = try object()
    let sender = try object()
    #expect(send(sender, [], to: try address(of: receiver)) == .done(0))
    #expect(performSoon(receiver, .receive, Operands(length: 9)).outcome == .received(0, from: try address(of: sender)))
  }

  @Test func `send without an address needs a connected peer`() throws {
    let sender = try object()
    let receiver = try object()
    #expect(send(sender, [1]) == .failed(EDESTADDRREQ))
    #expect(perform(sender, .connect, Operands(address: try address(of: receiver))).outcome == .done(0))
    #expect(send(sender, [1]) == .done(1))
    #expect(performSoon(receiver, .receive, Operands(length: 9)).bytes == [1])
  }

  @Test func `connect without an address is refused`() throws {
    #expect(perform(try object(), .connect).outcome == .failed(EDESTADDRREQ))
  }

  @Test func `a connected socket hears its peer only`() throws {
    let (receiver, peer, stranger) = (try object(), try object(), try object())
    #expect(perform(receiver, .connect, Operands(address: try address(of: peer))).outcome == .done(0))
    #expect(send(stranger, [1], to: try address(of: receiver)) == .done(1))
    #expect(send(peer, [2], to: try address(of: receiver)) == .done(1))
    #expect(performSoon(receiver, .receive, Operands(length: 9)).bytes == [2])
    #expect(perform(receiver, .receive, Operands(length: 9)).outcome == .wouldBlock(.readable))
  }

  @Test func `that nobody is at the peer's port is told`() throws {
    let sender = try object()
    var gone: SocketObject? = try object()
    let port = try address(of: #require(gone))
    gone = nil
    #expect(perform(sender, .connect, Operands(address: port)).outcome == .done(0))
    #expect(send(sender, [1]) == .done(1))
    #expect(performSoon(sender, .receive, Operands(length: 9)).outcome == .failed(ECONNREFUSED))
    _ = gone
  }

  @Test func `a payload of another length than the checked one is not sent`() throws {
    let receiver = try object()
    let operands = Operands(length: 1, address: try address(of: receiver))
    #expect(perform(try object(), .send, operands, payload: [1, 2]).outcome == .failed(EINVAL))
    #expect(perform(receiver, .receive, Operands(length: 9)).outcome == .wouldBlock(.readable))
  }

  @Test func `a datagram that is too long fails whole`() throws {
    let receiver = try object()
    #expect(
      send(try object(), [UInt8](repeating: 0, count: 65_508), to: try address(of: receiver)) == .failed(EMSGSIZE))
  }

  @Test func `several opens share the port and each datagram reaches one of them`() throws {
    let first = try object()
    let port = try address(of: first)
    let second = try object(port)
    let senders = try (0..<64).map { _ in try object() }
    for (index, sender) in senders.enumerated() { #expect(send(sender, [UInt8(index)], to: port) == .done(1)) }
    var seen: [UInt8] = []
    for receiver in [first, second] {
      var own = 0
      while case .received = perform(receiver, .receive, Operands(length: 9)).outcome { own += 1 }
      #expect(own > 0, "the kernel distributes by sender: 2 ^ -63 that one of two gets none")
      seen += [UInt8](repeating: 0, count: own)
    }
    #expect(seen.count == 64)
  }

  @Test func `a socket that does not share ports cannot join one`() throws {
    let port = try address(of: object())
    let first = try object(port)
    let plain = try Descriptor.socket(.udp(.ipv4))
    #expect(throws: SystemError(errno: EADDRINUSE, operation: "bind")) { try plain.bind(to: port) }
    withExtendedLifetime(first) {}
  }

  @Test func `listen and accept are not for datagrams`() throws {
    #expect(perform(try object(), .listen, Operands(request: 1)).outcome == .failed(EOPNOTSUPP))
    #expect(perform(try object(), .accept).outcome == .failed(EOPNOTSUPP))
  }
}
