import Authority
import Foundation
import Glibc
import Instructions
import Linux
import Objects
import Testing

let socketOperations = ObjectKind.socket.operations

func openSocket(
  _ endpoint: SocketSpecification.Endpoint, _ operations: OperationSet = socketOperations,
  network: NetworkNamespace = .host
) throws(SystemError) -> SocketObject {
  try SocketObject.open(SocketSpecification(endpoint: endpoint, network: network), operations: operations)
}

/// The errno with which an open fails; nil where it does not.
func openFailure(_ endpoint: SocketSpecification.Endpoint, network: NetworkNamespace = .host) -> Int32? {
  do {
    _ = try openSocket(endpoint, network: network)
    return nil
  } catch { return error.errno }
}

/// A connection made from outside; on loopback the kernel has finished it before this returns.
///
/// - Returns: nil where the connection is refused.
func connect(to address: NetworkAddress) throws -> Connection? {
  let client = try Descriptor.socket(.tcp(address.family))
  // Non-blocking: the first answer is EINPROGRESS, the second the outcome.
  for _ in 0..<2 {
    do {
      try client.connect(to: address)
    } catch {
      if error.errno == ECONNREFUSED { return nil }
      guard error.errno == EINPROGRESS || error.errno == EISCONN else { throw error }
    }
  }
  return Connection(client)
}

/// Performs until it no longer would block; loopback delivers at once, so the bound is never near.
func performSoon(_ object: SocketObject, _ opcode: Opcode, _ operands: Operands = Operands()) -> Performed {
  for _ in 0..<200 {
    let performed = perform(object, opcode, operands)
    guard case .wouldBlock = performed.outcome else { return performed }
    Thread.sleep(forTimeInterval: 0.01)
  }
  return perform(object, opcode, operands)
}

func send(_ object: SocketObject, _ bytes: [UInt8], to address: NetworkAddress? = nil) -> Observed {
  perform(object, .send, Operands(length: UInt64(bytes.count), address: address), payload: bytes).outcome
}

/// Whether the descriptor that the broker watches is ready.
func isReady(_ object: SocketObject) throws -> Bool {
  try isReadable(try #require(object.readiness), timeoutMilliseconds: 0)
}

func option(_ level: Int32, _ name: Int32) -> UInt32 { UInt32(level) << 16 | UInt32(name) }

func address(of object: SocketObject) throws -> NetworkAddress { try #require(try object.localAddress()) }

/// A network namespace of the test's own with its loopback up, removed with its owner.
final class NetworkNamespaceFixture: Sendable {
  let name = "postern-\(getpid())-\(UInt32.random(in: 0 ... .max))"
  var path: String { "/run/netns/\(name)" }
  var network: NetworkNamespace { .path(path) }

  init() throws {
    try run("ip", "netns", "add", name)
    try run("ip", "-n", name, "link", "set", "lo", "up")
  }

  /// Two interfaces joined back to back, both up and noticed to be (linkwatch in net/core/link_watch.c is late).
  func addPair(_ one: String, _ two: String) throws {
    try run("ip", "-n", name, "link", "add", one, "type", "veth", "peer", "name", two)
    for link in [one, two] { try run("ip", "-n", name, "link", "set", link, "up") }
    for _ in 0..<200 {
      if try run("ip", "-n", name, "-o", "link", "show", one).contains("state UP") { return }
      Thread.sleep(forTimeInterval: 0.01)
    }
    throw ToolFailure(description: "\(one) does not come up")
  }

  deinit {
    do { try run("ip", "netns", "delete", name) } catch { Issue.record("\(name) stays: \(error)") }
  }
}
