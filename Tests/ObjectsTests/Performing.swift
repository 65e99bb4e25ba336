import Authority
import Instructions
import Linux
import Objects
import Testing

/// An effect in a form that can be compared.
enum Observed: Equatable {
  case done(UInt64)
  case received(UInt64, from: NetworkAddress?)
  case accepted(from: NetworkAddress?)
  case failed(Int32)
  case wouldBlock(Readiness)
  case blocks
}

/// An accepted connection that a test keeps.
final class Connection: Sendable {
  let descriptor: Descriptor
  init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
}

struct Performed {
  var outcome: Observed
  var bytes: [UInt8]
  var connection: Connection?
}

/// Bytes in the form that effects and descriptors take them.
func carrying(_ bytes: [UInt8]) -> MessageBuffer {
  var buffer = MessageBuffer(capacity: bytes.count)
  buffer.append { output in for byte in bytes { output.append(byte) } }
  return buffer
}

func array(of buffer: borrowing MessageBuffer) -> [UInt8] {
  buffer.withBytes { bytes in
    let span = Span<UInt8>(_bytes: bytes)
    return span.indices.map { span[$0] }
  }
}

/// Mints a grant and performs it; where the effect can block, also on the blocking side, unless `inlineOnly`.
func perform(
  _ object: any OpenObject, _ opcode: Opcode, _ operands: Operands = Operands(), range: ByteRange? = nil,
  payload: [UInt8] = [], room: Int = 65536, inlineOnly: Bool = false
) -> Performed {
  var grant: Grant? = Grant(
    issuer: .kernel, instruction: Instruction(opcode: opcode, object: ObjectID(rawValue: 1), operands: operands),
    association: nil, range: range, generation: 1, expiry: 0)
  let carried = carrying(payload)
  var buffer = MessageBuffer(capacity: room)
  var performed = Performed(outcome: .blocks, bytes: [])
  for isBlocking in [false, true] {
    guard grant != nil else { break }
    if isBlocking {
      #expect(buffer.count == 0, "an effect that has not happened leaves nothing behind")
      if inlineOnly { break }
    }
    buffer.append { output in
      carried.withBytes { bytes in
        guard let taken = grant.take() else { return }
        let effect =
          isBlocking
          ? object.performBlocking(taken, payload: bytes, into: &output)
          : object.perform(taken, payload: bytes, into: &output)
        grant = performed.take(effect)
      }
    }
  }
  performed.bytes = array(of: buffer)
  return performed
}

extension Performed {
  /// Keeps what the effect says; gives the grant back where nothing has happened yet.
  mutating func take(_ effect: consuming Effect) -> Grant? {
    switch consume effect {
    case .done(let count): outcome = .done(count)
    case .received(let count, let source): outcome = .received(count, from: source)
    case .accepted(let descriptor, let peer):
      outcome = .accepted(from: peer)
      connection = Connection(descriptor)
    case .failed(let code): outcome = .failed(code)
    case .wouldBlock(let readiness): outcome = .wouldBlock(readiness)
    case .blocks(let grant):
      outcome = .blocks
      return grant
    }
    return nil
  }
}

/// `127.0.0.1` by default.
func ipv4(_ a: UInt8 = 127, _ b: UInt8 = 0, _ c: UInt8 = 0, _ d: UInt8 = 1, port: UInt16) -> NetworkAddress {
  var bytes = InlineArray<16, UInt8>(repeating: 0)
  bytes[0] = a
  bytes[1] = b
  bytes[2] = c
  bytes[3] = d
  return NetworkAddress(family: .ipv4, bytes: bytes, port: port)
}

/// An IPv6 address of zeros but for its last byte: `[::1]` by default, `[::]` for 0.
func ipv6(last: UInt8 = 1, port: UInt16) -> NetworkAddress {
  var bytes = InlineArray<16, UInt8>(repeating: 0)
  bytes[15] = last
  return NetworkAddress(family: .ipv6, bytes: bytes, port: port)
}
