import Instructions
import Linux
import Synchronization

/// How a journal is kept.
public struct JournalConfiguration: Sendable {
  /// Made with mode 0700 if it does not exist.
  public var directory: String
  public var boot: BootID
  /// Bytes after which a new segment begins; a record is never split, one longer than this has a segment of its own.
  public var segmentSize: UInt64
  /// Nanoseconds that records are kept; nil: for ever. Whole segments are removed, when a new one begins and at start.
  public var retention: UInt64?
  /// Records that may wait for the writer.
  public var capacity: Int
  /// Bytes that may wait for the writer.
  public var capacityBytes: Int
  /// Milliseconds until records that nobody waits for are on disk.
  public var syncInterval: Int64
  /// Milliseconds between attempts while writing fails.
  public var retryInterval: Int64
  /// Written bytes that may be not on disk, before a sync that nobody asked for.
  var unsynced = 8 << 20

  public init(
    directory: String, boot: BootID, segmentSize: UInt64 = 64 << 20, retention: UInt64? = nil, capacity: Int = 8192,
    capacityBytes: Int = 16 << 20, syncInterval: Int64 = 100, retryInterval: Int64 = 50
  ) {
    self.directory = directory
    self.boot = boot
    self.segmentSize = segmentSize
    self.retention = retention
    self.capacity = capacity
    self.capacityBytes = capacityBytes
    self.syncInterval = syncInterval
    self.retryInterval = retryInterval
  }
}

/// Why a journal cannot be opened or read.
public enum JournalError: Error, Sendable, Hashable {
  case system(SystemError)
  /// Another writer has this directory's journal open.
  case locked(directory: String)
  /// Everybody may remove files from the directory.
  case writableByOthers(directory: String)
}

/// Whether a submitter waits until its record is on disk.
public enum Durability: Sendable, Hashable {
  /// The submitter is told by a completion that carries the token.
  case required(token: UInt64)
  case none
}

/// What became of a submitted record at once.
public enum Submission: Sendable, Hashable {
  /// Its number; it will be written.
  case queued(sequence: UInt64)
  /// There was no room: it took this number and is counted in a gap record. Never for required records.
  case counted(sequence: UInt64)
  /// There was no room for a required record: it has no number, and what it speaks of must be denied.
  case full
}

/// The audit journal's single writer: a bounded queue, one thread, append-only segment files.
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
    do {
      let directory = try JournalDirectory(path: configuration.directory, create: true)
      guard try !directory.isWritableByOthers() else {
        throw JournalError.writableByOthers(directory: configuration.directory)
      }
      guard let lock = try directory.lock("journal.lock") else {
        throw JournalError.locked(directory: configuration.directory)
      }
      var recovery = try JournalRecovery(directory)
      var state = JournalQueue(next: recovery.next)
      state.counters.durable = recovery.next - 1
      var writer = SegmentWriter(directory: directory, lock: lock, configuration: configuration, fault: fault)
      if let (header, length) = recovery.segment, let file = recovery.file.take() {
        writer.resume(file, header: header, length: length)
      }
      let time = now()
      writer.removeOld(now: time)
      if let repair = recovery.repair {
        // Written over the torn tail before the rest is cut off, so that the tail is never gone without a word.
        var record = AuditRecord(.repair, time: time, boot: configuration.boot)
        record.sequence = state.next
        record.repair = repair
        state.next += 1
        var batch = Batch()
        batch.append(record)
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
      counters.depth += queue.waiting.entries.count
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
    while true {
      let tellsCut = writer.cut != nil && !isFailing
      let (isIdle, isStopping) = queue.withLock { queue in
        let isIdle = isFailing || (queue.waiting.entries.isEmpty && queue.gap == nil && !tellsCut)
        // While writing fails, submitters do not wake the writer: it tries at its own pace.
        queue.writerSleeps = isIdle && !isFailing && !queue.isStopping
        return (isIdle, queue.isStopping)
      }
      if isIdle, !isStopping {
        signal.wait(
          milliseconds: isFailing
            ? configuration.retryInterval : writer.hasUnsynchronized ? configuration.syncInterval : nil)
      }
      let time = now()
      let isDue =
        isStopping || isIdle || time.boottime &- synchronized >= UInt64(configuration.syncInterval) * 1_000_000
      let batch = queue.withLock { queue in
        queue.writerSleeps = false
        var batch = queue.take(boot: configuration.boot)
        if tellsCut, let cut = writer.cut {
          var record = AuditRecord(.repair, time: time, boot: configuration.boot)
          record.sequence = queue.next
          record.repair = cut.repair
          record.errno = cut.errno
          queue.next += 1
          batch.append(record)
        }
        return batch
      }
      if tellsCut { writer.forgetCut() }
      let outcome = writer.commit(batch, synchronize: isDue, now: time)
      if isDue { synchronized = time.boottime }
      isFailing = outcome.errno != nil
      let durable = queue.withLock { queue in
        queue.account(outcome, depth: writer.depth)
        return queue.counters.durable
      }
      if outcome.durable != nil || !outcome.completions.isEmpty { onDurable(durable) }
      if isStopping, isFailing || writer.cut == nil {
        let isEmpty = queue.withLock { $0.waiting.entries.isEmpty && $0.gap == nil }
        if isEmpty || isFailing { return }
      }
    }
  }
}

extension JournalQueue {
  init(next: UInt64) {
    self.next = next
  }

  /// Numbers the record and puts it into the queue, or into the open gap.
  mutating func submit(
    _ record: AuditRecord, _ body: AuditRecord.EncodedBody, _ durability: Durability,
    _ configuration: JournalConfiguration
  ) -> Submission {
    let isFull =
      isStopping || waiting.entries.count >= configuration.capacity
      || waiting.bytes.count + body.bytes.count > configuration.capacityBytes
    if isFull {
      guard durability == .none else { return .full }
      let sequence = next
      next += 1
      if gap == nil { gap = (Gap(first: sequence, last: sequence, counts: []), record.time) }
      gap?.gap.last = sequence
      gap?.gap.add(record.reason, 1)
      counters.dropped += 1
      return .counted(sequence: sequence)
    }
    closeGap(boot: record.boot)
    var numbered = record
    numbered.sequence = next
    next += 1
    var token: UInt64?
    if case .required(let wanted) = durability { token = wanted }
    waiting.append(numbered, body: body, token: token)
    return .queued(sequence: numbered.sequence)
  }

  mutating func account(_ outcome: borrowing SegmentWriter.Outcome, depth: Int) {
    counters.appended += outcome.appended
    counters.dropped += outcome.dropped
    counters.depth = depth
    counters.failing = outcome.errno
    if outcome.errno != nil { counters.writeErrors += 1 }
    if let durable = outcome.durable { counters.durable = durable }
    completions.append(contentsOf: outcome.completions)
  }
}
