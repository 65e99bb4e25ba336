import Authority
import Entity
import Instructions
import Linux
import Objects
import Wire

/// What the interpreter tells the broker while it works; the place that refuses is the place that records.
public protocol InterpreterObserver: AnyObject {
  /// An instruction was refused; called before the reply is sent.
  func refused(_ refusal: Refusal, _ instruction: Instruction, issuer: Issuer, channel: ObjectChannel)
  /// An instruction was authorized and the grant asks for a record of it.
  func used(_ instruction: Instruction, issuer: Issuer, channel: ObjectChannel)
  /// What lies outside the table: rates, and an association whose record is not on disk yet. nil: go on.
  func exceededQuota(_ instruction: Instruction, association: AssociationID?, channel: ObjectChannel) -> Refusal?
  /// Takes a place among the outstanding requests of the channel's user; false: there is none.
  func mayWait(_ channel: ObjectChannel) -> Bool
  /// Gives places back.
  func waited(_ channel: ObjectChannel, count: Int)
  /// A token for a job on the pool, and that it came to nothing.
  func nextToken(for channel: ObjectChannel) -> UInt64
  func forget(token: UInt64)
  /// The session's readiness is to be watched for what its channels wait for.
  func watch(_ session: Session)
  /// The channel's socket is to be watched for room to write; `bytes` of replies were put into its queue.
  func congested(_ channel: ObjectChannel, queued bytes: Int)
  /// Replies have left the queue.
  func drained(_ channel: ObjectChannel, bytes: Int)
}

/// Emulates the CPU's authorization check: takes an instruction, asks the entity, then executes, fast-paths or rejects.
///
/// Used by the one thread that checks; its buffers are made once.
public struct Interpreter: ~Copyable {
  private let entity: any AuthorizationEntity
  private let pool: EffectPool
  private var head = MessageBuffer(capacity: CompletionBatch.payloadOffset(count: Bounds.batch))
  private var tail = MessageBuffer(capacity: Bounds.payload)
  /// Completions in `head`, which has room for the header before them.
  private var pending = 0
  private var descriptor: Descriptor?

  public init(entity: any AuthorizationEntity, pool: EffectPool) {
    self.entity = entity
    self.pool = pool
  }

  /// Interprets one datagram of instructions and replies to what is done at once.
  ///
  /// - Parameters:
  ///   - issuer: who sent it, as the broker verified after the receive.
  ///   - now: boottime nanoseconds; read only where an expiry or the entity asks.
  /// - Throws: what is wrong with the datagram; nothing of it has been performed.
  public mutating func interpret(
    _ elements: Span<UInt8>, _ bytes: RawSpan, on channel: ObjectChannel, issuer: ProcessResource,
    now: @autoclosure () -> UInt64, observer: some InterpreterObserver
  ) throws(WireError) {
    var batch = try InstructionBatch(decoding: elements)
    while let frame = try batch.next(elements) {
      switch frame.action {
      case .perform(let opcode):
        let payload = bytes.extracting(frame.payload)
        perform(opcode, frame, payload, on: channel, issuer: issuer, now: now, observer: observer)
      case .cancel:
        cancel(frame, on: channel, issuer: issuer, observer: observer)
      case .arm:
        // It reads the object's state, so it needs an association, of whatever operations.
        if let reason = missingAssociation(of: issuer, on: channel, now: now) {
          let instruction = Instruction(opcode: .wait, object: channel.session.objectID, operands: frame.operands)
          refuse(
            Refusal(reason), instruction, frame, on: channel, issuer: .process(issuer), observer: observer)
          continue
        }
        arm(Wire.Readiness(rawValue: frame.operands.request), on: channel, observer: observer)
        complete(CompletionFrame(cookie: frame.cookie, result: 0), on: channel, observer: observer)
      }
    }
    flush(channel, observer: observer)
  }

  /// Checks and performs again what waits on `session`, which has become ready.
  public mutating func resume(
    _ session: Session, ready: PollEvents, channels: (UInt64) -> ObjectChannel?, now: UInt64,
    observer: some InterpreterObserver
  ) {
    let waiting = session.waiting
    session.waiting = []
    for id in waiting {
      guard let channel = channels(id) else { continue }
      let parked = channel.parked
      channel.parked = []
      observer.waited(channel, count: parked.count)
      for item in parked {
        guard case .perform(let opcode) = item.frame.action else { continue }
        item.payload.withRawSpan { payload in
          perform(
            opcode, item.frame, payload, on: channel, issuer: item.process, now: { now }, isFirst: false,
            observer: observer)
        }
      }
      notifyReady(channel, ready, observer: observer)
      flush(channel, observer: observer)
      if !channel.parked.isEmpty || !channel.armed.isEmpty { wait(channel, observer: observer) }
    }
  }

