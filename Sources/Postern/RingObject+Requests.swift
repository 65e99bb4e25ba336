import Authority
import Instructions
import Linux
import Wire

extension RingObject {
  /// One operation: its request, made for the number it gets, and the memory that the kernel uses for it.
  struct Operation: Sendable {
    var opcode: Opcode
    var parcel: RingParcel?
    var request: ClientRing.Request

    init(_ opcode: Opcode, _ request: RingOpcode, _ parcel: RingParcel? = nil) {
      self.opcode = opcode
      self.parcel = parcel
      self.request = ClientRing.Request(request, userData: 0)
    }
  }

  /// Performs an operation, once more after a revalidation.
  ///
  /// - Returns: the result; nil where it would have to wait and may not.
  func perform(_ operation: Operation, nonblocking: Bool = false) throws(PosternError) -> Int32? {
    guard kind.operations.contains(operation.opcode) else {
      throw .refused(Refusal(.operation), errno: Reason.operation.errno)
    }
    guard !ForkHandlers.missedFork else {
      throw .refused(Refusal(.notAssociated), errno: Reason.notAssociated.errno)
    }
    var isFirst = true
    while true {
      let (ring, epoch, isClosed) = current { ($0.ring, $0.epoch, $0.isClosed) }
      guard !isClosed else { throw Self.closed }
      let told: PosternError
      if let ring {
        let result = try issue(operation, on: ring, nonblocking: nonblocking)
        if result >= 0 { return result }
        if nonblocking, result == -SystemError.wouldBlock || result == -ErrorCode.canceled { return nil }
        told = meaning(of: -result, operation.opcode)
      } else {
        told = .refused(Refusal(.notAssociated), errno: Reason.notAssociated.errno)
      }
      guard isFirst, told.refusal?.reason == .notAssociated, connection.revalidatesAutomatically else { throw told }
      isFirst = false
      try revalidate(since: epoch)
    }
  }

  private func issue(
    _ operation: Operation, on ring: ClientRing, nonblocking: Bool
  ) throws(PosternError) -> Int32 {
    let number = try push(operation, for: nil, on: ring)
    try submit(ring)
    guard nonblocking else { return try result(of: number, on: ring) }
    collect(ring)
    if let result = current({ $0.finished.removeValue(forKey: number) }) { return result }
    // It waits: it is taken back, unless it ends first.
    var cancel = ClientRing.Request(.cancel, userData: 0)
    cancel.address = number
    try push(cancel, on: ring)
    try submit(ring)
    return try result(of: number, on: ring)
  }

  /// Puts a request into the ring.
  ///
  /// - Returns: its number.
  func push(_ operation: Operation, for submission: Submission?, on ring: ClientRing) throws(PosternError) -> UInt64 {
    var request = operation.request
    while true {
      let pushed = state.withLock { state -> Result<UInt64?, SystemError> in
        let number = state.number()
        request.userData = number
        do throws(SystemError) {
          guard try ring.push(request) else { return .success(nil) }
        } catch { return .failure(error) }
        state.inFlight[number] = RingState.InFlight(parcel: operation.parcel, submitted: submission)
        return .success(number)
      }
      switch pushed {
      case .success(let number?): return number
      case .success(nil): try submit(ring)
      case .failure(let error): throw .failed(errno: error.errno, text: "\(error)")
      }
    }
  }

  func push(_ request: ClientRing.Request, on ring: ClientRing) throws(PosternError) {
    while true {
      let pushed = state.withLock { _ in (try? ring.push(request)) ?? true }
      if pushed { return }
      try submit(ring)
    }
  }

  func submit(_ ring: ClientRing) throws(PosternError) {
    do { try ring.submit() } catch {
      // Completions have to be collected first; what was pushed stays pushed.
      if error.errno == ErrorCode.busy || error.errno == SystemError.wouldBlock { return collect(ring) }
      throw .failed(errno: error.errno, text: "\(error)")
    }
  }

