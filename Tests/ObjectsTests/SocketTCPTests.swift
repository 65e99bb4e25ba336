import Authority
import Foundation
import Glibc
import Instructions
import Linux
import Objects
import Testing

@Suite struct SocketTCPTests {
  func listener(_ address: NetworkAddress = ipv4(port: 0)) throws -> SocketObject {
    let object = try openSocket(.tcp(address))
    #expect(perform(object, .listen, Operands(request: 16)).outcome == .done(0))
    return object
  }

  @Test func `an accepted connection carries data both ways`() throws {
    let object = try listener()
    let client = try #require(try connect(to: address(of: object)))
    let accepted = performSoon(object, .accept)
    #expect(accepted.outcome == .accepted(from: try client.descriptor.localAddress()))
    let connection = try #require(accepted.connection)
    for (from, to) in [(client, connection), (connection, client)] {
      let hello = carrying(Array("hello".utf8))
      #expect(try hello.withBytes { bytes throws(SystemError) in try from.descriptor.send(bytes, to: nil) } == 5)
      var buffer = MessageBuffer(capacity: 16)
      _ = try buffer.append { output throws(SystemError) in
        try to.descriptor.receiveStream(upTo: 16, into: &output)
      }
      #expect(array(of: buffer) == Array("hello".utf8))
    }
  }

  @Test func `an accepted connection is blocking and close-on-exec`() throws {
    let object = try listener()
    let client = try connect(to: address(of: object))
    let connection = try #require(performSoon(object, .accept).connection)
    #expect(fcntl(connection.descriptor.rawValue, F_GETFL) & O_NONBLOCK == 0)
    #expect(fcntl(connection.descriptor.rawValue, F_GETFD) & FD_CLOEXEC != 0)
    withExtendedLifetime(client) {}
  }

  @Test func `accept without a connection waits for readability`() throws {
    #expect(perform(try listener(), .accept).outcome == .wouldBlock(.readable))
  }

  @Test func `accept before listen fails`() throws {
    #expect(perform(try openSocket(.tcp(ipv4(port: 0))), .accept).outcome == .failed(EINVAL))
  }

  @Test func `a listener for one who may accept but not listen is listening already`() throws {
    let object = try openSocket(.tcp(ipv4(port: 0)), [OperationSet(.accept)])
    #expect(perform(object, .accept).outcome == .wouldBlock(.readable))
  }

  @Test func `the largest backlog asked for stands`() throws {
    let object = try openSocket(.tcp(ipv4(port: 0)))
    for backlog in [UInt32(7), 3] {
      #expect(perform(object, .listen, Operands(request: backlog)).outcome == .done(0))
    }
    // TCP_INFO of a listener: tcpi_sacked, at byte 28, is its backlog (tcp_get_info in net/ipv4/tcp.c).
    let info = perform(object, .getoption, Operands(request: option(Int32(IPPROTO_TCP), TCP_INFO))).bytes
    #expect(try #require(info.count > 28 ? info[28] : nil) == 7)
  }

  @Test func `with no descriptor left accept fails with EMFILE and the connection waits`() async {
    // In a process of its own: all its descriptors are used up.
    await #expect(processExitsWith: .success) {
      let object = try openSocket(.tcp(ipv4(port: 0)))
      #expect(perform(object, .listen, Operands(request: 16)).outcome == .done(0))
      let client = try #require(try connect(to: address(of: object)))
      #expect(try isReady(object))
      var filling: [Connection] = []
      while let more = try? client.descriptor.duplicate() { filling.append(Connection(more)) }
      try #require(perform(object, .accept).outcome == .failed(EMFILE))
      filling.removeLast()
      try #require(perform(object, .accept).connection != nil)
    }
  }

  @Test func `bind is done already, and only to the object's own address`() throws {
    let object = try openSocket(.tcp(ipv4(port: 0)))
    #expect(perform(object, .bind).outcome == .done(0))
    #expect(perform(object, .bind, Operands(address: ipv4(port: 0))).outcome == .done(0))
    #expect(perform(object, .bind, Operands(address: ipv4(port: 1))).outcome == .failed(EINVAL))
  }

  @Test func `a shared listener does not connect`() throws {
    let target = try listener()
    let operands = Operands(address: try address(of: target))
    #expect(perform(try listener(), .connect, operands).outcome == .failed(EOPNOTSUPP))
  }

  @Test func `a port in use is told at open`() throws {
    let object = try listener()
    #expect(openFailure(.tcp(try address(of: object))) == EADDRINUSE)
  }

  @Test func `the port is free when the object is gone`() throws {
    let port = try address(of: listener())
    #expect(openFailure(.tcp(port)) == nil)
  }

  @Test func `connections in TIME_WAIT do not keep the port`() throws {
    var object: SocketObject? = try listener()
    let port = try address(of: #require(object))
    var client = try connect(to: port)
    var connection = performSoon(try #require(object), .accept).connection
    #expect(connection != nil)
    // The side that closes first stays in TIME_WAIT.
    connection = nil
    client = nil
    object = nil
    let plain = try Descriptor.socket(.tcp(.ipv4))
    #expect(throws: SystemError(errno: EADDRINUSE, operation: "bind")) { try plain.bind(to: port) }
    #expect(openFailure(.tcp(port)) == nil)
    _ = (connection, client, object)
  }

  @Test func `shutdown ends listening`() throws {
    let object = try listener()
    let port = try address(of: object)
    #expect(perform(object, .shutdown, Operands(request: 2)).outcome == .done(0))
    #expect(perform(object, .accept).outcome == .failed(EINVAL))
    #expect(try connect(to: port) == nil)
  }

  @Test func `shutdown knows three ways`() throws {
    #expect(perform(try listener(), .shutdown, Operands(request: 3)).outcome == .failed(EINVAL))
  }

  @Test func `after recall nothing starts, nobody connects, and who waits is woken`() throws {
    let object = try listener()
    let port = try address(of: object)
    #expect(try !isReady(object))
    object.recall()
    #expect(try isReady(object))
    for opcode in socketOperations.opcodes {
      #expect(perform(object, opcode).outcome == .failed(ESHUTDOWN))
    }
    #expect(try connect(to: port) == nil)
  }

  @Test func `every disk and bus operation is not supported`() throws {
    let object = try listener()
    for opcode in [Opcode.read, .write, .flush, .discard, .info, .transfer, .control, .wait] {
      #expect(perform(object, opcode).outcome == .failed(EOPNOTSUPP))
    }
  }
}
