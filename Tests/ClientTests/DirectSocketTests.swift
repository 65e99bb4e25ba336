import FakeKernel
import Foundation
import Glibc
import Instructions
import Linux
import Testing
import Wire

@testable import Postern

private func loopback(_ port: UInt16 = 0) -> NetworkAddress {
  NetworkAddress(family: .ipv4, bytes: [127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], port: port)
}

/// A socket of that kind on a port of the kernel's choice, blocking.
private func bound(_ kind: SocketKind) throws -> Descriptor {
  let socket = try Descriptor.socket(kind)
  try socket.bind(to: loopback())
  try socket.setFlags(nonblocking: false, closeOnExec: true)
  return socket
}

private func address(of object: DirectObject) throws -> NetworkAddress {
  let duplicate = Descriptor(adopting: fcntl(object.number, F_DUPFD_CLOEXEC, 0))
  guard let address = try duplicate.localAddress() else { throw ToolFailure(text: "not bound") }
  return address
}

private func send(_ bytes: [UInt8], from socket: borrowing Descriptor, to address: NetworkAddress?) throws -> Int? {
  try bytes.withRawSpan { (span) throws(SystemError) in try socket.send(span, to: address) }
}

private func receive(_ object: any OpenedObject, _ room: Int, nonblocking: Bool = false) throws -> (
  received: Received?, bytes: [UInt8]
) {
  var buffer = [UInt8](repeating: 0xEE, count: room)
  var span = buffer.mutableSpan
  let received = try object.receive(into: &span, nonblocking: nonblocking)
  return (received, Array(buffer.prefix(received?.count ?? 0)))
}

@Suite struct DirectSocketTests {
  private func udp(_ body: (DirectObject) throws -> Void) throws {
    try FakeDirect(.socket) { try bound(.udp(.ipv4)) }.opened(body)
  }

  private func tcp(_ body: (DirectObject) throws -> Void) throws {
    try FakeDirect(.socket) { try bound(.tcp(.ipv4)) }.opened(body)
  }

  @Test func `a datagram goes where it is sent and comes with its sender`() throws {
    try udp { socket in
      let peer = try bound(.udp(.ipv4))
      let here = try address(of: socket)
      let bound = try peer.localAddress()
      let there = try #require(bound)
      try #expect(socket.send([1, 2, 3].span, to: there) == 3)
      var taken: UInt64 = 0
      _ = unsafe recv(peer.rawValue, &taken, 8, 0)
      #expect(taken == 0x030201)
      let answer: [UInt8] = [4, 5]
      try #expect(send(answer, from: peer, to: here) == 2)
      let (received, bytes) = try receive(socket, 10)
      #expect(received == Received(count: 2, length: 2, sender: there))
      #expect(bytes == [4, 5])
    }
  }

  @Test func `of a datagram that does not fit the whole length is told`() throws {
    try udp { socket in
      try socket.connect(to: address(of: socket))
      try #expect(socket.send([1, 2, 3, 4, 5].span) == 5)
      try #expect(socket.send([9].span) == 1)
      let (received, bytes) = try receive(socket, 2)
      #expect(received?.count == 2 && received?.length == 5)
      #expect(bytes == [1, 2])
      try #expect(receive(socket, 2).bytes == [9])
    }
  }

  @Test func `on a stream nothing is lost that does not fit`() throws {
    let ends = fake_kernel_streams()
    let far = Descriptor(adopting: ends.first)
    try FakeDirect(.socket) { Descriptor(adopting: ends.second) }.opened { stream in
      let bytes: [UInt8] = [1, 2, 3, 4, 5]
      try #expect(send(bytes, from: far, to: nil) == 5)
      try #expect(receive(stream, 2).received == Received(count: 2, length: 2, sender: nil))
      try #expect(receive(stream, 9).bytes == [3, 4, 5])
      try #expect(receive(stream, 9, nonblocking: true).received == nil)
      try far.shutdown(how: 1)
      try #expect(receive(stream, 9).received?.length == 0)
    }
  }

