import Instructions

/// A datagram from an application, checked as a whole, whose instructions are then taken one after the other.
///
/// Holds no bytes and allocates nothing; the same datagram, unchanged, is given to every call.
public struct InstructionBatch: Sendable {
  public let count: Int
  var index = 0
  var payload: Int
  /// The only instruction, which need not be decoded twice.
  private var single: InstructionFrame?

  /// Checks header and every frame, so that no instruction is performed of a datagram whose later part is wrong.
  public init(decoding datagram: Span<UInt8>) throws(WireError) {
    let header = try BatchHeader(decoding: datagram, magic: .instructions, frameSize: InstructionFrame.size)
    let first = BatchHeader.size &+ header.count &* InstructionFrame.size
    count = header.count
    payload = first
    var start = first
    if header.count == 1 {
      let frame = try InstructionFrame(decoding: datagram, at: BatchHeader.size, payloadStart: first)
      guard frame.payload.upperBound == datagram.count else { throw .badLength }
      single = frame
      return
    }
    for index in 0..<header.count {
      let frame = try InstructionFrame(
        decoding: datagram, at: BatchHeader.size &+ index &* InstructionFrame.size, payloadStart: start)
      start = frame.payload.upperBound
    }
    guard start == datagram.count else { throw .badLength }
  }

  /// The next instruction, or nil after the last.
  ///
  /// Throws only if `datagram` is not the one that was checked.
  public mutating func next(_ datagram: Span<UInt8>) throws(WireError) -> InstructionFrame? {
    guard index < count else { return nil }
    if let single {
      guard single.payload.upperBound == datagram.count else { throw .badLength }
      index = 1
      return single
    }
    let frame = try InstructionFrame(
      decoding: datagram, at: BatchHeader.size &+ index &* InstructionFrame.size, payloadStart: payload)
    index &+= 1
    payload = frame.payload.upperBound
    return frame
  }

  /// Where the first payload of a datagram with `count` instructions begins.
  public static func payloadOffset(count: Int) -> Int { BatchHeader.size + count * InstructionFrame.size }

  /// Writes the header of a datagram of `count` instructions with `payload` bytes of payload behind them, and returns the whole length.
  ///
  /// The frames are written with `InstructionFrame.encode`, the payloads by the caller, in the frames' order without gaps.
  @discardableResult
  public static func encodeHeader(
    count: Int, payload: Int, into datagram: inout MutableSpan<UInt8>
  ) throws(WireError) -> Int {
    try BatchHeader.encode(count: count, payload: payload, magic: .instructions, into: &datagram)
    return payloadOffset(count: count) + payload
  }
}
