import Instructions
import Linux
import Wire

extension RingObject {
  /// Requests that may be under way or wait to be collected.
  private static let queueLimit = 1024

  /// Hands the requests to the kernel in one system call. What is refused for want of an association is not repeated.
  public func submit(_ submissions: [Submission]) throws(PosternError) -> Int {
    guard !ForkHandlers.missedFork else {
      throw .refused(Refusal(.notAssociated), errno: Reason.notAssociated.errno)
    }
    let (ring, isClosed) = current { ($0.ring, $0.isClosed) }
    guard !isClosed else { throw Self.closed }
    var taken = 0
    var isOneComplete = false
    for submission in submissions {
      guard current({ $0.completed.count + $0.inFlight.count }) < Self.queueLimit else { break }
      guard submission.payload.count <= Bounds.payload, submission.operands.length <= Bounds.payload else {
        if taken > 0 { break }
        throw .usage(errno: SystemError.messageSize, text: "at most \(Bounds.payload) bytes go in one instruction")
      }
      let told: PosternError
      do throws(PosternError) {
        guard let ring else { throw .refused(Refusal(.notAssociated), errno: Reason.notAssociated.errno) }
        guard let operation = try operation(of: submission) else {
          // Waits for nothing that the kernel would have to tell.
          current { $0.completed.append(Completion(submission)) }
          isOneComplete = true
          taken += 1
          continue
        }
        _ = try push(operation, for: submission, on: ring)
        taken += 1
        continue
      } catch { told = error }
      var refused = Completion(submission)
      refused.result = -Int64(told.errno)
      refused.refusal = told.refusal
      current { $0.completed.append(refused) }
      isOneComplete = true
      taken += 1
    }
    if let ring {
      if isOneComplete { try makeReadable(ring) }
      try submit(ring)
    }
    return taken
  }

  public func complete(atMost capacity: Int, blocking: Bool) throws(PosternError) -> [Completion] {
    while true {
      let (ring, isWaiting) = current { state in
        (state.ring, state.completed.isEmpty && state.inFlight.values.contains { $0.submitted != nil })
      }
      if let ring { blocking && isWaiting ? waitForCompletion(on: ring) : collect(ring) }
      let (taken, isMoreComplete) = current { state in
        let taken = Array(state.completed.prefix(capacity))
        state.completed.removeFirst(taken.count)
        return (taken, !state.completed.isEmpty)
      }
      if let ring, isMoreComplete {
        try? makeReadable(ring)
        try? submit(ring)
      }
      if !taken.isEmpty || !blocking || !isWaiting || ring == nil { return taken }
    }
  }

  /// Has the descriptor say that completions wait which are not the kernel's any more.
  private func makeReadable(_ ring: ClientRing) throws(PosternError) {
    try push(ClientRing.Request(.nop, userData: 0), on: ring)
  }

  /// nil: there is nothing to do.
  private func operation(of submission: Submission) throws(PosternError) -> Operation? {
    let (operands, nonblocking) = (submission.operands, submission.nonblocking)
    guard kind.operations.contains(submission.opcode), facts.operations.contains(submission.opcode) else {
      throw .refused(Refusal(.operation), errno: Reason.operation.errno)
    }
    switch submission.opcode {
    case .read:
      let wanted = Int(min(operands.length, room(after: operands.offset)))
      let parcel = try parcel([UInt8](repeating: 0, count: wanted))
      var operation = Operation(.read, .read, parcel)
      operation.request.offset = operands.offset
      operation.request.address = parcel.address
      operation.request.length = UInt32(wanted)
      return operation
    case .write:
      guard UInt64(submission.payload.count) <= room(after: operands.offset) else {
        throw .refused(Refusal(.limit), errno: Reason.limit.errno)
      }
      return writing(try parcel(submission.payload), .write, at: operands.offset)
    case .flush: return Operation(.flush, .synchronize)
    case .discard:
      guard operands.length <= room(after: operands.offset) else {
        throw .refused(Refusal(.limit), errno: Reason.limit.errno)
      }
      return operands.length == 0 ? nil : Self.discard(offset: operands.offset, length: operands.length)
    case .accept:
      // Without waiting it is one call and its cancellation, which a batch has no use for.
      guard !nonblocking else { throw .usage(errno: SystemError.notSupported, text: "accept in a batch waits") }
      return Self.accept(try parcel([]))
    case .send: return try sending(submission.payload, to: operands.address, nonblocking: nonblocking)
    case .receive: return try receiving(Int(operands.length), nonblocking: nonblocking)
    case .shutdown: return Self.shutdown(how: operands.request)
    case .bind, .listen: return nil
    case .info, .connect, .getoption, .setoption, .transfer, .control, .wait: throw Self.notOnRing
    }
  }

  /// What came of a submitted instruction. Called with the lock held.
  func completion(
    of submission: Submission, _ parcel: RingParcel?, _ result: Int32, _ facts: ChannelFacts
  ) -> Completion {
    var completion = Completion(submission)
    completion.result = Int64(result)
    guard result >= 0 else {
      let told = Self.meaning(of: -result, submission.opcode, facts)
      completion.result = -Int64(told.errno)
      completion.refusal = told.refusal
      return completion
    }
    switch submission.opcode {
    case .read: completion.payload = parcel?.content(Int(result)) ?? []
    case .receive:
      completion.payload = parcel?.content(Int(result)) ?? []
      completion.address = parcel?.peer(ofAccept: false)
    case .accept:
      completion.address = parcel?.peer(ofAccept: true)
      completion.descriptor = SharedDescriptor(Descriptor(adopting: result))
      completion.result = 0
    default: break
    }
    return completion
  }
}