  @Test func `where nothing waits, a call that may not wait says so, by its own word or the descriptor's`() throws {
    try udp { socket in
      try #expect(receive(socket, 1, nonblocking: true).received == nil)
      #expect(fcntl(socket.number, F_SETFL, O_NONBLOCK) == 0)
      try #expect(receive(socket, 1).received == nil)
    }
    try tcp { listener in
      try listener.listen()
      try #expect(!accepts(listener, nonblocking: true))
      #expect(fcntl(listener.number, F_SETFL, O_NONBLOCK) == 0)
      try #expect(!accepts(listener, nonblocking: false))
    }
  }

  @Test func `a listener listens and accepts ordinary connections, close-on-exec and blocking`() throws {
    try tcp { listener in
      try listener.bind()
      try listener.listen(backlog: 5)
      let client = try Descriptor.socket(.tcp(.ipv4))
      try client.setFlags(nonblocking: false, closeOnExec: true)
      try client.connect(to: address(of: listener))
      guard let accepted = try listener.accept() else {
        Issue.record("nothing was accepted")
        return
      }
      #expect(accepted.peer == (try client.localAddress()))
      #expect(fcntl(accepted.descriptor.rawValue, F_GETFD) == FD_CLOEXEC)
      #expect(fcntl(accepted.descriptor.rawValue, F_GETFL) & O_NONBLOCK == 0)
      let bytes: [UInt8] = [1, 2]
      try #expect(send(bytes, from: client, to: nil) == 2)
      try #expect(isReadable(accepted.descriptor.rawValue, timeoutMilliseconds: 1000))
    }
  }

  @Test func `the listener's descriptor is readable when a connection waits`() throws {
    try tcp { listener in
      try listener.listen()
      try #expect(!isReadable(listener.number, timeoutMilliseconds: 50))
      let client = try Descriptor.socket(.tcp(.ipv4))
      try client.setFlags(nonblocking: false, closeOnExec: true)
      try client.connect(to: address(of: listener))
      try #expect(isReadable(listener.number, timeoutMilliseconds: 1000))
      try #expect(accepts(listener, nonblocking: true))
    }
  }

  @Test func `bind changes nothing, and says of a socket that is not bound that it is not`() throws {
    try udp { socket in
      let before = try address(of: socket)
      try socket.bind()
      try #expect(address(of: socket) == before)
    }
    let path = "/tmp/postern-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    defer { try? FileManager.default.removeItem(atPath: path) }
    try FakeDirect(.socket) { try StreamSocket.listen(at: path, mode: 0o600) }.opened { try $0.bind() }
    try FakeDirect(.socket) { try .socket(.unixStream) }.opened { unbound in
      #expect(failure { try unbound.bind() } == .failed(errno: ENOTCONN, text: ""))
    }
  }

  @Test func `options are read and set`() throws {
    try udp { socket in
      // SOCK_DGRAM is 2.
      let (level, type, priority) = (UInt16(SOL_SOCKET), UInt16(SO_TYPE), UInt16(SO_PRIORITY))
      try #expect(socket.getOption(level: level, name: type) == [2, 0, 0, 0])
      try socket.setOption(level: level, name: priority, [3, 0, 0, 0].span)
      try #expect(socket.getOption(level: level, name: priority) == [3, 0, 0, 0])
      #expect(failure { _ = try socket.getOption(level: 9999, name: 1) } == .failed(errno: EOPNOTSUPP, text: ""))
    }
  }

  @Test func `after a shutdown the end is read and SIGPIPE is not raised`() throws {
    let ends = fake_kernel_streams()
    let far = Descriptor(adopting: ends.first)
    try FakeDirect(.socket) { Descriptor(adopting: ends.second) }.opened { stream in
      try stream.shutdown(how: 2)
      try #expect(receive(stream, 4).received?.length == 0)
      #expect(failure { _ = try stream.send([1].span) } == .failed(errno: EPIPE, text: ""))
      #expect(failure { try stream.shutdown(how: 3) } == .failed(errno: EINVAL, text: ""))
    }
    _ = consume far
  }
}
