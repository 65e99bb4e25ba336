/// A datagram from the broker, checked as a whole, whose completions and notifications are then taken one after the other.
///
/// Holds no bytes and allocates nothing; the same datagram, unchanged, is given to every call.
public struct CompletionBatch: Sendable {
  public let count: Int
  var index = 0
  var payload: Int

  /// Checks header and every frame, so that none is acted on of a datagram whose later part is wrong.
  public init(decoding datagram: Span<UInt8>) throws(WireError) {
    let header = try BatchHeader(decoding: datagram, magic: .completions, frameSize: CompletionFrame.size)
    let first = BatchHeader.size &+ header.count &* CompletionFrame.size
    count = header.count
    payload = first
    var start = first
    for index in 0..<header.count {
      let frame = try CompletionFrame(
        decoding: datagram, at: BatchHeader.size &+ index &* CompletionFrame.size, payloadStart: start)
      start = frame.payload.upperBound
    }
    guard start == datagram.count else { throw .badLength }
  }

  /// The next completion or notification, or nil after the last.
  ///
  /// Throws only if `datagram` is not the one that was checked.
  public mutating func next(_ datagram: Span<UInt8>) throws(WireError) -> CompletionFrame? {
    guard index < count else { return nil }
    let frame = try CompletionFrame(
      decoding: datagram, at: BatchHeader.size &+ index &* CompletionFrame.size, payloadStart: payload)
    index &+= 1
    payload = frame.payload.upperBound
    return frame
  }

  /// Where the first payload of a datagram with `count` completions begins.
  public static func payloadOffset(count: Int) -> Int { BatchHeader.size + count * CompletionFrame.size }

  /// Writes the header of a datagram of `count` completions with `payload` bytes of payload behind them, and returns the whole length.
  ///
  /// The frames are written with `CompletionFrame.encode`, the payloads by the caller, in the frames' order without gaps.
  @discardableResult
  public static func encodeHeader(
    count: Int, payload: Int, into datagram: inout MutableSpan<UInt8>
  ) throws(WireError) -> Int {
    try BatchHeader.encode(count: count, payload: payload, magic: .completions, into: &datagram)
    return payloadOffset(count: count) + payload
  }
}
