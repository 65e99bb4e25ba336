import Authority
import Instructions
import Linux
import Wire

extension DirectObject {
  /// Completions that may wait to be collected.
  private static let queueLimit = 1024

  /// Makes each instruction's system call now; `complete` gives out what came of it. One that is not `nonblocking` waits
  /// as the descriptor's O_NONBLOCK says, and submit with it. What is refused for want of an association is not repeated.
  ///
  /// The descriptor's readiness is the object's own: it says nothing of completions.
  public func submit(_ submissions: [Submission]) throws(PosternError) -> Int {
    guard descriptor.isOpen else { throw Self.closedByApplication }
    let once = DirectObject(viewing: self)
    var taken = 0
    for submission in submissions {
      guard current({ $0.completed.count }) < Self.queueLimit else { break }
      guard submission.payload.count <= Bounds.payload, submission.operands.length <= Bounds.payload else {
        if taken > 0 { break }
        throw .usage(errno: SystemError.messageSize, text: "at most \(Bounds.payload) bytes go in one instruction")
      }
      let completion = once.completion(of: submission)
      current { $0.completed.append(completion) }
      taken += 1
    }
    return taken
  }

  /// Nothing is ever under way, so this does not wait.
  public func complete(atMost capacity: Int, blocking: Bool) throws(PosternError) -> [Completion] {
    current { state in
      let taken = Array(state.completed.prefix(capacity))
      state.completed.removeFirst(taken.count)
      return taken
    }
  }

  private func completion(of submission: Submission) -> Completion {
    var completion = Completion(submission)
    do throws(PosternError) {
      if let result = try perform(submission, &completion) {
        completion.result = Int64(result)
      } else {
        completion.result = -Int64(SystemError.wouldBlock)
      }
    } catch {
      completion.result = -Int64(error.errno)
      completion.refusal = error.refusal
      completion.payload = []
    }
    return completion
  }

  /// - Returns: the result; nil where it would have to wait and may not.
  private func perform(_ submission: Submission, _ completion: inout Completion) throws(PosternError) -> Int? {
    let (operands, nonblocking) = (submission.operands, submission.nonblocking)
    let bytes = submission.payload.span
    var buffer = [UInt8](repeating: 0, count: submission.shape.room)
    var room = buffer.mutableSpan
    var kept = 0
    let result: Int?
    switch submission.opcode {
    case .read:
      // A device's read has no flag that says so.
      if nonblocking, kind == .bus, try wait(nonblocking: true) == nil { return nil }
      kept = try read(into: &room, at: operands.offset)
      result = kept
    case .write: result = try write(bytes, at: operands.offset)
    case .flush:
      try flush()
      result = 0
    case .discard:
      try discard(offset: operands.offset, length: operands.length)
      result = 0
    case .info:
      let information = try info().prefix(room.count)
      for index in information.indices { room[index] = information[index] }
      kept = information.count
      result = kept
    case .bind:
      try bind()
      result = 0
    case .listen:
      try listen(backlog: operands.request)
      result = 0
    case .accept:
      guard let accepted = try accept(nonblocking: nonblocking) else { return nil }
      completion.address = accepted.peer
      completion.descriptor = SharedDescriptor(accepted.descriptor)
      result = 0
    case .connect:
      guard let address = operands.address else { throw Self.missingAddress }
      try connect(to: address)
      result = 0
    case .send: result = try send(bytes, to: operands.address, nonblocking: nonblocking)
    case .receive:
      let received = try receive(into: &room, nonblocking: nonblocking)
      kept = received?.count ?? 0
      completion.address = received?.sender
      result = received?.length
    case .shutdown:
      try shutdown(how: operands.request)
      result = 0
    case .getoption:
      let value = try getOption(level: operands.level, name: operands.name).prefix(room.count)
      for index in value.indices { room[index] = value[index] }
      kept = value.count
      result = kept
    case .setoption:
      try setOption(level: operands.level, name: operands.name, bytes)
      result = 0
    case .transfer:
      kept = try transfer(bytes, into: &room)
      result = kept
    case .control:
      result = try control(operands.request, argument: bytes, into: &room)
      kept = BusControl(request: operands.request)?.outputSize ?? 0
    case .wait: result = try wait(nonblocking: nonblocking)
    }
    completion.payload = Array(buffer.prefix(kept))
    return result
  }

  private func wait(nonblocking: Bool) throws(PosternError) -> Int? {
    var none: [UInt8] = []
    var empty = none.mutableSpan
    return try wait(into: &empty, nonblocking: nonblocking)
  }

  private static var missingAddress: PosternError {
    .usage(errno: SystemError.addressRequired, text: "connect needs an address")
  }
}

extension Operands {
  /// Of a socket option: `request` is `level << 16 | name`.
  fileprivate var level: UInt16 { UInt16(truncatingIfNeeded: request >> 16) }
  fileprivate var name: UInt16 { UInt16(truncatingIfNeeded: request) }
}
