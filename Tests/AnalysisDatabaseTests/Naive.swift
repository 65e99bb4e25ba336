import Analysis
import Audit
import Authority
import Instructions
import Testing

@testable import AnalysisDatabase

/// What the tables have to hold after these records, told without strategies, runs or snapshots; of runtime grants by what
/// DESIGN says of them: one stands until it has expired, is revoked, or the policy is read again.
struct Naive {
  struct Held: Equatable {
    var state: String
    var object: String
  }

  var held: [String: Held] = [:]
  struct Grant: Equatable {
    var state: String
    var expiry: UInt64?
  }

  var grants: [String: Grant] = [:]
  var counts: [String: Int64] = [:]

  init(_ records: [AuditRecord]) {
    for record in records {
      let object = record.object?.escaped ?? ""
      let id = record.association.map { "association \($0.rawValue)" }
      grants = grants.filter { $0.value.expiry ?? .max > record.time.boottime }
      let pending = "intent \(record.pid ?? 0) \(record.processStart ?? 0) \(object)"
      switch record.kind {
      case .grant, .revalidate:
        held[pending] = nil
        if let id { held[id] = Held(state: "held", object: object) }
      case .intent: if record.object != nil, record.pid != nil { held[pending] = Held(state: "begun", object: object) }
      case .drop, .revoke: if let id { held[id] = nil } else { held[pending] = nil }
      case .start, .stop:
        held = [:]
        grants = [:]
      case .reload: if record.errno == nil { grants = [:] }
      case .runtimeGrant:
        let key = record.runtimeGrant.map { "grant \($0.id)" } ?? "record \(record.sequence)"
        grants[key] = Grant(state: "standing", expiry: record.runtimeGrant?.expiry)
      case .runtimeGrantEnd:
        // That it has expired, time has told.
        if record.cause == .revoke, let grant = record.runtimeGrant { grants["grant \(grant.id)"] = nil }
      case .gap:
        if record.gap?.counts.contains(where: { $0.reason == nil }) == true {
          held = held.mapValues { Held(state: "uncertain", object: $0.object) }
          grants = grants.mapValues { Grant(state: "uncertain", expiry: $0.expiry) }
        }
        for lost in record.gap?.counts ?? [] {
          let key = Naive.key(record, "lost", lost.reason?.name ?? "")
          counts[key, default: 0] += Int64(lost.count)
        }
      default: break
      }
      counts[Naive.key(record, record.kind.name, record.reason?.name ?? ""), default: 0] += 1
    }
  }

  private static func key(_ record: AuditRecord, _ kind: String, _ reason: String) -> String {
    let hour = record.time.wall / 3_600_000_000_000
    let uid = record.uid.map { Int64($0) } ?? -1
    return "\(hour) \(kind) \(reason) \(record.object?.escaped ?? "") \(record.application?.escaped ?? "") \(uid)"
  }

  /// Compares all tables with what these records come to.
  static func compare(_ bench: Bench, _ records: [AuditRecord], _ comment: Comment) throws {
    for table in AnalysisTable.allCases { try compare(table, bench, records, comment) }
  }

  /// Compares one table with what these records come to.
  static func compare(_ table: AnalysisTable, _ bench: Bench, _ records: [AuditRecord], _ comment: Comment) throws {
    let naive = Naive(records)
    let database = try AnalysisDatabase(bench.place)
    switch table {
    case .record:
      let kept = try database.rows("SELECT frame FROM record ORDER BY sequence").map { row in
        try AuditRecord(decoding: try #require(Base64.bytes(row[0].string ?? "?")))
      }
      #expect(kept == records, comment)
    case .association:
      let held = try database.rows("SELECT key, state, object FROM association").map { row in
        (row[0].string ?? "", Held(state: row[1].string ?? "", object: row[2].string ?? ""))
      }
      #expect(Dictionary(uniqueKeysWithValues: held) == naive.held, comment)
    case .runtimeGrant:
      let grants = try database.rows("SELECT key, state FROM runtime_grant").map {
        ($0[0].string ?? "", $0[1].string ?? "")
      }
      #expect(Dictionary(uniqueKeysWithValues: grants) == naive.grants.mapValues(\.state), comment)
    case .counter:
      let counts = try database.rows(
        "SELECT hour, kind, reason, object, application, uid, count FROM counter"
      ).map { row in
        let texts = row[1...4].map { $0.string ?? "" }.joined(separator: " ")
        return ("\(row[0].number ?? 0) \(texts) \(row[5].number ?? 0)", row[6].number ?? 0)
      }
      #expect(Dictionary(uniqueKeysWithValues: counts) == naive.counts, comment)
    }
  }
}
