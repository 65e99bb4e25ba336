import Instructions
import Linux
import Wire

/// A thread's part in an exchange.
struct Turn {
  var base: UInt64
  /// Of the association, when the instructions were sent.
  var epoch: UInt64
  /// This thread receives for all, into `buffer`.
  var leads: Bool
  var buffer: [UInt8] = []
  /// A `ready` notification was received.
  var sawReady = false
  /// A completion that nobody waits for in a call was received.
  var sawOther = false
}

extension Channel {
  /// Sends one instruction (or `pieces` of one, for consecutive bytes) and waits for its completion, without revalidation.
  ///
  /// One thread at a time receives, and hands over what is not its own. No lock is held while it is blocked: the lock
  /// is what fork(2) waits for.
  func exchange(
    _ opcode: Opcode, _ flags: InstructionFlags, _ operands: Operands, pieces: Int, payload: Span<UInt8>,
    into destination: inout MutableSpan<UInt8>, at start: Int, room: Int
  ) throws(PosternError) -> (exchange: Exchange, epoch: UInt64) {
    var turn = try begin(pieces)
    var exchange = Exchange(
      base: turn.base, count: pieces, start: start, shape: Shape(opcode: opcode, carried: payload.count, room: room))
    do {
      var head = InlineArray<232, UInt8>(repeating: 0)
      let size = try compose(&head, opcode, flags, operands, pieces: pieces, base: turn.base, payload: payload.count)
      try transmit(head.span.extracting(first: size), payload, &turn, &exchange, into: &destination)
      while exchange.remaining > 0 {
        if turn.leads {
          try receive(&turn, &exchange, blocking: true, into: &destination)
        } else {
          try awaitDelivery(&turn, &exchange, into: &destination)
        }
      }
    } catch {
      // Nonsense from a number that means another socket by now is not the broker's fault.
      let error = error.isFinal && !socket.isOpen ? closedByApplication : error
      end(&turn, exchange, error)
      throw error
    }
    // A send waits for room, not for input.
    let rearmed =
      opcode != .send && flags.contains(.wantReadiness)
      && exchange.outcomes[0]?.result == -Int64(SystemError.wouldBlock)
    end(&turn, exchange, nil, rearmed: rearmed)
    return (exchange, turn.epoch)
  }

  /// Waits until this process has a channel, and takes cookies and, where nobody has it, the receiver's part.
  private func begin(_ count: Int) throws(PosternError) -> Turn {
    while true {
      let turn = try state.withLock { (state) throws(PosternError) -> Turn? in
        guard state.generation == ForkHandlers.generation, !state.needsAdoption else { return nil }
        if let failure = state.failure { throw failure }
        let base = state.cookies(count)
        guard !state.isReceiving else {
          for index in 0..<count { state.expected[base &+ UInt64(index)] = .waiting }
          return Turn(base: base, epoch: state.epoch, leads: false)
        }
        state.isReceiving = true
        return Turn(base: base, epoch: state.epoch, leads: true, buffer: state.takeBuffer())
      }
      if let turn { return turn }
      try adoptIfForked()
    }
  }

  private func compose(
    _ head: inout InlineArray<232, UInt8>, _ opcode: Opcode, _ flags: InstructionFlags, _ operands: Operands,
    pieces: Int, base: UInt64, payload: Int
  ) throws(PosternError) -> Int {
    var span = head.mutableSpan
    do {
      for index in 0..<pieces {
        var part = operands
        if pieces > 1 {
          part.offset &+= UInt64(index * Bounds.payload)
          part.length = min(UInt64(Bounds.payload), operands.length - UInt64(index * Bounds.payload))
        }
        let frame = InstructionFrame(
          action: .perform(opcode), flags: flags, cookie: base &+ UInt64(index), operands: part, payload: 0..<payload)
        try frame.encode(into: &span, index: index)
      }
      return try InstructionBatch.encodeHeader(count: pieces, payload: payload, into: &span) - payload
    } catch {
      throw .usage(errno: SystemError.invalidArgument, text: "an operand is not allowed: \(error)")
    }
  }

