import Analysis
import Audit

/// Why a table goes no further.
public enum Stop: Sendable, Hashable {
  /// A record that this version does not understand: what it means for the table is not known.
  case unknown(sequence: UInt64, AuditFormatError)
  /// Numbers that are neither there nor were removed by the retention; `damage` says what stands in their place.
  case missing(first: UInt64, last: UInt64, damage: String?)
  /// No strategy could bring these records into the table.
  case refused(first: UInt64, last: UInt64, String)
  /// The database has a record that the journal does not have.
  case ahead(sequence: UInt64)

  public var text: String {
    switch self {
    case .unknown(let sequence, let error):
      "record \(sequence) is of a kind that this version does not know (\(error)): a newer broker wrote it"
    case .missing(let first, let last, let damage):
      (first == last ? "record \(first) is missing" : "records \(first) to \(last) are missing")
        + (damage.map { ": \($0)" } ?? "")
    case .refused(let first, let last, let text): "records \(first) to \(last) cannot be written: \(text)"
    case .ahead(let sequence): "the database has record \(sequence), which the journal has not"
    }
  }
}

/// Numbers whose records will never come.
struct Absence: Sendable, Hashable {
  var first: UInt64
  var last: UInt64
  var reason: String
}

/// Records as they come from one place of the journal on, without a hole between them.
final class JournalTail {
  private var reader: JournalReader
  private let source: Int64
  private let looksAgain: Bool
  /// The number that comes next.
  private(set) var next: UInt64

  struct Batch {
    var entries: [Entry] = []
    var absences: [Absence] = []
    /// What follows the entries; nil: more of them, or nothing yet.
    var stop: Stop?
  }

  /// - Parameter looksAgain: false: reads what was withdrawn, for tests.
  init(directory: String, after applied: UInt64, source: Int64, looksAgain: Bool = true) throws(JournalError) {
    self.looksAgain = looksAgain
    reader = try JournalReader(directory: directory, from: applied + 1)
    next = applied + 1
    self.source = source
  }

  /// - Parameters:
  ///   - end: nothing behind this number, up to which the journal is on disk, is read.
  ///   - allowed: numbers that may be missing.
  func read(
    most: Int, upTo end: UInt64, _ allowed: (_ first: UInt64, _ last: UInt64) -> String?
  ) throws(JournalError) -> Batch {
    var batch = Batch()
    var damage: String?
    while next <= end, batch.entries.count < most {
      guard let item = try reader.next(upTo: looksAgain ? end : .max) else {
        batch.stop = absent(upTo: end, damage, allowed, &batch)
        break
      }
      switch item {
      case .damaged(let segment, let offset, let length):
        damage = "\(length) bytes at \(offset) of segment \(segment) are no record"
      case .unknown(let sequence, let error):
        batch.stop =
          sequence > next
          ? absent(upTo: sequence - 1, damage, allowed, &batch) ?? .unknown(sequence: sequence, error)
          : .unknown(sequence: sequence, error)
        return batch
      case .record(let record):
        if record.sequence > next, let stop = absent(upTo: record.sequence - 1, damage, allowed, &batch) {
          batch.stop = stop
          return batch
        }
        // A gap that begins before contradicts what was read there.
        guard record.sequence == next, record.nextSequence > next else {
          batch.stop = .missing(
            first: next, last: next, damage: "record \(record.sequence) speaks of it and begins before")
          return batch
        }
        damage = nil
        batch.entries.append(Entry(record, source: source))
        next = record.nextSequence
      }
    }
    return batch
  }

  /// nil: the numbers may be missing, and are behind us.
  private func absent(
    upTo last: UInt64, _ damage: String?, _ allowed: (UInt64, UInt64) -> String?, _ batch: inout Batch
  ) -> Stop? {
    guard let reason = allowed(next, last) else { return .missing(first: next, last: last, damage: damage) }
    batch.absences.append(Absence(first: next, last: last, reason: reason))
    next = last + 1
    return nil
  }
}