  /// Waits for one request; of all threads that wait one does so in the kernel.
  private func result(of number: UInt64, on ring: ClientRing) throws(PosternError) -> Int32 {
    while true {
      let result = state.wait { state -> Int32?? in
        if let result = state.finished.removeValue(forKey: number) { return .some(result) }
        guard !state.isCollecting else { return nil }
        state.isCollecting = true
        return .some(nil)
      }
      if let result { return result }
      let failure: SystemError?
      do throws(SystemError) {
        try ring.wait()
        failure = nil
      } catch { failure = error }
      take(ring)
      if let failure { throw .failed(errno: failure.errno, text: "\(failure)") }
    }
  }

  /// Takes what has completed, unless a thread is there that waits for it: what were taken from that before it is in the kernel, it
  /// would wait for there in vain.
  func collect(_ ring: ClientRing) {
    let isOurs = current { state -> Bool in
      guard !state.isCollecting else { return false }
      state.isCollecting = true
      return true
    }
    if isOurs { take(ring) }
  }

  /// Takes what has completed, and waits for it for a moment; or for whoever does so already. Returns without where there is a
  /// completion of a submitted instruction.
  func waitForCompletion(on ring: ClientRing) {
    let isOurs = state.wait { state -> Bool? in
      guard state.completed.isEmpty else { return false }
      guard !state.isCollecting else { return nil }
      state.isCollecting = true
      return true
    }
    guard isOurs else { return }
    try? ring.wait(nanoseconds: 50_000_000)
    take(ring)
  }

  /// By the thread that has set `isCollecting`.
  private func take(_ ring: ClientRing) {
    // Freed when the lock is free.
    var ended: [RingState.InFlight] = []
    current { state in
      while let completion = ring.take() {
        guard let request = state.inFlight.removeValue(forKey: completion.userData) else { continue }
        ended.append(request)
        if let submission = request.submitted {
          state.completed.append(self.completion(of: submission, request.parcel, completion.result, state.facts))
        } else {
          state.finished[completion.userData] = completion.result
        }
      }
      state.isCollecting = false
    }
    state.wake()
    ended.removeAll()
  }

  // MARK: The fork protocol

  public func revalidate() throws(PosternError) {
    guard !ForkHandlers.missedFork else {
      throw .refused(Refusal(.notAssociated), errno: Reason.notAssociated.errno)
    }
    try revalidate(since: current { $0.epoch })
  }

  /// Revalidates once for all threads that saw the association missing in `epoch`.
  private func revalidate(since epoch: UInt64) throws(PosternError) {
    let isOurs = state.wait { state -> Bool? in
      guard state.epoch == epoch else { return false }
      guard !state.isRecovering else { return nil }
      state.isRecovering = true
      return true
    }
    guard isOurs else { return }
    do {
      let enrolled = try connection.enrolAgain(object)
      if let inherited = current({ $0.former }) { enrolled.ring.replace(inherited) }
      let former = current { state -> (ClientRing?, [UInt64: RingState.InFlight]) in
        defer {
          state.isRecovering = false
          state.epoch &+= 1
          state.ring = enrolled.ring
          state.former = nil
          state.inFlight = [:]
          state.facts = ChannelFacts(enrolled.facts)
          state.isConnected = enrolled.facts.isConnected
          state.ringID = enrolled.facts.ring
        }
        return (state.ring ?? state.former, state.inFlight)
      }
      let parcels = former.1.values.compactMap(\.parcel)
      if !parcels.isEmpty { AbandonedRings.keep(former.0, parcels) }
      state.wake()
    } catch {
      current { $0.isRecovering = false }
      state.wake()
      throw error
    }
  }

  /// What the application is told of a completion's errno. The kernel knows of no reasons: an empty slot is one whose
  /// association has ended, or whose broker has.
  func meaning(of errno: Int32, _ opcode: Opcode) -> PosternError { Self.meaning(of: errno, opcode, facts) }

  static func meaning(of errno: Int32, _ opcode: Opcode, _ facts: ChannelFacts) -> PosternError {
    switch errno {
    case ErrorCode.badDescriptor, ErrorCode.canceled:
      let isExpired = facts.expiry != 0 && facts.expiry <= Clock.boottime()
      let reason: Reason = isExpired ? .expired : .revoked
      return .refused(Refusal(reason), errno: reason.errno)
    case ErrorCode.accessDenied where !facts.operations.contains(opcode):
      return .refused(Refusal(.operation), errno: Reason.operation.errno)
    default: return .failed(errno: errno, text: "")
    }
  }
}
