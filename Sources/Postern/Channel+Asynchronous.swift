import Instructions
import Linux
import Wire

/// An instruction whose completion is collected later.
public struct Submission: Sendable {
  public var opcode: Opcode
  /// What bounds its answer: `length` is how many bytes are wanted, except for write, send and setoption.
  public var operands: Operands
  /// Complete with EAGAIN rather than wait.
  public var nonblocking: Bool
  public var payload: [UInt8]
  /// The caller's own; comes back with the completion.
  public var token: UInt64

  public init(
    _ opcode: Opcode, _ operands: Operands = Operands(), nonblocking: Bool = false, payload: [UInt8] = [],
    token: UInt64
  ) {
    self.opcode = opcode
    self.operands = operands
    self.nonblocking = nonblocking
    self.payload = payload
    self.token = token
  }
}

/// How a submitted instruction ended.
public struct Completion: Sendable {
  public var token: UInt64
  public var opcode: Opcode
  /// As of the operation; -errno if it failed.
  public var result: Int64
  /// Where it was refused. Nothing is revalidated or repeated: call `revalidate`, then submit it again.
  public var refusal: Refusal?
  public var payload: [UInt8]
  public var address: NetworkAddress?
  /// An accepted connection; closed with the last copy of this value unless taken.
  public var descriptor: SharedDescriptor?

  init(_ submission: Submission) {
    token = submission.token
    opcode = submission.opcode
    result = 0
    payload = []
  }

  init(_ delivery: Delivery, _ submitted: ChannelState.Submitted) {
    token = submitted.token
    opcode = submitted.shape.opcode
    result = delivery.frame.result
    refusal = delivery.frame.reason.map { Refusal($0, detail: delivery.frame.detail) }
    payload = delivery.payload
    address = delivery.frame.address
    descriptor = delivery.descriptor
  }
}

extension Channel {
  /// Sends instructions without waiting for them, as many in a datagram as fit.
  ///
  /// - Returns: how many were sent; fewer than given where the socket has no room for more before completions are
  ///   collected.
  /// - Throws: `usage` where the first one is malformed; nothing was sent then.
  public func submit(_ submissions: [Submission]) throws(PosternError) -> Int {
    try adoptIfForked()
    var sent = 0
    while sent < submissions.count {
      let batch = Channel.batch(submissions[sent...])
      guard !batch.isEmpty else {
        if sent > 0 { return sent }
        throw .usage(errno: SystemError.messageSize, text: "at most \(Bounds.payload) bytes go in one instruction")
      }
      do {
        guard try submit(batch: batch) else { return sent }
      } catch {
        if sent > 0, !error.isFinal { return sent }
        throw error
      }
      sent += batch.count
    }
    return sent
  }

  /// The longest start of `submissions` that one datagram holds.
  private static func batch(_ submissions: ArraySlice<Submission>) -> ArraySlice<Submission> {
    var payload = 0
    for index in submissions.indices.prefix(Bounds.batch) {
      payload += submissions[index].payload.count
      if payload > Bounds.payload { return submissions[..<index] }
    }
    return submissions.prefix(Bounds.batch)
  }

  private func submit(batch: ArraySlice<Submission>) throws(PosternError) -> Bool {
    let count = batch.count
    var head = [UInt8](repeating: 0, count: InstructionBatch.payloadOffset(count: count))
    var payload: [UInt8] = []
    // Known before they are sent, so that no completion finds its cookie missing.
    let base = state.withLock { state in
      let base = state.cookies(count)
      for (index, submission) in batch.enumerated() {
        state.submitted[base &+ UInt64(index)] = ChannelState.Submitted(
          token: submission.token, shape: submission.shape)
      }
      return base
    }
    func forget() {
      state.withLock { state in
        for index in 0..<count { state.submitted[base &+ UInt64(index)] = nil }
      }
    }
    do {
      for submission in batch {
        // The first one's is not copied.
        if payload.isEmpty { payload = submission.payload } else { payload += submission.payload }
      }
      var span = head.mutableSpan
      for (index, submission) in batch.enumerated() {
        try submission.frame(cookie: base &+ UInt64(index)).encode(into: &span, index: index)
      }
      try InstructionBatch.encodeHeader(count: count, payload: payload.count, into: &span)
    } catch {
      forget()
      throw .usage(errno: SystemError.invalidArgument, text: "an operand is not allowed: \(error)")
    }
    do {
      switch try socket.send(head.span, payload.span, blocking: false) {
      case .ready: return true
      case .wouldBlock:
        forget()
        return false
      }
    } catch {
      forget()
      throw lost(error)
    }
  }