  /// Ends everything that waits on `channel` for `process` (nil: for anyone) with `reason`.
  public mutating func abandon(
    _ channel: ObjectChannel, process: ProcessResource?, reason: Reason, observer: some InterpreterObserver
  ) {
    let parked = channel.parked
    channel.parked = []
    for item in parked {
      guard process == nil || item.process == process, case .perform(let opcode) = item.frame.action else {
        channel.parked.append(item)
        continue
      }
      observer.waited(channel, count: 1)
      let instruction = Instruction(opcode: opcode, object: channel.session.objectID, operands: item.frame.operands)
      refuse(
        Refusal(reason), instruction, item.frame, on: channel, issuer: .process(item.process), observer: observer)
    }
    channel.verdicts.clear()
    complete(
      CompletionFrame(kind: .changed, cookie: 0, result: 0, reason: reason), on: channel, observer: observer)
    flush(channel, observer: observer)
  }

  /// Replies to an instruction that a pool thread has finished.
  public mutating func finished(
    _ job: EffectPool.Finished, on channel: ObjectChannel, observer: some InterpreterObserver
  ) {
    guard let cookie = channel.running.removeValue(forKey: job.token) else { return }
    if let refused = job.refused {
      observer.refused(
        Refusal(refused.reason), refused.instruction, issuer: refused.issuer, channel: channel)
      complete(CompletionFrame(cookie: cookie, refused: refused.reason), on: channel, observer: observer)
      return flush(channel, observer: observer)
    }
    tail.append(job.output)
    add(
      CompletionFrame(
        cookie: cookie, result: job.result, payload: 0..<job.output.count))
    flush(channel, observer: observer)
  }

  /// Sends what the application had no room for, as far as it has now.
  public mutating func drain(
    _ channel: ObjectChannel, observer: some InterpreterObserver
  ) throws(SystemError) {
    while !channel.outgoing.isEmpty {
      head.clear()
      head.append(channel.outgoing[0].head)
      tail.clear()
      tail.append(channel.outgoing[0].tail)
      defer {
        head.clear()
        tail.clear()
      }
      let attached = channel.outgoing[0].descriptor.numbers
      switch try MessageSocket.send(channel.socket.rawValue, head: head, tail: tail, descriptors: attached) {
      case .wouldBlock: return
      case .ready: observer.drained(channel, bytes: channel.outgoing.removeFirst().size)
      }
    }
  }

  private mutating func perform(
    _ opcode: Opcode, _ frame: InstructionFrame, _ payload: RawSpan, on channel: ObjectChannel,
    issuer: ProcessResource, now: () -> UInt64, isFirst: Bool = true, observer: some InterpreterObserver
  ) {
    let instruction = Instruction(opcode: opcode, object: channel.session.objectID, operands: frame.operands)
    switch channel.verdicts.check(instruction, issuer: .process(issuer), now: now(), entity: entity) {
    case .refused(let reason):
      refuse(Refusal(reason), instruction, frame, on: channel, issuer: .process(issuer), observer: observer)
    case .granted(let grant):
      // After the check, so that nobody uses up what belongs to those who are authorized; once for each instruction.
      if isFirst, let refusal = observer.exceededQuota(instruction, association: grant.association, channel: channel) {
        return refuse(refusal, instruction, frame, on: channel, issuer: .process(issuer), observer: observer)
      }
      if isFirst, channel.auditDetail != .refusals, channel.auditDetail == .all || !channel.wasUsed {
        channel.wasUsed = true
        observer.used(instruction, issuer: .process(issuer), channel: channel)
      }
      execute(grant, frame, payload, on: channel, issuer: issuer, observer: observer)
    }
  }