  /// Sends, and receives meanwhile where the broker takes nothing more before it is rid of what it has for us.
  private func transmit(
    _ head: Span<UInt8>, _ payload: Span<UInt8>, _ turn: inout Turn, _ exchange: inout Exchange,
    into destination: inout MutableSpan<UInt8>
  ) throws(PosternError) {
    while true {
      do {
        switch try socket.send(head, payload, blocking: false) {
        case .ready: return
        case .wouldBlock: try socket.wait(input: turn.leads, output: true)
        }
      } catch {
        throw lost(error)
      }
      if turn.leads { try receive(&turn, &exchange, blocking: false, into: &destination) }
    }
  }

  /// What a system call's error on our socket means.
  func lost(_ error: SystemError) -> PosternError {
    guard socket.isOpen else { return closedByApplication }
    if error.errno == SystemError.connectionReset || error.errno == SystemError.brokenPipe {
      return .disconnected(error)
    }
    return .usage(errno: error.errno, text: "\(error)")
  }

  private var closedByApplication: PosternError {
    .usage(errno: SystemError.badDescriptor, text: "the descriptor is closed")
  }

  /// Receives one datagram, if there is one or it may wait for one, and gives everybody what is theirs.
  func receive(
    _ turn: inout Turn, _ exchange: inout Exchange, blocking: Bool, into destination: inout MutableSpan<UInt8>
  ) throws(PosternError) {
    let availability: Availability<ReceivedReply>
    do {
      availability = try socket.receive(into: &turn.buffer, blocking: blocking)
    } catch {
      throw lost(error)
    }
    guard case .ready(var received) = availability else {
      // The application has set O_NONBLOCK on its descriptor; this call is to wait all the same.
      if blocking { do { try socket.wait(input: true, output: false) } catch { throw lost(error) } }
      return
    }
    guard received.count > 0 else {
      throw .disconnected(SystemError(errno: SystemError.connectionReset, operation: "recvmsg"))
    }
    guard !received.truncated else { throw .violation(.oversized) }
    try dispatch(&received, &turn, &exchange, into: &destination)
  }

  private func dispatch(
    _ received: inout ReceivedReply, _ turn: inout Turn, _ exchange: inout Exchange,
    into destination: inout MutableSpan<UInt8>
  ) throws(PosternError) {
    var foreign: [Delivery] = []
    var changed: Reason?
    var sawReady = false
    do {
      let datagram = turn.buffer.span.extracting(first: received.count)
      var batch = try CompletionBatch(decoding: datagram)
      while var frame = try batch.next(datagram) {
        switch frame.kind {
        case .ready: sawReady = true
        case .changed: changed = frame.reason
        case .completion:
          var descriptor: SharedDescriptor?
          if frame.flags.contains(.descriptor) {
            if let taken = received.takeDescriptor() {
              descriptor = SharedDescriptor(taken)
            } else if received.lostDescriptors {
              // This process has no number left for it (RLIMIT_NOFILE); the kernel has closed it.
              frame.result = -Int64(SystemError.tooManyDescriptors)
              frame.payload = frame.payload.lowerBound..<frame.payload.lowerBound
            } else {
              throw WireError.badCount
            }
          }
          let payload = datagram.extracting(frame.payload)
          if let index = exchange.index(frame.cookie) {
            try exchange.take(index, frame, payload, descriptor, into: &destination)
          } else {
            foreign.append(Delivery(frame: frame, payload: [UInt8](payload), descriptor: descriptor))
          }
        }
      }
      guard received.remaining == 0 else { throw WireError.badCount }
    } catch let error as WireError {
      throw .violation(error)
    } catch let error as PosternError {
      throw error
    } catch {
      throw .violation(.badCount)
    }
    if sawReady { turn.sawReady = true }
    guard !foreign.isEmpty || changed != nil else { return }
    try hand(foreign, changed, &turn)
  }

  /// Gives other threads' completions to them. One that nobody waits for is dropped: a child that shares the channel
  /// against the rules may have caused it.
  private func hand(_ foreign: [Delivery], _ changed: Reason?, _ turn: inout Turn) throws(PosternError) {
    let sawOther = try state.withLock { (state) throws(PosternError) -> Bool in
      var sawOther = false
      if let changed { state.changed = changed }
      for delivery in foreign {
        let cookie = delivery.frame.cookie
        if case .waiting? = state.expected[cookie] {
          state.expected[cookie] = .arrived(delivery)
        } else if let submitted = state.submitted.removeValue(forKey: cookie) {
          try submitted.shape.check(delivery.frame)
          state.completed.append(Completion(delivery, submitted))
          sawOther = true
        }
      }
      return sawOther
    }
    if sawOther { turn.sawOther = true }
    state.wake()
  }

