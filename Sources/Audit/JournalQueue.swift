import Instructions
import Linux
import Synchronization

/// What became of a record whose submitter waits for it.
public struct JournalCompletion: Sendable, Hashable {
  public enum Outcome: Sendable, Hashable {
    /// On disk: it survives the end of the process and of the machine.
    case durable
    /// Not in the journal, and it never will be; its number is in a gap record. What it speaks of must not happen.
    case failed(errno: Int32)
  }

  public var token: UInt64
  public var sequence: UInt64
  public var outcome: Outcome
}

/// The journal's own figures, for `status`; counted since it was opened.
public struct JournalCounters: Sendable, Hashable {
  /// Records that were written, gap and repair records among them.
  public var appended: UInt64 = 0
  /// The last sequence number that is on disk, from earlier runs too.
  public var durable: UInt64 = 0
  /// Records that were not kept: counted in gap records.
  public var dropped: UInt64 = 0
  public var writeErrors: UInt64 = 0
  /// Records that are not on disk yet.
  public var depth: Int = 0
  /// Of these, those that the writer has not taken yet; `JournalConfiguration.capacity` bounds them.
  public var waiting: Int = 0
  /// errno of the last attempt to write; nil: it succeeded.
  public var failing: Int32?
  /// errno of the last attempt to put the chain's key out of reach; nil: it succeeded.
  public var keyFailing: Int32?
}

/// Records in the order of their sequence numbers, encoded, on their way to a segment.
struct Batch {
  struct Entry {
    var sequence: UInt64
    /// Bytes of its frame.
    var length: Int
    /// Somebody waits for it.
    var token: UInt64?
    var reason: Reason?
    /// Where it is a gap record: what it stands for.
    var gap: Gap?
    /// It speaks of the journal itself, and is never dropped for want of room.
    var isOwn = false

    /// The last sequence number that it accounts for.
    var last: UInt64 { gap?.last ?? sequence }
  }

  var bytes: [UInt8] = []
  var entries: [Entry] = []

  mutating func append(_ record: AuditRecord, token: UInt64? = nil) {
    append(record, body: record.encodedBody(), token: token)
  }

  /// Gives the record the next number.
  mutating func append(_ record: AuditRecord, numbered next: inout UInt64) {
    var numbered = record
    numbered.sequence = next
    next += 1
    append(numbered)
    entries[entries.count - 1].isOwn = true
  }

  mutating func append(_ record: AuditRecord, body: AuditRecord.EncodedBody, token: UInt64? = nil) {
    let before = bytes.count
    AuditRecord.encodeFrame(
      kind: record.kind, sequence: record.sequence, body: body, isSealed: true, into: &bytes)
    entries.append(
      Entry(
        sequence: record.sequence, length: bytes.count - before, token: token, reason: record.reason, gap: record.gap))
  }

  mutating func append(_ other: Batch) {
    bytes.append(contentsOf: other.bytes)
    entries.append(contentsOf: other.entries)
  }

  mutating func removeFirst(entries count: Int, bytes length: Int) {
    entries.removeFirst(count)
    bytes.removeFirst(length)
  }
}

/// What submitters and the writer thread share.
struct JournalQueue {
  var waiting = Batch()
  /// Records that did not fit since the last one that did.
  var gap: (gap: Gap, time: AuditTime)?
  /// The next sequence number.
  var next: UInt64
  var writerSleeps = false
  var isStopping = false
  /// Somebody waits for what is there now.
  var isHurried = false
  /// For the writer to take over.
  var limits: JournalLimits?
  var completions: [JournalCompletion] = []
  var counters = JournalCounters()

  /// Everything that waits, in order, an open gap closed behind it.
  mutating func take(boot: BootID) -> Batch {
    closeGap(boot: boot)
    var taken = Batch()
    swap(&taken, &waiting)
    return taken
  }

  /// Turns the open gap, if there is one, into a record behind what waits.
  mutating func closeGap(boot: BootID) {
    guard let open = gap else { return }
    gap = nil
    waiting.append(AuditRecord(gap: open.gap, time: open.time, boot: boot))
  }
}

extension AuditRecord {
  /// The one record that stands for all numbers of the gap; its own number is the first.
  init(gap: Gap, time: AuditTime, boot: BootID) {
    self.init(.gap, time: time, boot: boot)
    sequence = gap.first
    self.gap = gap
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
    if isFull(for: body.bytes.count, configuration) {
      guard durability == .none else { return .full }
      return .counted(sequence: count([Gap.Count(reason: record.reason, count: 1)], at: record.time))
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

  /// Gives the gap record a number of its own and a place in the queue, or adds to the open gap.
  mutating func submit(_ record: AuditRecord, lost counts: [Gap.Count], _ configuration: JournalConfiguration) {
    if isFull(for: 0, configuration) {
      _ = count(counts, at: record.time)
      return
    }
    closeGap(boot: record.boot)
    _ = count(counts, at: record.time)
    guard let taken = gap?.gap else { return }
    gap = nil
    var numbered = record
    numbered.sequence = taken.first
    numbered.gap = taken
    waiting.append(numbered)
  }

  private func isFull(for bytes: Int, _ configuration: JournalConfiguration) -> Bool {
    isStopping || waiting.entries.count >= configuration.capacity
      || waiting.bytes.count + bytes > configuration.capacityBytes
  }

  /// Adds to the open gap, with the next number, which it returns.
  private mutating func count(_ counts: [Gap.Count], at time: AuditTime) -> UInt64 {
    let sequence = next
    next += 1
    var open = gap ?? (Gap(first: sequence, last: sequence, counts: []), time)
    open.gap.extend(by: Gap(first: sequence, last: sequence, counts: counts))
    gap = open
    counters.dropped += counts.reduce(0) { $0 + $1.count }
    return sequence
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
