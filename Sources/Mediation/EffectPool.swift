import Authority
import Entity
import Instructions
import Linux
import Objects
import Synchronization

/// A bounded number of threads for effects that can block; the thread that checks never waits for a device.
public final class EffectPool: Sendable {
  /// A granted instruction on its way: the grant waits in here for the thread that performs it.
  public final class Job: Sendable {
    /// Chosen by whoever submits; comes back with the outcome.
    public let token: UInt64
    let session: any OpenObject
    let payload: [UInt8]
    let capacity: Int
    let grant: Mutex<Grant?>
    let entity: any AuthorizationEntity

    /// - Parameter entity: asked again when a thread takes the job.
    public init(
      token: UInt64, session: any OpenObject, payload: [UInt8], capacity: Int, grant: consuming Grant,
      entity: any AuthorizationEntity
    ) {
      self.token = token
      self.session = session
      self.payload = payload
      self.capacity = capacity
      self.grant = Mutex(consume grant)
      self.entity = entity
    }
  }

  public struct Finished: Sendable {
    /// An instruction that was authorized when it was queued and was not any more when its turn came.
    public struct Refused: Sendable {
      public var reason: Reason
      public var instruction: Instruction
      public var issuer: Issuer
    }

    public var token: UInt64
    /// A byte count, or a negative errno.
    public var result: Int64
    public var output: [UInt8]
    /// Nothing was performed.
    public var refused: Refused?
  }

  private struct State {
    var waiting: [Job] = []
    var taken = 0
    var finished: [Finished] = []
    var isStopping = false
  }

  /// Jobs that wait for a thread; more are refused.
  public let capacity: Int
  private let state = Mutex(State())
  private let work: EventDescriptor
  /// Readable when something has finished.
  public let completions: EventDescriptor
  private let threads: Int

  public init(threads: Int = 4, capacity: Int = 1024) throws(SystemError) {
    self.capacity = capacity
    self.threads = threads
    work = try EventDescriptor(semaphore: true)
    completions = try EventDescriptor()
  }

  /// Starts the threads; they hold the pool until `stop`.
  public func start() throws(SystemError) {
    for number in 0..<threads {
      // Detached: a thread that hangs in a broken device must not keep the broker from stopping.
      _ = try Thread("effect-\(number)") { [self] in run() }
    }
  }

  /// Hands a job over; false where the queue is full and nothing was taken.
  public func submit(_ job: Job) -> Bool {
    let taken = state.withLock { state in
      guard !state.isStopping, state.waiting.count - state.taken < capacity else { return false }
      state.waiting.append(job)
      return true
    }
    if taken { work.signal() }
    return taken
  }

  /// What has finished since the last call.
  public func takeFinished() -> [Finished] {
    completions.drain()
    return state.withLock { state in
      let finished = state.finished
      state.finished = []
      return finished
    }
  }

  public func stop() {
    state.withLock { $0.isStopping = true }
    for _ in 0..<threads { work.signal() }
  }

  private func run() {
    while true {
      work.wait()
      let job: Job? = state.withLock { state in
        guard state.taken < state.waiting.count else { return nil }
        let job = state.waiting[state.taken]
        state.taken += 1
        if state.taken == state.waiting.count || state.taken >= 256 {
          state.waiting.removeFirst(state.taken)
          state.taken = 0
        }
        return job
      }
      guard let job else {
        if state.withLock({ $0.isStopping }) { return }
        continue
      }
      let finished = perform(job)
      state.withLock { $0.finished.append(finished) }
      completions.signal()
    }
  }

  /// Checks again and performs: after a revoke has returned, nothing that still waited for a thread begins.
  private func perform(_ job: Job) -> Finished {
    guard let queued = job.grant.withLock({ $0.take() }) else {
      return Finished(token: job.token, result: -Int64(ErrorCode.inputOutput), output: [])
    }
    let instruction = queued.instruction
    let issuer = queued.issuer
    var fresh: Grant?
    switch job.entity.check(instruction, issuer: issuer, now: Clock.boottime()) {
    case .granted(let grant): fresh = consume grant
    case .refused(let reason):
      return Finished(
        token: job.token, result: 0, output: [],
        refused: Finished.Refused(reason: reason, instruction: instruction, issuer: issuer))
    }
    var buffer = MessageBuffer(capacity: max(job.capacity, 1))
    let result: Int64 = job.payload.withRawSpan { payload in
      buffer.append { output in
        guard let grant = fresh.take() else { return -Int64(ErrorCode.inputOutput) }
        switch job.session.performBlocking(grant, payload: payload, into: &output) {
        case .done(let count): return Int64(clamping: count)
        case .received(let count, _): return Int64(clamping: count)
        case .failed(let errno): return -Int64(errno)
        default: return -Int64(ErrorCode.inputOutput)
        }
      }
    }
    return Finished(token: job.token, result: result, output: result < 0 ? [] : buffer.copy())
  }
}