  private mutating func execute(
    _ grant: consuming Grant, _ frame: InstructionFrame, _ payload: RawSpan, on channel: ObjectChannel,
    issuer: ProcessResource, observer: some InterpreterObserver
  ) {
    let wanted = Int(min(frame.operands.length, UInt64(Bounds.payload)))
    if frame.answersBytes, tail.capacity - tail.count < wanted { flush(channel, observer: observer) }
    let start = tail.count
    let session = channel.session
    let instruction = grant.instruction
    var held: Grant? = consume grant
    let effect = tail.append(limit: frame.answersBytes ? wanted : 256) { output -> Effect in
      guard let grant = held.take(), !session.isRecalled else { return .failed(errno: ErrorCode.inputOutput) }
      return session.object.perform(grant, payload: payload, into: &output)
    }
    var completion = CompletionFrame(cookie: frame.cookie, result: 0)
    completion.payload = start..<tail.count
    switch consume effect {
    case .done(let count):
      completion.result = Int64(clamping: count)
      complete(completion, on: channel, observer: observer)
    case .received(let count, let sender):
      completion.result = Int64(clamping: count)
      completion.address = sender
      if count > UInt64(completion.payload.count) { completion.flags = .truncated }
      complete(completion, on: channel, observer: observer)
    case .accepted(let connection, let peer):
      completion.address = peer
      completion.flags = .descriptor
      // Before the completion: the last one of a full datagram is sent at once.
      descriptor = consume connection
      complete(completion, on: channel, observer: observer)
      // A datagram carries one descriptor, so that each has its completion.
      flush(channel, observer: observer)
    case .failed(let errno):
      completion.result = -Int64(errno)
      completion.payload = start..<start
      tail.truncate(to: start)
      complete(completion, on: channel, observer: observer)
    case .wouldBlock(let readiness):
      tail.truncate(to: start)
      if frame.flags.contains(.nonblocking) {
        completion.result = -Int64(ErrorCode.again)
        completion.payload = start..<start
        complete(completion, on: channel, observer: observer)
        if frame.flags.contains(.wantReadiness) {
          arm(readiness == .readable ? .input : .output, on: channel, observer: observer)
        }
        return
      }
      guard observer.mayWait(channel) else {
        return refuse(
          Refusal(.quota), instruction, frame, on: channel, issuer: .process(issuer), observer: observer)
      }
      channel.parked.append(
        ObjectChannel.Parked(frame: frame, payload: payload.copiedBytes, readiness: readiness, process: issuer))
      wait(channel, observer: observer)
      return
    case .blocks(let grant):
      tail.truncate(to: start)
      guard observer.mayWait(channel) else {
        return refuse(
          Refusal(.quota), instruction, frame, on: channel, issuer: .process(issuer), observer: observer)
      }
      let token = observer.nextToken(for: channel)
      let job = EffectPool.Job(
        token: token, session: session.object, payload: payload.copiedBytes,
        capacity: frame.answersBytes ? wanted : 256, grant: consume grant, entity: entity)
      guard pool.submit(job) else {
        observer.forget(token: token)
        observer.waited(channel, count: 1)
        completion.result = -Int64(ErrorCode.again)
        completion.payload = start..<start
        return complete(completion, on: channel, observer: observer)
      }
      channel.running[token] = frame.cookie
      return
    }
    if frame.flags.contains(.wantReadiness) { arm(.input, on: channel, observer: observer) }
  }

  private mutating func refuse(
    _ refusal: Refusal, _ instruction: Instruction, _ frame: InstructionFrame, on channel: ObjectChannel,
    issuer: Issuer, observer: some InterpreterObserver
  ) {
    observer.refused(refusal, instruction, issuer: issuer, channel: channel)
    complete(
      CompletionFrame(cookie: frame.cookie, refused: refusal.reason, detail: refusal.detail), on: channel,
      observer: observer)
  }

  /// Why `process` may not learn anything about the channel's object, or nil where it has an association that stands.
  private func missingAssociation(of process: ProcessResource, on channel: ObjectChannel, now: UInt64) -> Reason? {
    let probe = Instruction(opcode: .wait, object: channel.session.objectID, operands: Operands())
    // Reasons that come after the association's in order of precedence say that there is one (postern_check.h).
    switch entity.check(probe, issuer: .process(process), now: now) {
    case .granted: return nil
    case .refused(let reason): return reason == .operation || reason == .limit ? nil : reason
    }
  }

