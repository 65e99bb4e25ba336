import Instructions
import Postern

/// An opened object in a command's terms: bytes in, bytes out, every no a `CommandFailure`.
struct ObjectChannel {
  private let channel: any OpenedObject
  /// What was asked for, `read scratch`.
  private let action: String

  /// Opens `name`, asking for one operation and no more.
  init(_ name: String, _ opcode: Opcode, _ session: Session, action: String) throws(CommandFailure) {
    let broker = try session.connect()
    self.action = action
    do {
      channel = try broker.open(name, OperationSet(opcode))
    } catch { throw ObjectChannel.failure(error, action) }
  }

  /// Bytes of the object's range; 0: it has none.
  var length: UInt64 { channel.facts.rangeLength }

  /// The most bytes that one call moves. The client library splits long calls on disks only: elsewhere a call is one
  /// transaction on the bus.
  var piece: Int { channel.facts.kind == .disk ? 1 << 20 : channel.facts.maximumPayload }

  /// How long a read of a line waits for its bytes on the path direct, in nanoseconds; as the broker does on the other.
  private static let patience: UInt64 = 1_000_000_000

  /// The most bytes that one instruction carries.
  var instruction: Int { channel.facts.maximumPayload }

  /// - Returns: at most `count` bytes; none at the end.
  func read(_ count: Int, at offset: UInt64) throws(CommandFailure) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var span = bytes.mutableSpan
    let got: Int
    do {
      if let direct = channel as? DirectObject, direct.isLine {
        got = try direct.readArriving(into: &span, within: ObjectChannel.patience)
      } else {
        got = try channel.read(into: &span, at: offset)
      }
    } catch { throw failure(error) }
    bytes.removeLast(count - got)
    return bytes
  }

  /// - Returns: how many bytes were written.
  func write(_ bytes: [UInt8], at offset: UInt64) throws(CommandFailure) -> Int {
    do { return try channel.write(bytes.span, at: offset) } catch { throw failure(error) }
  }

  /// One bus transaction.
  func transfer(_ bytes: [UInt8], reading count: Int) throws(CommandFailure) -> [UInt8] {
    var answer = [UInt8](repeating: 0, count: count)
    var span = answer.mutableSpan
    let got: Int
    do { got = try channel.transfer(bytes.span, into: &span) } catch { throw failure(error) }
    answer.removeLast(count - got)
    return answer
  }

  /// What was allowed and failed, the opening too, is the object's affair, whatever its errno.
  private func failure(_ error: PosternError) -> CommandFailure { ObjectChannel.failure(error, action) }

  private static func failure(_ error: PosternError, _ action: String) -> CommandFailure {
    if case .failed(let errno, let text) = error { return .failedOperation(action, errno: errno, text) }
    return CommandFailure(error, during: action)
  }
}
