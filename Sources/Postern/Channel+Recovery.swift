import Instructions
import Linux
import Wire

extension Channel {
  /// Asks the broker to associate this process with the object again (in a forked child: for the first time).
  ///
  /// Done by itself when an instruction is refused with `not-associated` or `expired`, unless that is switched off.
  ///
  /// - Throws: `refused` with the policy's message: the second error.
  public func revalidate() throws(PosternError) {
    try adoptIfForked()
    let epoch = state.withLock { $0.epoch }
    try revalidate(since: epoch)
  }

  /// Revalidates once for all threads that saw the association missing in `epoch`.
  func revalidate(since epoch: UInt64) throws(PosternError) {
    let channel = try state.wait { (state) throws(PosternError) -> UInt64?? in
      if let failure = state.failure { throw failure }
      guard state.epoch == epoch else { return .some(nil) }
      guard !state.isRecovering else { return nil }
      state.isRecovering = true
      return state.facts.channel
    }
    guard let channel else { return }
    do {
      let revalidated = try connection.revalidate(channel: channel)
      state.withLock { state in
        state.isRecovering = false
        state.epoch &+= 1
        state.changed = nil
        // What was asked for under the old association may be gone; asking twice costs a wake-up for nothing.
        state.isArmed = false
        state.facts.association = revalidated.association
        state.facts.operations = revalidated.operations
        state.facts.generation = revalidated.generation
        state.facts.expiry = revalidated.expiry
      }
      state.wake()
    } catch {
      state.withLock { $0.isRecovering = false }
      state.wake()
      throw error
    }
  }

  /// In a forked child, gets a channel of its own in the place of the inherited one.
  func adoptIfForked() throws(PosternError) {
    let needed = try state.wait { (state) throws(PosternError) -> Bool? in
      if state.generation != ForkHandlers.generation { state.becomeChild() }
      if let failure = state.failure { throw failure }
      guard state.needsAdoption else { return false }
      guard !state.isRecovering else { return nil }
      state.isRecovering = true
      return true
    }
    guard needed else { return }
    do throws(PosternError) {
      var fresh = try connection.adopt(inherited())
      let facts = fresh.facts
      guard let descriptor = fresh.descriptor.take() else { throw PosternError.violation(.badCount) }
      do throws(SystemError) {
        try socket.replace(by: descriptor)
      } catch {
        throw PosternError.usage(errno: error.errno, text: "\(error)")
      }
      state.withLock { state in
        state.isRecovering = false
        state.needsAdoption = false
        // The broker promises readiness with an open, not with this.
        state.isArmed = false
        state.facts = facts
      }
      state.wake()
    } catch {
      state.withLock { $0.isRecovering = false }
      state.wake()
      throw error
    }
  }

  private func inherited() throws(PosternError) -> Int32 {
    do { return try socket.inherited() } catch {
      throw .usage(errno: error.errno, text: "the inherited channel is closed")
    }
  }

  /// Sends an instruction and waits for its completion; revalidates and repeats it once where that may help.
  ///
  /// - Parameter room: bytes of the destination from `start` for what comes back, of each piece.
  func perform(
    _ opcode: Opcode, flags: InstructionFlags = [], _ operands: Operands = Operands(), pieces: Int = 1,
    payload: Span<UInt8>, into destination: inout MutableSpan<UInt8>, at start: Int = 0, room: Int? = nil
  ) throws(PosternError) -> Exchange {
    let room = room ?? destination.count
    let (first, epoch) = try exchange(
      opcode, flags, operands, pieces: pieces, payload: payload, into: &destination, at: start, room: room)
    guard first.wantsRevalidation, connection.revalidatesAutomatically else { return first }
    // A vfork(2) child shares its parent's memory: whatever it noted here would be the parent's. It gets the first error.
    guard !ForkHandlers.missedFork else { return first }
    try revalidate(since: epoch)
    return try exchange(
      opcode, flags, operands, pieces: pieces, payload: payload, into: &destination, at: start, room: room
    ).exchange
  }
}

extension Exchange {
  /// The first error: no piece was executed, and revalidation may help.
  var wantsRevalidation: Bool {
    outcomes[0]?.reason == .notAssociated || outcomes[0]?.reason == .expired
  }
}