  /// Waits until the receiving thread hands something over, or leaves its part to this one.
  private func awaitDelivery(
    _ turn: inout Turn, _ exchange: inout Exchange, into destination: inout MutableSpan<UInt8>
  ) throws(PosternError) {
    let cookies = (0..<exchange.count).map { exchange.base &+ UInt64($0) }
    let (arrived, buffer) = try state.wait { (state) throws(PosternError) -> ([Delivery], [UInt8]?)? in
      var arrived: [Delivery] = []
      for cookie in cookies {
        guard case .arrived(let delivery)? = state.expected[cookie] else { continue }
        arrived.append(delivery)
        state.expected[cookie] = nil
      }
      if !arrived.isEmpty { return (arrived, nil) }
      if let failure = state.failure { throw failure }
      guard !state.isReceiving else { return nil }
      state.isReceiving = true
      for cookie in cookies { state.expected[cookie] = nil }
      return ([], state.takeBuffer())
    }
    if let buffer {
      turn.leads = true
      turn.buffer = buffer
    }
    for delivery in arrived {
      guard let index = exchange.index(delivery.frame.cookie) else { continue }
      try exchange.take(index, delivery.frame, delivery.payload.span, delivery.descriptor, into: &destination)
    }
  }

  /// Gives up this thread's part; poisons the channel where the error is final.
  func end(_ turn: inout Turn, _ exchange: Exchange, _ error: PosternError?, rearmed: Bool = false) {
    var buffer: [UInt8] = []
    swap(&buffer, &turn.buffer)
    let (leads, sawReady, sawOther) = (turn.leads, turn.sawReady, turn.sawOther)
    let unfinished = exchange.remaining > 0 ? exchange.count : 0
    let notices = state.withLock { state -> (UInt64, Bool, Bool)? in
      if leads {
        state.isReceiving = false
        state.buffer = buffer
      }
      for index in 0..<unfinished { state.expected[exchange.base &+ UInt64(index)] = nil }
      if let error, error.isFinal, state.failure == nil { state.failure = error }
      guard state.failure == nil else { return nil }
      if sawReady { state.isArmed = false }
      if rearmed { state.isArmed = true }
      let arms = state.isPollable && !state.isArmed
      let nudges = sawOther && !state.completed.isEmpty
      guard arms || nudges else { return nil }
      if arms { state.isArmed = true }
      return (state.cookies(2), arms, nudges)
    }
    if leads { state.wake() }
    if let (cookie, arms, nudges) = notices { notify(cookie, arms: arms, nudges: nudges) }
  }

  /// Keeps poll(2) on the descriptor true to its word after a call has received more than its own completion: asks for
  /// the next `ready`, and, where a completion for `complete` has been taken off the socket, for any answer at all
  /// (nothing waits under that cookie, so the broker says ENOENT).
  private func notify(_ cookie: UInt64, arms: Bool, nudges: Bool) {
    var head = InlineArray<120, UInt8>(repeating: 0)
    var span = head.mutableSpan
    var count = 0
    if arms {
      let frame = InstructionFrame(action: .arm, cookie: cookie, operands: Operands(request: Readiness.input.rawValue))
      if (try? frame.encode(into: &span, index: count)) != nil { count += 1 }
    }
    if nudges {
      let frame = InstructionFrame(action: .cancel, cookie: cookie &+ 1, operands: Operands(offset: cookie &+ 1))
      if (try? frame.encode(into: &span, index: count)) != nil { count += 1 }
    }
    guard let size = try? InstructionBatch.encodeHeader(count: count, payload: 0, into: &span) else { return }
    let nothing: [UInt8] = []
    // Blocking, because a lost arm would be a lost wake-up. An error shows at the next call.
    _ = try? socket.send(head.span.extracting(first: size), nothing.span, blocking: true)
  }
}
