import Authority
import Chain
import Instructions
import Linux
import Synchronization

/// The audit journal's single writer: a bounded queue, one thread, append-only segment files, each record sealed with a
/// key that is gone a second later.
///
/// Thread-safe. A journal that was opened is ended by `stop()`.
public final class Journal: Sendable {
  private let configuration: JournalConfiguration
  private let queue: Mutex<JournalQueue>
  /// Taken out by the writer thread for its whole life.
  private let writer: Mutex<SegmentWriter?>
  private let thread = Mutex<Thread?>(nil)
  private let signal: EventDescriptor
  private let now: @Sendable () -> AuditTime
  private let onDurable: @Sendable (UInt64) -> Void
  private let redaction: Atomic<UInt32>
  private let signer: SigningKey
  private let newest = Mutex<Checkpoint?>(nil)
  /// The last sequence number that was given before it was opened.
  public let lastBefore: UInt64
  /// Which journal this is; in every segment's head.
  public let source: JournalID
  /// A chain began with this opening, and its first key waits to be taken away (`KeyCard`).
  public let hasNewKey: Bool

  /// Opens or makes the journal, repairs its tail if it was torn, and starts the writer.
  ///
  /// - Parameters:
  ///   - now: both clocks; called on the writer thread too.
  ///   - onDurable: called on the writer thread after every commit that brought records to disk or failed some, with
  ///     the last sequence number on disk; it must not block. `takeCompletions` has the details.
  public convenience init(
    _ configuration: JournalConfiguration, now: @escaping @Sendable () -> AuditTime,
    onDurable: @escaping @Sendable (UInt64) -> Void
  ) throws(JournalError) {
    try self.init(configuration, fault: nil, now: now, onDurable: onDurable)
  }

  /// - Parameter fault: an errno for a step that shall fail; for tests.
  init(
    _ configuration: JournalConfiguration, fault: (@Sendable (JournalStep) -> Int32?)?,
    now: @escaping @Sendable () -> AuditTime, onDurable: @escaping @Sendable (UInt64) -> Void
  ) throws(JournalError) {
    self.configuration = configuration
    self.now = now
    self.onDurable = onDurable
    redaction = Atomic(configuration.redaction.rawValue)
    do {
      let directory = try JournalDirectory(path: configuration.directory, create: true)
      guard try !directory.isWritableByOthers() else {
        throw JournalError.writableByOthers(directory: configuration.directory)
      }
      guard let lock = try directory.lock("journal.lock") else {
        throw JournalError.locked(directory: configuration.directory)
      }
      var recovery = try JournalRecovery(directory, fault: fault)
      let chain = try JournalChain(directory, recovery.link)
      // Numbers that were on disk are not given again, though their records are gone now.
      var state = JournalQueue(next: max(recovery.next, chain.durable + 1))
      state.counters.durable = state.next - 1
      lastBefore = state.next - 1
      (signer, source, hasNewKey) = (chain.signer, chain.sealer.source, chain.isNew)
      var writer = SegmentWriter(
        directory: directory, lock: lock, configuration: configuration, chain: chain, fault: fault)
      // A segment belongs to one chain.
      if !hasNewKey, let (header, length) = recovery.segment, let file = recovery.file.take() {
        writer.resume(file, header: header, length: length)
      }
      let time = now()
      // Written over the torn tail before the rest is cut off, so that the tail is never gone without a word.
      var batch = Batch()
      if let repair = recovery.repair {
        var record = AuditRecord(.repair, time: time, boot: configuration.boot)
        record.repair = repair
        batch.append(record, numbered: &state.next)
      }
      if hasNewKey, !recovery.isNew {
        var record = AuditRecord(.rekey, time: time, boot: configuration.boot)
        record.message = "the key that continues the chain was not there: what comes has a first key of its own"
        batch.append(record, numbered: &state.next)
      }
      if !batch.entries.isEmpty {
        let outcome = writer.commit(batch, synchronize: true, now: time)
        state.account(outcome, depth: writer.depth)
        if outcome.errno == nil { writer.trim() }
      }
      queue = Mutex(state)
      self.writer = Mutex(consume writer)
      signal = try EventDescriptor()
    } catch let error as SystemError {
      throw .system(error)
    } catch let error as JournalError {
      throw error
    } catch {
      throw .system(SystemError(errno: 0, operation: "journal"))
    }
    do {
      try thread.withLock { (thread) throws(SystemError) in thread = try Thread("journal") { [self] in run() } }
    } catch {
      throw .system(error)
    }
  }