  /// Collects completions of submitted instructions, in the order in which they ended.
  ///
  /// - Parameter blocking: wait until there is one; not so where nothing was submitted.
  /// - Returns: at most `capacity`; none where none has come.
  public func complete(atMost capacity: Int, blocking: Bool) throws(PosternError) -> [Completion] {
    try adoptIfForked()
    while true {
      let step = try state.wait { (state) throws(PosternError) -> Step? in
        if !state.completed.isEmpty {
          let taken = Array(state.completed.prefix(capacity))
          state.completed.removeFirst(taken.count)
          // What is left is off the socket already; `end` makes the descriptor readable for it.
          return .done(taken, left: !state.completed.isEmpty)
        }
        if let failure = state.failure { throw failure }
        let waits = blocking && !state.submitted.isEmpty
        if state.isReceiving { return waits ? nil : .done([], left: false) }
        state.isReceiving = true
        return .lead(
          Turn(base: state.cookies(1), epoch: state.epoch, leads: true, buffer: state.takeBuffer()), waits: waits)
      }
      switch step {
      case .done(let completions, let left):
        if left { nudge() }
        return completions
      case .lead(var turn, let waits):
        let came = try collect(&turn, waits: waits, enough: capacity)
        if !came, !waits { return [] }
      }
    }
  }

  private enum Step: Sendable {
    case done([Completion], left: Bool)
    case lead(Turn, waits: Bool)
  }

  /// Receives what is there, up to about what is wanted; says whether anything for `complete` came.
  private func collect(_ turn: inout Turn, waits: Bool, enough: Int) throws(PosternError) -> Bool {
    var exchange = Exchange(base: turn.base, count: 0, shape: Shape(opcode: .flush, carried: 0, room: 0))
    var none: [UInt8] = []
    var empty = none.mutableSpan
    do {
      var datagrams = 0
      repeat {
        turn.sawOther = false
        let mayWait = waits && datagrams == 0
        try receive(&turn, &exchange, blocking: mayWait, into: &empty)
        datagrams += 1
      } while !turn.sawOther && socket.hasInput && datagrams < Bounds.batch
    } catch {
      end(&turn, exchange, error)
      throw error
    }
    let came = turn.sawOther
    // They are collected right away, so nothing need make the descriptor readable for them.
    turn.sawOther = false
    end(&turn, exchange, nil)
    return came
  }

  private func nudge() {
    var turn = Turn(base: 0, epoch: 0, leads: false, sawOther: true)
    end(&turn, Exchange(base: 0, count: 0, shape: Shape(opcode: .flush, carried: 0, room: 0)), nil)
  }
}

extension Submission {
  var shape: Shape {
    switch opcode {
    case .write, .send, .setoption: Shape(opcode: opcode, carried: payload.count, room: 0)
    default:
      Shape(opcode: opcode, carried: payload.count, room: Int(clamping: min(operands.length, UInt64(Bounds.payload))))
    }
  }

  func frame(cookie: UInt64) -> InstructionFrame {
    var operands = operands
    switch opcode {
    case .write, .send, .setoption: operands.length = UInt64(payload.count)
    default: break
    }
    return InstructionFrame(
      action: .perform(opcode), flags: nonblocking ? [.nonblocking] : [], cookie: cookie, operands: operands,
      payload: 0..<payload.count)
  }
}
