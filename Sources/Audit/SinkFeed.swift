import Authority
import Linux
import Synchronization

/// Where the daemons listen that records are sent to.
public struct SinkEndpoints: Sendable, Hashable {
  public var journald: String
  public var syslog: String

  public init(journald: String = "/run/systemd/journal/socket", syslog: String = "/dev/log") {
    self.journald = journald
    self.syslog = syslog
  }
}

/// Who gets what the journal has brought to disk.
public enum SinkTarget: Sendable, Hashable {
  /// Records, and checkpoints among them.
  case records(AuditSink)
  /// Checkpoints alone, appended to a file in this directory.
  case checkpoints(directory: String)

  /// For people.
  public var name: String {
    switch self {
    case .records(let sink): sink.name
    case .checkpoints(let directory): "checkpoints:" + directory
    }
  }
}

/// How far a sink is.
public struct SinkCounters: Sendable, Hashable {
  /// The last sequence number that it has been given.
  public var delivered: UInt64
  /// Records that it could not be given in any form.
  public var lost: UInt64 = 0
  /// Numbers whose records could not be read any more: the retention had removed them, or they are damaged.
  public var missed: UInt64 = 0
  /// errno of the last attempt; nil: it succeeded.
  public var failing: Int32?
}

/// Sends the journal's records to one sink, on a thread of its own.
///
/// The journal is the queue: the feed reads it behind the writer, so that a daemon that is slow or away makes the feed lag
/// and nothing is lost or held up. It begins with the first record of this run; what an earlier one could not send any
/// more stands in the journal.
public final class SinkFeed: Sendable {
  public let target: SinkTarget
  private let directory: String
  private let source: JournalID
  private let endpoints: SinkEndpoints
  private let state: Mutex<State>
  private let signal: EventDescriptor
  /// Signalled when the thread is about to end.
  private let ended: EventDescriptor
  private let thread = Mutex<Thread?>(nil)

  private struct State {
    var durable: UInt64
    var checkpoint: Checkpoint?
    var isStopping = false
    var hasEnded = false
    var counters: SinkCounters
  }

  /// Milliseconds until a sink that fails is tried again.
  private static let retry: Int64 = 500

  /// - Parameters:
  ///   - directory: the journal's.
  ///   - sequence: the last sequence number that is not sent.
  public init(
    _ target: SinkTarget, directory: String, source: JournalID, after sequence: UInt64,
    endpoints: SinkEndpoints = SinkEndpoints()
  ) throws(SystemError) {
    self.target = target
    self.directory = directory
    self.source = source
    self.endpoints = endpoints
    state = Mutex(State(durable: sequence, counters: SinkCounters(delivered: sequence)))
    signal = try EventDescriptor()
    ended = try EventDescriptor()
    try thread.withLock { (thread) throws(SystemError) in thread = try Thread("sink") { [self] in run() } }
  }

  public var counters: SinkCounters { state.withLock { $0.counters } }

  /// Tells how far the journal is. Never blocks.
  public func wake(_ counters: JournalCounters, checkpoint: Checkpoint?) {
    state.withLock {
      $0.durable = max($0.durable, counters.durable)
      $0.checkpoint = checkpoint ?? $0.checkpoint
    }
    signal.signal()
  }

  /// Ends the thread without waiting for it.
  public func retire() {
    state.withLock { $0.isStopping = true }
    signal.signal()
  }

  /// Sends what is there, once, and ends the thread; a thread that hangs on a dead disk is left after two seconds.
  public func stop() {
    retire()
    guard let thread = thread.withLock({ $0.take() }) else { return }
    ended.wait(milliseconds: 2000)
    if state.withLock({ $0.hasEnded }) { thread.join() }
  }

  private func run() {
    var outlet = SinkOutlet(target, source: source, endpoints: endpoints)
    var position = JournalPosition(directory: directory, delivered: counters.delivered)
    var signed: UInt64 = 0
    while true {
      let (durable, checkpoint, isStopping) = state.withLock { ($0.durable, $0.checkpoint, $0.isStopping) }
      var failure: Int32?
      do throws(SystemError) {
        try outlet.deliver(&position, upTo: durable) { delivered, lost, missed in
          state.withLock {
            $0.counters.delivered = delivered
            $0.counters.lost += lost
            $0.counters.missed = missed
            return !$0.isStopping || isStopping
          }
        }
        if let checkpoint, checkpoint.position.sequence > signed, checkpoint.position.sequence <= position.delivered {
          try outlet.deliver(checkpoint)
          signed = checkpoint.position.sequence
        }
      } catch {
        failure = error.errno
        outlet.close()
      }
      state.withLock { $0.counters.failing = failure }
      if isStopping {
        state.withLock { $0.hasEnded = true }
        return ended.signal()
      }
      let isBehind = failure != nil
      signal.wait(milliseconds: isBehind ? SinkFeed.retry : nil)
    }
  }
}

/// Where a feed is in the journal.
struct JournalPosition: ~Copyable {
  let directory: String
  var delivered: UInt64
  var reader: JournalReader?
  /// Read, and not yet delivered.
  var waiting: AuditRecord?
  /// Numbers that were passed over, since their records could not be read.
  private(set) var missed: UInt64 = 0

  init(directory: String, delivered: UInt64) {
    self.directory = directory
    self.delivered = delivered
  }

  /// The next record that is on disk; nil: none.
  mutating func next(upTo durable: UInt64) throws(SystemError) -> AuditRecord? {
    guard delivered < durable else { return nil }
    if let waiting { return waiting }
    do {
      if reader == nil { reader = try JournalReader(directory: directory, from: delivered + 1) }
      while let item = try reader?.next(upTo: durable) {
        guard case .record(let record) = item else { continue }
        waiting = record
        return record
      }
      return nil
    } catch {
      reader = nil
      if case .system(let error) = error { throw error }
      throw SystemError(errno: ErrorCode.inputOutput, operation: "journal")
    }
  }

  /// Forgets what was read and passed since then.
  mutating func goBack(to place: (delivered: UInt64, missed: UInt64)) {
    (delivered, missed) = place
    reader = nil
    waiting = nil
  }

  mutating func pass(_ record: AuditRecord) {
    if record.sequence > delivered + 1 { missed += record.sequence - delivered - 1 }
    delivered = record.nextSequence - 1
    waiting = nil
  }
}
