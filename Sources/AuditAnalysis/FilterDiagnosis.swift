import Audit

/// Finds out which condition of a filter takes everything away.
public struct FilterDiagnosis: Sendable {
  public let filter: AuditFilter
  /// Records that were looked at, and those that matched.
  public private(set) var looked = 0
  public private(set) var matched = 0
  /// How many records failed exactly these conditions.
  private var failed: [UInt16: Int] = [:]

  public init(_ filter: AuditFilter) { self.filter = filter }

  /// Looks at one record; whether it matches.
  public mutating func take(_ record: AuditRecord) -> Bool {
    looked += 1
    let failing = filter.failing(record)
    if failing.isEmpty {
      matched += 1
      return true
    }
    failed[failing.rawValue, default: 0] += 1
    return false
  }

  /// How many more records there would be without one condition.
  public func gain(without condition: AuditFilter.Conditions) -> Int { failed[condition.rawValue, default: 0] }

  /// How many records meet one condition, whatever the others say.
  public func meeting(_ condition: AuditFilter.Conditions) -> Int {
    looked - failed.reduce(0) { $1.key & condition.rawValue != 0 ? $0 + $1.value : $0 }
  }

  /// Why nothing matched, one clause a line, escaped; empty: something did.
  public func explanation(name: (AuditFilter.Term) -> String) -> [String] {
    guard matched == 0 else { return [] }
    guard looked > 0 else { return ["the journal has no records that you may read"] }
    let terms = filter.terms
    var lines = ["none of \(looked) records matches"]
    let nobody = terms.filter { meeting($0.condition) == 0 }
    for term in nobody { lines.append("no record at all has \(name(term))") }
    let single = terms.filter { gain(without: $0.condition) > 0 }
    for term in single { lines.append("without \(name(term)) there would be \(gain(without: term.condition))") }
    if nobody.isEmpty, single.isEmpty {
      let counts = terms.map { "\(meeting($0.condition)) have \(name($0))" }
      lines.append("each condition has records, no record has all: \(counts.joined(separator: ", "))")
    }
    return lines
  }
}
