import Audit
import AuditAnalysis

/// The newest records, a bounded number of them, and which of those match a filter.
///
/// A record is looked at once when it comes, and again only when the filter changes. Records have positions, which grow
/// by one with each and are never given again.
public struct KeptRecords: Sendable {
  public let capacity: Int
  /// Matching records from before the ring, oldest first, that a search has found; gone when the ring moves on.
  public private(set) var older: [AuditRecord] = []
  /// Down to this sequence number the search has looked at everything; nil: there was none.
  public private(set) var reached: UInt64?
  private var ring: [AuditRecord] = []
  /// Of the oldest that is kept.
  public private(set) var first = 0
  public private(set) var end = 0
  /// Positions of those that match, ascending, from `head` on.
  private var positions: [Int] = []
  private var head = 0
  public private(set) var diagnosis = FilterDiagnosis(AuditFilter())
  /// Of all that matched since the filter was set, also those that are not kept any more.
  public private(set) var histogram = Histogram(width: KeptRecords.bars)

  /// Records that no journal kept and that gap records count; of all that came.
  public private(set) var dropped: UInt64 = 0
  /// Records that say the same as the one that matched before them, but for their number and time; as in `histogram`.
  public private(set) var repeats = 0
  private var last: AuditRecord?

  /// More than any terminal has columns, to be joined for the one there is.
  private static let bars = 1024

  public init(capacity: Int) { self.capacity = max(1, capacity) }

  public var count: Int { end - first }
  public var isFull: Bool { count == capacity }
  public var matching: ArraySlice<Int> { positions[head...] }

  /// The record at a position, if it is kept.
  public subscript(position: Int) -> AuditRecord? {
    if position < first {
      let index = position - first + older.count
      return index >= 0 ? older[index] : nil
    }
    return position < end ? ring[position % capacity] : nil
  }

  public mutating func append(_ record: AuditRecord) {
    record.gap?.addLost(to: &dropped)
    if isFull {
      forgetOlder()
      ring[end % capacity] = record
      if head < positions.count, positions[head] == first { head += 1 }
      first += 1
      if head > capacity {
        positions.removeFirst(head)
        head = 0
      }
    } else {
      ring.append(record)
    }
    look(at: record, position: end)
    end += 1
  }

  /// Puts matching records before all others.
  ///
  /// - Parameter reached: down to this sequence number nothing else matches.
  public mutating func prepend(_ records: [AuditRecord], reaching reached: UInt64) {
    self.reached = reached
    older.insert(contentsOf: records, at: 0)
    let lowest = first - older.count
    positions.insert(contentsOf: lowest..<lowest + records.count, at: head)
    var before: AuditRecord?
    for record in records where diagnosis.take(record) {
      histogram.take(record.time.wall)
      if let before, record.repeats(before) { repeats += 1 }
      before = record
    }
  }

  /// They are all at the beginning, since all of them match.
  private mutating func forgetOlder() {
    head += older.count
    older = []
    reached = nil
  }

  public mutating func filter(_ filter: AuditFilter) {
    older = []
    reached = nil
    positions = []
    head = 0
    diagnosis = FilterDiagnosis(filter)
    histogram = Histogram(width: Self.bars)
    (repeats, last) = (0, nil)
    for position in first..<end { look(at: ring[position % capacity], position: position) }
  }

  /// The index in `matching` of a position, or of the next one.
  public func index(of position: Int) -> Int {
    var low = matching.startIndex
    var high = matching.endIndex
    while low < high {
      let middle = (low + high) / 2
      if positions[middle] < position { low = middle + 1 } else { high = middle }
    }
    return low
  }

  private mutating func look(at record: AuditRecord, position: Int) {
    guard diagnosis.take(record) else { return }
    positions.append(position)
    histogram.take(record.time.wall)
    if let last, record.repeats(last) { repeats += 1 }
    last = record
  }
}

extension AuditRecord {
  /// Whether it says what another one says, at another time.
  func repeats(_ other: AuditRecord) -> Bool {
    var other = other
    other.sequence = sequence
    other.time = time
    return self == other
  }
}
