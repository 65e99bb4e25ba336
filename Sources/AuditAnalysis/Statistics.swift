import Audit
import Authority
import Instructions

/// What records can be grouped by; the raw value is the word that commands use.
public enum StatisticsKey: String, CaseIterable, Sendable, Hashable {
  case verdict
  case kind
  case reason
  case detail
  case errno
  case path
  case operation
  case object
  case application
  case executable
  case uid
  case pid
  case cause

  /// The record's value, as it came: to be escaped by whoever shows it.
  public func value(of record: AuditRecord) -> ByteString? {
    switch self {
    case .verdict: ByteString(record.kind.verdict.rawValue)
    case .kind: ByteString(record.kind.name)
    case .reason: record.reason.map { ByteString($0.name) }
    case .detail: record.detail.map { ByteString($0.name) }
    case .errno: record.errnoSymbol.map { ByteString($0) }
    case .path: record.path.map { ByteString($0.name) }
    case .operation: record.operation.map { ByteString($0.name) }
    case .object: record.object
    case .application: record.application
    case .executable: record.executablePath
    case .uid: record.uid.map { ByteString("\($0)") }
    case .pid: record.pid.map { ByteString("\($0)") }
    case .cause: record.cause.map { ByteString($0.name) }
    }
  }

  /// Whether the values are numbers, for JSON.
  var isNumber: Bool { self == .uid || self == .pid }
}

/// Counts records by some of their fields.
public struct Statistics: Sendable {
  public struct Group: Sendable, Hashable {
    /// One for each key; nil: the records have none.
    public var values: [ByteString?]
    public var count: UInt64
    /// Wall nanoseconds.
    public var first: UInt64
    public var last: UInt64
  }

  public let keys: [StatisticsKey]
  /// Records that were counted.
  public private(set) var records: UInt64 = 0
  /// Records that were not kept, as gap records count them.
  public private(set) var notKept: UInt64 = 0
  public private(set) var first: UInt64?
  public private(set) var last: UInt64?
  private var groups: [[ByteString?]: Group] = [:]

  public init(keys: [StatisticsKey]) { self.keys = keys }

  public mutating func take(_ record: AuditRecord) {
    let time = record.time.wall
    record.gap?.addLost(to: &notKept)
    records += 1
    first = min(first ?? time, time)
    last = max(last ?? time, time)
    let values = keys.map { $0.value(of: record) }
    var group = groups[values] ?? Group(values: values, count: 0, first: time, last: time)
    group.count += 1
    group.first = min(group.first, time)
    group.last = max(group.last, time)
    groups[values] = group
  }

  public var groupCount: Int { groups.count }

  /// The groups with the most records, most first; those with equally many by their values.
  ///
  /// - Parameter count: nil: all.
  public func top(_ count: Int? = nil) -> [Group] {
    let sorted = groups.values.sorted { left, right in
      if left.count != right.count { return left.count > right.count }
      for (a, b) in zip(left.values, right.values) where a != b {
        guard let a else { return true }
        guard let b else { return false }
        return a.bytes.lexicographicallyPrecedes(b.bytes)
      }
      return false
    }
    return count.map { Array(sorted.prefix($0)) } ?? sorted
  }

  /// One JSON object.
  public func write(_ shown: [Group], histogram: Histogram, to writer: inout JSONWriter) {
    func time(_ name: String, _ value: UInt64?) {
      writer.field(name, value.map { AuditTime(wall: $0, boottime: 0).text })
    }
    writer.beginObject()
    writer.field("records", records)
    writer.field("notKept", notKept)
    time("first", first)
    time("last", last)
    writer.key("keys")
    writer.beginArray()
    for key in keys { writer.string(key.rawValue) }
    writer.endArray()
    writer.field("groupCount", groupCount)
    writer.key("groups")
    writer.beginArray()
    for group in shown {
      writer.beginObject()
      for (key, value) in zip(keys, group.values) {
        if key.isNumber, let value {
          writer.field(key.rawValue, UInt32(String(decoding: value.bytes, as: UTF8.self)))
        } else {
          writer.field(key.rawValue, value)
        }
      }
      writer.field("count", group.count)
      time("first", group.first)
      time("last", group.last)
      writer.endObject()
    }
    writer.endArray()
    writer.key("histogram")
    writer.beginArray()
    for (start, count) in histogram.bars {
      writer.beginObject()
      time("start", start)
      writer.field("count", count)
      writer.endObject()
    }
    writer.endArray()
    writer.endObject()
  }
}
