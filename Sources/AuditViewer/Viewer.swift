import Audit
import AuditAnalysis

/// The audit viewer without a terminal: events go in, what is to be done comes out, and a screen can be drawn at any time.
public struct Viewer {
  public enum Event {
    case key(Key)
    case resized(ScreenSize)
    /// Some of the records that were read, oldest first, and how many in between could not be.
    case records([AuditRecord], unreadable: Int)
    /// So many that match nobody knows of were left out, since they came faster than they are shown.
    case skipped(UInt64)
    case explained(Detail)
    case found(SearchResult)
    /// The broker is gone, or not; why, escaped.
    case brokerLost(String)
    case brokerBack
  }

  /// What the viewer cannot do itself.
  public enum Effect: Sendable, Hashable {
    case quit
    /// Stops the process, as Ctrl-Z does.
    case suspend
    /// Draws everything, whatever the terminal shows.
    case redraw
    /// Tells of a record; the last one asked for counts.
    case explain(UInt64)
    /// Looks for older records; the last question counts.
    case search(Search)
  }

  public enum Mode: Sendable, Hashable {
    case list
    case filter
    case help
  }

  public internal(set) var kept: KeptRecords
  public internal(set) var filterLine = FilterLine()
  public internal(set) var size: ScreenSize
  public internal(set) var mode = Mode.list
  /// Whether the newest record is always the selected one.
  public internal(set) var isFollowing = true
  /// Position of the selected record; nil: none.
  public internal(set) var selected: Int?
  /// Position of the record in the list's first row.
  var top = 0
  /// Whose pane is open, by sequence number, and what it says if that is known yet.
  public internal(set) var pane: UInt64?
  var detail: Detail?
  var paneTop = 0
  var filterBefore = ""
  var unreadable = 0
  var skipped: UInt64 = 0
  var obstacle: String?
  /// What is being looked for now.
  var searching: Search?
  /// Why the last search found out nothing, until the next key; escaped.
  var searchObstacle: String?
  /// What the records were filtered by before they came here, as words; empty: nothing.
  let base: String
  /// Said where nothing is shown, beside why.
  let rights: [String]
  private let time: (String) -> UInt64?

  /// - Parameters:
  ///   - capacity: records that are kept.
  ///   - base: conditions that all records meet, as text.
  ///   - rights: whose records they are, escaped lines.
  ///   - time: reads what stands behind `since` and `until`, in wall nanoseconds.
  public init(
    size: ScreenSize, capacity: Int, base: String = "", rights: [String] = [], time: @escaping (String) -> UInt64?
  ) {
    self.size = size
    kept = KeptRecords(capacity: capacity)
    self.base = base
    self.rights = rights
    self.time = time
  }

  /// Whether more records are welcome: one who reads an old one keeps it, however fast new ones come.
  public var wantsRecords: Bool { isFollowing || !kept.isFull }

  public mutating func handle(_ event: Event) -> [Effect] {
    var effects: [Effect] = []
    switch event {
    case .key(let key):
      searchObstacle = nil
      effects = press(key)
    case .resized(let size): self.size = size
    case .records(let records, let unreadable):
      for record in records { kept.append(record) }
      self.unreadable += unreadable
    case .skipped(let count): skipped += count
    case .explained(let detail): if detail.sequence == pane { self.detail = detail }
    case .found(let result): effects = take(result)
    case .brokerLost(let why): obstacle = why
    case .brokerBack: obstacle = nil
    }
    settle()
    // While records rush by, the pane stays with the one it was opened for.
    if let sequence = selectedRecord?.sequence, !isFollowing, let pane, pane != sequence {
      open(sequence)
      effects.append(.explain(sequence))
    }
    return effects
  }

  public var selectedRecord: AuditRecord? { selected.flatMap { kept[$0] } }

  mutating func open(_ sequence: UInt64) {
    pane = sequence
    detail = nil
    paneTop = 0
  }

  // MARK: The filter

  mutating func setFilter(_ text: String, isFinished: Bool = false) {
    let before = filterLine.filter
    var line = filterLine
    line.set(text, isFinished: isFinished, values: { values(of: $0) }, time: time)
    filterLine = line
    guard filterLine.filter != before else { return }
    kept.filter(filterLine.filter)
    searching = nil
    isFollowing = true
  }

  /// What the newest records have for a key, most often first; not too many, since they are looked for at each keystroke.
  private func values(of key: String) -> [ByteString] {
    guard let statisticsKey = StatisticsKey(rawValue: key) else { return [] }
    var statistics = Statistics(keys: [statisticsKey])
    for position in max(kept.first, kept.end - 2000)..<kept.end {
      if let record = kept[position] { statistics.take(record) }
    }
    return statistics.top(50).compactMap { $0.values.first ?? nil }
  }

  // MARK: The list

  /// Rows of records that the list has.
  var listRows: Int { max(1, Layout(self).list.count) }

  /// Puts selection and window where records are.
  mutating func settle() {
    let matching = kept.matching
    guard let first = matching.first, let last = matching.last else {
      selected = nil
      top = kept.end
      return
    }
    if isFollowing {
      selected = last
    } else {
      let wanted = max(selected ?? last, first)
      selected = kept.index(of: wanted) < matching.endIndex ? matching[kept.index(of: wanted)] : last
    }
    guard let selected else { return }
    let rows = listRows
    let index = kept.index(of: selected)
    var start = kept.index(of: max(top, first))
    start = min(start, max(matching.startIndex, matching.endIndex - rows))
    if index < start { start = index }
    if index >= start + rows { start = index - rows + 1 }
    top = matching[start]
  }

  /// Selects the record so many rows further down.
  mutating func move(by rows: Int) -> [Effect] {
    let matching = kept.matching
    guard let selected, !matching.isEmpty else { return [] }
    let index = kept.index(of: selected) + rows
    let target = min(max(index, matching.startIndex), matching.endIndex - 1)
    self.selected = matching[target]
    isFollowing = index >= matching.endIndex - 1 && rows > 0
    return []
  }
}
