import Wire

/// The two kinds of channel datagram, so that one test speaks of both.
protocol ChannelFrame: Hashable, Sendable {
  static var size: Int { get }
  var payload: Range<Int> { get set }
  func encode(into datagram: inout MutableSpan<UInt8>, index: Int) throws(WireError)
  static func encodeHeader(count: Int, payload: Int, into datagram: inout MutableSpan<UInt8>) throws(WireError) -> Int
  static func decode(_ datagram: [UInt8]) throws(WireError) -> Datagram<Self>
}

extension InstructionFrame: ChannelFrame {
  static func encodeHeader(count: Int, payload: Int, into datagram: inout MutableSpan<UInt8>) throws(WireError) -> Int {
    try InstructionBatch.encodeHeader(count: count, payload: payload, into: &datagram)
  }

  static func decode(_ datagram: [UInt8]) throws(WireError) -> Datagram<InstructionFrame> {
    var batch = try InstructionBatch(decoding: datagram.span)
    var frames: [InstructionFrame] = []
    while let frame = try batch.next(datagram.span) { frames.append(frame) }
    return Datagram(frames: frames, payload: [UInt8](datagram[InstructionBatch.payloadOffset(count: batch.count)...]))
  }
}

extension CompletionFrame: ChannelFrame {
  static func encodeHeader(count: Int, payload: Int, into datagram: inout MutableSpan<UInt8>) throws(WireError) -> Int {
    try CompletionBatch.encodeHeader(count: count, payload: payload, into: &datagram)
  }

  static func decode(_ datagram: [UInt8]) throws(WireError) -> Datagram<CompletionFrame> {
    var batch = try CompletionBatch(decoding: datagram.span)
    var frames: [CompletionFrame] = []
    while let frame = try batch.next(datagram.span) { frames.append(frame) }
    return Datagram(frames: frames, payload: [UInt8](datagram[CompletionBatch.payloadOffset(count: batch.count)...]))
  }
}

extension Datagram where Frame: ChannelFrame {
  /// The datagram's bytes, encoded over memory that was not zero, so that a byte left out shows.
  func encode() throws -> [UInt8] {
    let start = BatchHeader.size + frames.count * Frame.size
    var bytes = [UInt8](repeating: 0xAA, count: start)
    var span = bytes.mutableSpan
    for (index, frame) in frames.enumerated() { try frame.encode(into: &span, index: index) }
    let total = try Frame.encodeHeader(count: frames.count, payload: payload.count, into: &span)
    bytes += payload
    guard total == bytes.count else { throw WireError.badLength }
    return bytes
  }

  /// The frames with payload ranges as a decoder gives them.
  var placed: Datagram {
    var copy = self
    var start = BatchHeader.size + frames.count * Frame.size
    for index in frames.indices {
      copy.frames[index].payload = start..<(start + frames[index].payload.count)
      start += frames[index].payload.count
    }
    return copy
  }
}

/// What a decoder makes of bytes, turned back into bytes; each decoder of the module.
enum Decoders: CaseIterable {
  case request, reply, instructions, completions

  func reencode(_ bytes: [UInt8]) throws -> [UInt8] {
    switch self {
    case .request:
      let (id, request) = try Request.decode(bytes.span)
      return try request.encode(id: id)
    case .reply:
      let (id, reply) = try Reply.decode(bytes.span)
      return try reply.encode(id: id)
    case .instructions: return try InstructionFrame.decode(bytes).encode()
    case .completions: return try CompletionFrame.decode(bytes).encode()
    }
  }

  /// Every sample of this decoder, as bytes.
  func samples() throws -> [(name: String, bytes: [UInt8])] {
    switch self {
    case .request: try Samples.requests.map { ($0.name, try $0.request.encode(id: $0.id)) }
    case .reply: try Samples.replies().map { ($0.name, try $0.reply.encode(id: $0.id)) }
    case .instructions: try Samples.instructions.map { ($0.name, try $0.datagram.encode()) }
    case .completions: try Samples.completions.map { ($0.name, try $0.datagram.encode()) }
    }
  }
}
