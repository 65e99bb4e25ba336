/// The first 8 bytes of every datagram on an object channel.
public struct BatchHeader: Sendable, Hashable {
  public static let size = 8

  /// The two directions have different magic numbers, so that an echoed datagram is an error. The high byte is the version.
  enum Magic: UInt16 {
    case instructions = 0x0149
    case completions = 0x0143
  }

  /// Frames that follow, 1...64.
  public var count: Int
  /// Bytes of payload behind the last frame.
  public var payload: Int

  /// Checks everything but the frames: magic, count, and that the datagram is as long as it says.
  @inline(__always)
  init(decoding datagram: Span<UInt8>, magic: Magic, frameSize: Int) throws(WireError) {
    guard datagram.count >= BatchHeader.size else { throw .truncated }
    guard datagram.word16(0) == magic.rawValue else { throw .badMagic }
    count = Int(datagram.word16(2))
    payload = Int(datagram.word32(4))
    guard count >= 1, count <= Bounds.batch else { throw .badCount }
    guard payload <= Bounds.payload else { throw .oversized }
    let expected = BatchHeader.size + count * frameSize + payload
    guard datagram.count >= expected else { throw .truncated }
    guard datagram.count == expected else { throw .trailingBytes }
  }

  @inline(__always)
  static func encode(count: Int, payload: Int, magic: Magic, into datagram: inout MutableSpan<UInt8>) throws(WireError)
  {
    guard count >= 1, count <= Bounds.batch else { throw .badCount }
    guard payload >= 0, payload <= Bounds.payload else { throw .oversized }
    guard datagram.count >= BatchHeader.size else { throw .truncated }
    datagram.store(magic.rawValue, at: 0)
    datagram.store(UInt16(truncatingIfNeeded: count), at: 2)
    datagram.store(UInt32(truncatingIfNeeded: payload), at: 4)
  }
}