  /// Gives the record its sequence number and a place in the queue.
  ///
  /// The order of the numbers is the order of these calls. Never blocks on a disk.
  public func submit(_ record: AuditRecord, durability: Durability) -> Submission {
    var record = record
    record.redact(Redaction(rawValue: redaction.load(ordering: .relaxed)))
    let body = record.encodedBody()
    var wake = false
    let submission = queue.withLock { queue in
      let submission = queue.submit(record, body, durability, configuration)
      wake = queue.writerSleeps && submission != .full
      if wake { queue.writerSleeps = false }
      return submission
    }
    if wake { signal.signal() }
    return submission
  }

  /// Takes note of records that were lost before they had numbers, in one gap record with a number of its own.
  ///
  /// - Parameter record: the gap record, without its gap.
  public func submit(_ record: AuditRecord, lost counts: [Gap.Count]) {
    queue.withLock { queue in
      queue.submit(record, lost: counts, configuration)
      queue.writerSleeps = false
    }
    signal.signal()
  }

  /// Fields that are kept out of records submitted from now on.
  public func setRedaction(_ fields: Redaction) { redaction.store(fields.rawValue, ordering: .relaxed) }

  /// How long records are kept from now on, and in how large segments.
  public func set(_ limits: JournalLimits) {
    queue.withLock { $0.limits = limits }
    signal.signal()
  }

  /// The last sequence number that was given.
  public var last: UInt64 { queue.withLock { $0.next - 1 } }

  /// The newest signed checkpoint of this run; nil: none yet.
  public var checkpoint: Checkpoint? { newest.withLock { $0 } }

  /// Brings what has been submitted to disk before that is due; `onDurable` tells.
  public func hurry() {
    queue.withLock { $0.isHurried = true }
    signal.signal()
  }

  /// What has become of required records since the last call, in the order of their numbers.
  public func takeCompletions() -> [JournalCompletion] {
    queue.withLock { queue in
      var taken: [JournalCompletion] = []
      swap(&taken, &queue.completions)
      return taken
    }
  }

  public var counters: JournalCounters {
    queue.withLock { queue in
      var counters = queue.counters
      counters.waiting = queue.waiting.entries.count
      counters.depth += counters.waiting
      return counters
    }
  }

  /// Writes and syncs what waits, once, and ends the writer. Later submissions are `full` or `counted`.
  public func stop() {
    queue.withLock { $0.isStopping = true }
    signal.signal()
    if let thread = thread.withLock({ $0.take() }) { thread.join() }
  }

