import Instructions
import Linux
import Wire

/// What an instruction asked for, as far as its completion must fit it.
struct Shape: Sendable {
  var opcode: Opcode
  /// Bytes that it carried.
  var carried: Int
  /// Bytes that may come back.
  var room: Int

  /// Refuses a completion that claims more than was asked for.
  func check(_ frame: CompletionFrame) throws(PosternError) {
    guard frame.payload.count <= room else { throw .violation(.badLength) }
    // Linux has no errno above 4095 (include/linux/err.h).
    guard frame.result >= -4095 else { throw .violation(.badValue(.errno)) }
    guard frame.result >= 0 else {
      guard frame.payload.isEmpty else { throw .violation(.badLength) }
      return
    }
    switch opcode {
    case .read, .transfer: guard frame.result == frame.payload.count else { throw .violation(.badLength) }
    // What ioctl(2) returns is not how many bytes its structure has.
    case .control: guard frame.result <= Int64(Int32.max) else { throw .violation(.badLength) }
    case .write, .send: guard frame.result <= carried else { throw .violation(.badLength) }
    default:
      guard frame.result >= frame.payload.count, frame.result <= Int64(Int32.max) else { throw .violation(.badLength) }
    }
  }
}

/// How an instruction ended; its bytes are elsewhere.
struct Outcome: Sendable {
  var result: Int64
  /// Bytes that came back.
  var count: Int
  var reason: Reason?
  var detail: RefusalDetail
  var address: NetworkAddress?
  var descriptor: SharedDescriptor?

  init(_ frame: CompletionFrame, _ descriptor: SharedDescriptor?) {
    result = frame.result
    count = frame.payload.count
    reason = frame.reason
    detail = frame.detail
    address = frame.address
    self.descriptor = descriptor
  }

  /// The result, where the instruction was executed and did not fail.
  func value() throws(PosternError) -> Int {
    guard result < 0 else { return Int(result) }
    let errno = Int32(-result)
    if let reason { throw .refused(Refusal(reason, detail: detail), errno: errno) }
    throw .failed(errno: errno, text: "")
  }

  /// The result, or nil where it would have had to wait.
  func valueUnlessBusy() throws(PosternError) -> Int? {
    if reason == nil, result == -Int64(SystemError.wouldBlock) { return nil }
    return try value()
  }
}

/// A completion on its way to the thread that waits for it.
struct Delivery: Sendable {
  var frame: CompletionFrame
  var payload: [UInt8]
  var descriptor: SharedDescriptor?
}

/// The instructions of one datagram that one thread waits for.
struct Exchange {
  /// How many can be under way for one call: enough to hide the round trip, few enough for the socket's buffer.
  static let limit = 4

  let base: UInt64
  let count: Int
  /// Where in the destination the first one's bytes go.
  let start: Int
  let shape: Shape
  private(set) var outcomes = InlineArray<4, Outcome?>(repeating: nil)
  private(set) var remaining: Int

  init(base: UInt64, count: Int, start: Int = 0, shape: Shape) {
    self.base = base
    self.count = count
    self.start = start
    self.shape = shape
    remaining = count
  }

  func index(_ cookie: UInt64) -> Int? {
    let distance = cookie &- base
    return distance < UInt64(count) ? Int(distance) : nil
  }

  /// Notes a completion and puts its bytes where they belong: `room` bytes of the destination for each instruction.
  mutating func take(
    _ index: Int, _ frame: CompletionFrame, _ payload: Span<UInt8>, _ descriptor: SharedDescriptor?,
    into destination: inout MutableSpan<UInt8>
  ) throws(PosternError) {
    guard outcomes[index] == nil else { throw .violation(.badValue(.identity)) }
    try shape.check(frame)
    let start = start + index * shape.room
    guard payload.count <= destination.count - start else { throw .violation(.badLength) }
    destination.copy(payload, to: start)
    outcomes[index] = Outcome(frame, descriptor)
    remaining -= 1
  }
}
