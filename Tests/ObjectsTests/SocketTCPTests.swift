import Authority
import Glibc
import Instructions
import Linux
import Objects
import Testing

@Suite struct SocketTCPTests {
  static let all = ObjectKind.socket.operations

  func listener(_ address: NetworkAddress = ipv4(port: 0)) throws -> (SocketObject, NetworkAddress) {
    let object = try SocketObject.open(SocketSpecification(endpoint: .tcp(address)), operations: Self.all)
    #expect(perform(object, .listen, Operands(request: 16)).outcome == .done(0))
    return (object, try #require(try object.localAddress()))
  }

  /// A connection made from outside, finished by the kernel before this returns (loopback).
  func connect(to address: NetworkAddress) throws -> Descriptor {
    let client = try Descriptor.socket(.tcp(address.family))
    do {
      try client.connect(to: address)
    } catch {
      guard error.errno == EINPROGRESS else { throw error }
    }
    return client
  }

  @Test func `an accepted connection carries data both ways`() throws {
    let (object, address) = try listener()
    let client = try connect(to: address)
    let accepted = perform(object, .accept)
    #expect(accepted.outcome == .accepted(from: try client.localAddress()))
    let connection = try #require(accepted.connection)
    let hello = carrying(Array("hello".utf8))
    #expect(try hello.withBytes { bytes throws(SystemError) in try client.send(bytes, to: nil) } == 5)
    var buffer = MessageBuffer(capacity: 16)
    _ = try buffer.append { output throws(SystemError) in
      try connection.descriptor.receiveStream(upTo: 16, into: &output)
    }
    #expect(array(of: buffer) == Array("hello".utf8))
  }

  @Test func `accept without a connection waits for readability`() throws {
    let (object, _) = try listener()
    #expect(perform(object, .accept).outcome == .wouldBlock(.readable))
  }
}
