import Audit
import AuditAnalysis
import AuditViewer
import Instructions
import Testing

@Suite struct SearchTests {
  /// A viewer that has kept the last 10 of 100 refusals, and filters for those of `limit`: the odd ones.
  private func filtered() -> Viewer {
    var viewer = viewer(100, capacity: 10)
    viewer.press(.text("/"))
    viewer.type("reason:limit")
    viewer.press(.enter)
    return viewer
  }

  private func question(_ effects: [Viewer.Effect]) -> Viewer.Search? {
    for case .search(let search) in effects { return search }
    return nil
  }

  @Test func `it says how much of the journal the filter covers, and by which key it can cover more`() {
    let viewer = filtered()
    #expect(viewer.lines.contains { $0.contains("filter covers the newest 10 of 100") })
    #expect(viewer.lines.last?.contains("o older") == true)
    #expect(viewer.listed == [91, 93, 95, 97, 99])
  }

  @Test func `where everything is kept there is nothing older to look for`() {
    var viewer = viewer(5, capacity: 10)
    #expect(!viewer.lines.contains { $0.contains("newest") } && viewer.lines.last?.contains("older") == false)
    #expect(question(viewer.press(.text("o"))) == nil)
  }

  @Test func `older ones that match come before the others, and are selected, filtered and counted like them`() throws {
    var viewer = filtered()
    let search = try #require(question(viewer.press(.text("o"))))
    #expect(search.before == 91 && search.filter.reason == .limit)
    #expect(viewer.lines.contains { $0.contains("searching before 91") })
    #expect(question(viewer.press(.text("o"))) == nil, "one at a time")
    _ = viewer.handle(.found(.init(search: search, records: [81, 83, 85, 87, 89].map { refusal($0) }, from: 81)))
    #expect(viewer.lines.contains { $0.contains("filter covers the newest 20 of 100") })
    #expect(viewer.listed == [81, 83, 85, 87, 89, 91, 93, 95, 97, 99])
    viewer.press(.home)
    #expect(viewer.selectedRecord?.sequence == 81)
    viewer.press(.end)
    #expect(viewer.selectedRecord?.sequence == 99)
    #expect(viewer.kept.histogram.bars.reduce(0) { $0 + $1.count } == 10)
    let next = try #require(question(viewer.press(.text("o"))))
    #expect(next.before == 81)
    _ = viewer.handle(.found(.init(search: next, records: [refusal(1)], from: 1)))
    #expect(viewer.listed.first == 1 && !viewer.lines.contains { $0.contains("covers") })
    #expect(question(viewer.press(.text("o"))) == nil, "there is nothing before the first")
  }

  @Test func `where none is found it looks further by itself, until the beginning`() throws {
    var viewer = filtered()
    let search = try #require(question(viewer.press(.text("o"))))
    let next = try #require(question(viewer.handle(.found(.init(search: search, records: [], from: 41)))))
    #expect(next.before == 41)
    #expect(question(viewer.handle(.found(.init(search: next, records: [], from: 1)))) == nil)
    #expect(!viewer.lines.contains { $0.contains("searching") || $0.contains("covers") })
  }

  @Test func `a search that fails says why, until the next key, and may be tried again`() throws {
    var viewer = filtered()
    let search = try #require(question(viewer.press(.text("o"))))
    let failed = Viewer.SearchResult(search: search, records: [], from: 91, obstacle: "the broker does not answer")
    #expect(question(viewer.handle(.found(failed))) == nil)
    #expect(viewer.lines.last == "no older ones: the broker does not answer")
    #expect(question(viewer.press(.text("o")))?.before == 91)
    #expect(viewer.lines.last?.contains("o older") == true)
  }

  @Test func `what was found for another filter is not shown, and what was found goes with its filter`() throws {
    var viewer = filtered()
    let search = try #require(question(viewer.press(.text("o"))))
    viewer.press(.escape)
    _ = viewer.handle(.found(.init(search: search, records: [refusal(1)], from: 1)))
    #expect(viewer.listed == Array(91...100))
    let all = try #require(question(viewer.press(.text("o"))))
    _ = viewer.handle(.found(.init(search: all, records: [refusal(90)], from: 90)))
    #expect(viewer.listed.first == 90)
    viewer.press(.text("r"))
    #expect(viewer.listed.first == 91)
    #expect(viewer.lines.contains { $0.contains("filter covers the newest 10 of 100") })
  }

  @Test func `older ones go when newer ones take their places, and every position stays what it was`() throws {
    var viewer = filtered()
    let search = try #require(question(viewer.press(.text("o"))))
    _ = viewer.handle(.found(.init(search: search, records: [refusal(89)], from: 89)))
    viewer.press(.text("f"))
    _ = viewer.handle(.records([refusal(101)], unreadable: 0))
    #expect(viewer.listed == [93, 95, 97, 99, 101])
    #expect(viewer.selectedRecord?.sequence == 101)
    #expect(viewer.kept.older.isEmpty && viewer.kept.reached == nil)
    for sequence in 102...130 { _ = viewer.handle(.records([refusal(UInt64(sequence))], unreadable: 0)) }
    #expect(viewer.listed == [121, 123, 125, 127, 129])
  }
}
