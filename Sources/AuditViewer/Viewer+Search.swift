import Audit
import AuditAnalysis

extension Viewer {
  /// A question for records that are older than those that are kept.
  public struct Search: Sendable, Hashable {
    public var filter: AuditFilter
    /// Nothing from this number on; nil: from the end.
    public var before: UInt64?

    public init(filter: AuditFilter, before: UInt64?) {
      self.filter = filter
      self.before = before
    }
  }

  /// The newest of them that match, oldest first.
  public struct SearchResult: Sendable, Hashable {
    public var search: Search
    public var records: [AuditRecord]
    /// Down to this number everything was looked at.
    public var from: UInt64
    /// Why nothing was found, escaped; nil: it was looked for.
    public var obstacle: String?

    public init(search: Search, records: [AuditRecord], from: UInt64, obstacle: String? = nil) {
      self.search = search
      self.records = records
      self.from = from
      self.obstacle = obstacle
    }
  }

  /// Down to which number the filter has been held against everything; nil: against nothing yet.
  var reach: UInt64? { kept.reached ?? kept[kept.first]?.sequence }

  /// Whether there may be older records that were not looked at.
  var hasOlder: Bool {
    if let reached = kept.reached { return reached > 1 && kept.older.count < kept.capacity }
    // What was filtered before it came here is from the whole journal, as far as it was kept.
    guard base.isEmpty else { return kept.isFull }
    // Who may not read all may have none of the newest.
    return reach.map { $0 > 1 } ?? !rights.isEmpty
  }

  mutating func search() -> [Effect] {
    guard hasOlder, searching == nil else { return [] }
    // What is looked for stays where it is.
    isFollowing = false
    let search = Search(filter: filterLine.filter, before: reach)
    searching = search
    return [.search(search)]
  }

  mutating func take(_ result: SearchResult) -> [Effect] {
    // Another filter is in force now, or newer records have taken the place.
    guard result.search == searching else { return [] }
    searching = nil
    searchObstacle = result.obstacle
    guard result.obstacle == nil, result.search.before == reach else { return [] }
    kept.prepend(result.records, reaching: result.from)
    // Until there is one to show, or no more to look at.
    return result.records.isEmpty ? search() : []
  }

  /// How much of the journal the filter covers; nil: all of it.
  var coverage: String? {
    guard hasOlder, let last = kept[kept.end - 1].map({ $0.nextSequence - 1 }), let reach, reach <= last else {
      return nil
    }
    if searching != nil { return "searching before \(reach) …" }
    let covers = filterLine.filter == AuditFilter() ? "" : "filter covers "
    return "\(covers)the newest \(last - reach + 1) of \(last)"
  }
}