  private mutating func cancel(
    _ frame: InstructionFrame, on channel: ObjectChannel, issuer: ProcessResource, observer: some InterpreterObserver
  ) {
    let before = channel.parked.count
    // Only one's own: a child or a stranger with a copy of the channel must not end what its holder waits for.
    channel.parked.removeAll { $0.frame.cookie == frame.operands.offset && $0.process == issuer }
    observer.waited(channel, count: before - channel.parked.count)
    guard channel.parked.count < before else {
      return complete(
        CompletionFrame(cookie: frame.cookie, result: -Int64(ErrorCode.noSuchEntry)), on: channel, observer: observer)
    }
    complete(
      CompletionFrame(cookie: frame.operands.offset, result: -Int64(ErrorCode.canceled)), on: channel,
      observer: observer)
    complete(CompletionFrame(cookie: frame.cookie, result: 0), on: channel, observer: observer)
  }

  private mutating func arm(
    _ readiness: Wire.Readiness, on channel: ObjectChannel, observer: some InterpreterObserver
  ) {
    guard channel.session.object.readiness != nil else {
      // Objects that never wait are always ready.
      return complete(
        CompletionFrame(kind: .ready, cookie: 0, result: Int64(readiness.rawValue)), on: channel, observer: observer)
    }
    channel.armed.formUnion(readiness)
    wait(channel, observer: observer)
  }

  /// Arms readiness once for a channel that was just opened, so that select, poll and epoll work from the start.
  public mutating func armFirst(_ channel: ObjectChannel, observer: some InterpreterObserver) {
    guard channel.session.object.readiness != nil else { return }
    arm(.input, on: channel, observer: observer)
    flush(channel, observer: observer)
  }

  private func wait(_ channel: ObjectChannel, observer: some InterpreterObserver) {
    let session = channel.session
    if !session.waiting.contains(channel.id) { session.waiting.append(channel.id) }
    observer.watch(session)
  }

  private mutating func notifyReady(
    _ channel: ObjectChannel, _ ready: PollEvents, observer: some InterpreterObserver
  ) {
    var bits: Wire.Readiness = []
    if ready.contains(.readable) { bits.insert(.input) }
    if ready.contains(.writable) { bits.insert(.output) }
    if ready.contains(.error) { bits.insert(.error) }
    if ready.contains(.hangUp) { bits.insert(.hangup) }
    let told = bits.intersection(channel.armed.union([.error, .hangup]))
    guard !channel.armed.isEmpty, !told.isEmpty else { return }
    channel.armed = []
    complete(
      CompletionFrame(kind: .ready, cookie: 0, result: Int64(told.rawValue)), on: channel, observer: observer)
  }

  private mutating func complete(
    _ frame: CompletionFrame, on channel: ObjectChannel, observer: some InterpreterObserver
  ) {
    add(frame)
    if pending == Bounds.batch { flush(channel, observer: observer) }
  }

  private mutating func add(_ frame: CompletionFrame) {
    let index = pending
    head.resize(to: CompletionBatch.payloadOffset(count: index + 1))
    let encoded = head.withMutableSpan { bytes -> Bool in
      do {
        try frame.encode(into: &bytes, index: index)
        return true
      } catch {
        return false
      }
    }
    precondition(encoded, "a completion of ours does not fit the protocol's own bounds")
    pending = index + 1
  }

  /// Sends the completions that stand, or keeps them where the application has no room.
  private mutating func flush(_ channel: ObjectChannel, observer: some InterpreterObserver) {
    defer {
      pending = 0
      head.clear()
      tail.clear()
    }
    var attached: Descriptor? = descriptor.take()
    guard pending > 0 else { return }
    let count = pending
    let payload = tail.count
    let encoded = head.withMutableSpan { bytes -> Bool in
      do {
        try CompletionBatch.encodeHeader(count: count, payload: payload, into: &bytes)
        return true
      } catch {
        return false
      }
    }
    precondition(encoded, "a completion of ours does not fit the protocol's own bounds")
    if !channel.isCongested {
      let numbers = attached.numbers
      do {
        switch try MessageSocket.send(channel.socket.rawValue, head: head, tail: tail, descriptors: numbers) {
        case .ready: return
        case .wouldBlock: break
        }
      } catch {
        // The application has closed its end; the loop sees the hang-up and drops the association.
        return
      }
    }
    channel.outgoing.append(
      ObjectChannel.Outgoing(head: head.copy(), tail: tail.copy(), descriptor: attached.take()))
    observer.congested(channel, queued: head.count + tail.count)
  }
}

extension InstructionFrame {
  /// Whether `operands.length` is how many bytes the application wants back.
  var answersBytes: Bool {
    guard case .perform(let opcode) = action else { return false }
    switch opcode {
    case .read, .receive, .getoption, .transfer, .control, .wait, .info: return true
    default: return false
    }
  }
}