  private func run() {
    guard var writer = writer.withLock({ $0.take() }) else { return }
    var isFailing = writer.hasBacklog
    var synchronized = now().boottime
    var signed = Signed(sequence: 0, at: now().boottime, segment: writer.firstOfSegment)
    while true {
      let tellsCuts = !writer.cuts.isEmpty && !isFailing
      let tellsRemoval = writer.looksForOld && !isFailing
      let (isIdle, isStopping) = queue.withLock { queue in
        let isIdle =
          isFailing || (queue.waiting.entries.isEmpty && queue.gap == nil && !tellsCuts && !tellsRemoval)
        // While writing fails, submitters do not wake the writer: it tries at its own pace.
        queue.writerSleeps = isIdle && !isFailing && !queue.isStopping
        return (isIdle, queue.isStopping)
      }
      if isIdle, !isStopping { signal.wait(milliseconds: pause(writer, isFailing: isFailing)) }
      let time = now()
      if let limits = queue.withLock({ $0.limits.take() }) { writer.set(limits) }
      if let due = writer.lookDue, time.boottime >= due { writer.looksForOld = true }
      let removal = tellsRemoval ? writer.old(now: time) : nil
      let (batch, isHurried) = queue.withLock { queue in
        queue.writerSleeps = false
        defer { queue.isHurried = false }
        var batch = queue.take(boot: configuration.boot)
        for cut in tellsCuts ? writer.cuts : [] {
          var record = AuditRecord(.repair, time: time, boot: configuration.boot)
          record.repair = cut.repair
          record.errno = cut.errno
          batch.append(record, numbered: &queue.next)
        }
        if let removal {
          var record = AuditRecord(.removal, time: time, boot: configuration.boot)
          record.removal = removal
          batch.append(record, numbered: &queue.next)
        }
        return (batch, queue.isHurried)
      }
      let isDue =
        isStopping || isIdle || isHurried || tellsRemoval
        || time.boottime &- synchronized >= UInt64(configuration.syncInterval) * 1_000_000
      if tellsCuts { writer.forgetCuts() }
      let outcome = writer.commit(batch, synchronize: isDue, now: time)
      if isDue { synchronized = time.boottime }
      isFailing = outcome.errno != nil
      let durable = queue.withLock { queue in
        queue.account(outcome, depth: writer.depth)
        return queue.counters.durable
      }
      if let removal {
        if isFailing {
          writer.looksForOld = true
        } else if writer.storeKey(now: time, durable: durable, isEnd: false, removal: removal) == nil {
          writer.remove(removal)
        }
      }
      if outcome.durable != nil || !outcome.completions.isEmpty || isFailing { onDurable(durable) }
      keep(&writer, time, durable: durable, isEnd: isStopping, &signed)
      if isStopping, isFailing || writer.cuts.isEmpty {
        let isEmpty = queue.withLock { $0.waiting.entries.isEmpty && $0.gap == nil }
        if isEmpty || isFailing { return }
      }
    }
  }

  /// What was signed last.
  private struct Signed {
    var sequence: UInt64
    var at: UInt64
    var segment: UInt64?
  }

  /// Milliseconds until the writer has something to do of its own accord; nil: nothing.
  private func pause(_ writer: borrowing SegmentWriter, isFailing: Bool) -> Int64? {
    if isFailing { return configuration.retryInterval }
    if writer.hasUnsynchronized { return configuration.syncInterval }
    guard let due = [writer.keyDue ?? writer.epochEnd, writer.lookDue].compactMap({ $0 }).min() else { return nil }
    let now = now().boottime
    return due > now ? Int64(clamping: (due - now) / 1_000_000 + 1) : 1
  }

  /// Puts the key of an epoch that is over out of reach, and signs a checkpoint where one is due.
  private func keep(
    _ writer: inout SegmentWriter, _ time: AuditTime, durable: UInt64, isEnd: Bool, _ signed: inout Signed
  ) {
    let failure = writer.storeKey(now: time, durable: durable, isEnd: isEnd)
    queue.withLock { $0.counters.keyFailing = failure }
    let isDue =
      isEnd || writer.firstOfSegment != signed.segment
      || time.boottime >= signed.at &+ configuration.checkpointInterval
    guard isDue, durable > signed.sequence, let position = writer.position(durable: durable),
      let checkpoint = Checkpoint(position, time: time.wall, by: signer)
    else { return }
    signed = Signed(sequence: durable, at: time.boottime, segment: writer.firstOfSegment)
    writer.keep(checkpoint)
    newest.withLock { $0 = checkpoint }
    onDurable(durable)
  }
}
