import Analysis
import Audit
import Authority
import Instructions

extension RecordType {
  init(_ record: AuditRecord) {
    switch record.kind {
    case .refusal: self = .refusal
    case .grant: self = .grant
    case .revalidate: self = .revalidate
    case .revoke: self = .revoke
    case .drop: self = .drop
    // The errno says why nothing has changed.
    case .reload: self = record.errno == nil ? .reload : .failedReload
    case .use: self = .use
    // What has no reason is no refusal: something that was changed is not told of.
    case .gap: self = record.gap?.counts.contains { $0.reason == nil } == false ? .gap : .gapOfChanges
    case .start: self = .start
    case .stop: self = .stop
    case .repair: self = .repair
    case .runtimeGrant: self = .runtimeGrant
    case .runtimeGrantEnd: self = .runtimeGrantEnd
    case .privileged: self = .privileged
    case .intent: self = .intent
    case .removal: self = .removal
    case .rekey: self = .rekey
    }
  }
}

extension Entry {
  /// - Parameter source: the number of its journal in the database.
  init(_ record: AuditRecord, source: Int64) {
    let type = RecordType(record)
    let time = Cell(record.time.wall)
    let object = record.object?.escaped
    let application = record.application?.escaped
    let executable = record.executablePath?.escaped
    self.init(
      sequence: record.sequence, last: record.nextSequence &- 1, type: type,
      row: [
        .integer(source), Cell(record.sequence), Cell(record.nextSequence &- 1), time, .text(record.kind.name),
        Cell(record.reason?.name), Cell(record.operation?.name), Cell(record.path?.name), Cell(object),
        Cell(application), Cell(record.pid), Cell(record.uid), Cell(executable), Cell(record.association?.rawValue),
        .text(Base64.text(record.encoded)),
      ])

    /// - Parameter state: `held`, or `begun` where the broker has only said that it will.
    func row(_ key: String, _ state: String) -> KeyedRow {
      KeyedRow(
        key,
        [
          .text(state), Cell(record.association?.rawValue), Cell(object), Cell(application),
          Cell(record.operations?.names.joined(separator: ",")), Cell(record.path?.name), Cell(record.pid),
          Cell(record.processStart), Cell(record.uid), Cell(executable), Cell(record.generation),
          Cell(record.sequence), time,
        ])
    }
    let held = record.association.map { "association \($0.rawValue)" }
    let begun = Entry.intentKey(record, object: object)
    switch type {
    case .grant, .revalidate:
      if let begun { associations.append(.remove(key: begun)) }
      if let held { associations.append(.put(row(held, "held"))) }
    case .intent: if let begun { associations.append(.put(row(begun, "begun"))) }
    case .drop, .revoke:
      if let held { associations.append(.remove(key: held)) }
      if record.association == nil, let begun { associations.append(.remove(key: begun)) }
    case .start, .stop:
      associations.append(.clear)
      runtimeGrants.append(.clear)
    case .reload: runtimeGrants.append(.clear)
    case .gapOfChanges:
      associations.append(.doubt)
      runtimeGrants.append(.doubt)
    case .runtimeGrant:
      runtimeGrants.append(
        .put(
          KeyedRow(
            Entry.runtimeGrantKey(record),
            [
              .text("standing"), Cell(object), Cell(application),
              Cell(record.operations?.names.joined(separator: ",")), Cell(record.uid),
              Cell(record.runtimeGrantExpires?.wall), Cell(record.sequence),
              time,
            ])))
    case .runtimeGrantEnd: runtimeGrants.append(.remove(key: Entry.runtimeGrantKey(record)))
    case .repair: work = .compareEnd
    case .rekey: work = .noteChain
    case .removal:
      work =
        record.removal.map { .compact(first: Int64(clamping: $0.first), last: Int64(clamping: $0.last)) }
        ?? .compareEnd
    case .refusal, .use, .privileged, .gap, .failedReload: break
    }
    count(record, object: object ?? "", application: application ?? "")
  }

  /// The process and the object that something was begun for; nil: it is about no object.
  private static func intentKey(_ record: AuditRecord, object: String?) -> String? {
    guard let object, let pid = record.pid else { return nil }
    return "intent \(pid) \(record.processStart ?? 0) \(object)"
  }

  /// Brokers before the numbers were in records said no end, so that theirs need only be different.
  private static func runtimeGrantKey(_ record: AuditRecord) -> String {
    record.runtimeGrant.map { "grant \($0.id)" } ?? "record \(record.sequence)"
  }

  private mutating func count(_ record: AuditRecord, object: String, application: String) {
    let wall = Int64(truncatingIfNeeded: record.time.wall)
    func change(_ kind: String, _ reason: Reason?, _ count: Int64) -> CounterChange {
      CounterChange(
        CounterKey(
          hour: wall / Entry.hour, kind: kind, reason: reason?.name ?? "", object: object, application: application,
          uid: record.uid.map { Int64($0) } ?? -1), Tally(count: count, first: wall, last: wall))
    }
    counts = [change(record.kind.name, record.reason, 1)]
    for lost in record.gap?.counts ?? [] {
      counts.append(change("lost", lost.reason, Int64(clamping: lost.count)))
    }
  }

  /// Nanoseconds.
  static let hour: Int64 = 3_600_000_000_000
}

/// RFC 4648, with padding.
enum Base64 {
  private static let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  static func text(_ bytes: [UInt8]) -> String {
    var out: [UInt8] = []
    out.reserveCapacity((bytes.count + 2) / 3 * 4)
    var index = 0
    while index < bytes.count {
      let left = bytes.count - index
      let word =
        UInt32(bytes[index]) << 16 | (left > 1 ? UInt32(bytes[index + 1]) << 8 : 0)
        | (left > 2 ? UInt32(bytes[index + 2]) : 0)
      out.append(digits[Int(word >> 18)])
      out.append(digits[Int(word >> 12 & 63)])
      out.append(left > 1 ? digits[Int(word >> 6 & 63)] : UInt8(ascii: "="))
      out.append(left > 2 ? digits[Int(word & 63)] : UInt8(ascii: "="))
      index += 3
    }
    return String(decoding: out, as: UTF8.self)
  }

  /// nil: something else stands there.
  static func bytes(_ text: String) -> [UInt8]? {
    var out: [UInt8] = []
    var word: UInt32 = 0
    var bits = 0
    for character in text.utf8 {
      let value: UInt8
      switch character {
      case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = character - UInt8(ascii: "A")
      case UInt8(ascii: "a")...UInt8(ascii: "z"): value = character - UInt8(ascii: "a") + 26
      case UInt8(ascii: "0")...UInt8(ascii: "9"): value = character - UInt8(ascii: "0") + 52
      case UInt8(ascii: "+"): value = 62
      case UInt8(ascii: "/"): value = 63
      case UInt8(ascii: "="): continue
      default: return nil
      }
      word = word << 6 | UInt32(value)
      bits += 6
      if bits >= 8 {
        bits -= 8
        out.append(UInt8(truncatingIfNeeded: word >> UInt32(bits)))
      }
    }
    return out
  }
}
