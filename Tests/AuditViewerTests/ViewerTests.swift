import Audit
import AuditAnalysis
import AuditViewer
import Instructions
import Testing

@Suite struct ViewerTests {
  @Test func `at 80 by 24 there are a title, bars, the filter, the list, and the keys`() {
    let lines = viewer(40).lines
    #expect(lines.count == 24)
    #expect(lines[0].hasPrefix(" postern audit  40 records") && lines[0].hasSuffix("live"))
    #expect(lines[1].contains("█") && lines[3].contains("█"))
    #expect(lines[4].contains("2023-11-14 22:13:21 … 2023-11-14 22:14:00, 1 s a bar"), "\(lines[4])")
    #expect(lines[5] == "filter none (press /)")
    #expect(lines[6] == "SEQ TIME     VERDICT WHO         WHAT      WHY")
    #expect(lines[7] == " 25 22:13:45 refused shop cat 77 read disk limit EPERM")
    #expect(lines[22] == " 40 22:14:00 refused shop cat 77 read disk operation EACCES")
    #expect(lines[23] == "↑↓ select  Enter why  / filter  r refusals  f hold  ? help  q quit")
  }

  @Test func `a wide screen has the date, the whole path, and the pane beside the list`() {
    var wide = viewer(40, width: 200, height: 50)
    #expect(wide.lines.contains { $0.hasPrefix(" 40 2023-11-14 22:14:00 refused shop pid 77 uid 1000 /usr/bin/cat") })
    wide.press(.enter)
    let row = wide.lines.first { $0.hasPrefix(" 40 ") } ?? ""
    #expect(row.contains("│"), "\(row)")
    #expect(wide.listed.count == 39)
  }

  @Test func `the list follows what comes until a record is selected, and again at its end`() {
    var viewer = viewer(30)
    #expect(viewer.selectedLine.contains(" 30 "))
    _ = viewer.handle(.records([refusal(31)], unreadable: 0))
    #expect(viewer.selectedLine.contains(" 31 "))
    viewer.press(.up)
    let before = viewer.listed
    _ = viewer.handle(.records((32...50).map { refusal($0) }, unreadable: 0))
    #expect(viewer.selectedLine.contains(" 30 "))
    #expect(viewer.listed == before)
    #expect(viewer.lines[0].hasSuffix("held"))
    viewer.press(.end)
    #expect(viewer.selectedLine.contains(" 50 "))
    _ = viewer.handle(.records([refusal(51)], unreadable: 0))
    #expect(viewer.selectedLine.contains(" 51 "))
  }

  @Test func `each key of the list moves the selection as far as it says`() {
    var viewer = viewer(100)
    viewer.press(.up, .up)
    #expect(viewer.selectedLine.contains(" 98 "))
    viewer.press(.pageUp)
    #expect(viewer.selectedLine.contains(" 83 "))
    viewer.press(.home)
    #expect(viewer.selectedLine.contains("  1 "))
    viewer.press(.down)
    #expect(viewer.selectedLine.contains("  2 "))
    viewer.press(.pageDown)
    #expect(viewer.selectedLine.contains(" 17 "))
  }

  @Test func `the title counts what was dropped, and what repeats the record before`() {
    var viewer = viewer(10)
    #expect(!viewer.lines[0].contains("not kept") && !viewer.lines[0].contains("repeats"))
    var gap = AuditRecord(.gap, time: AuditTime(wall: 1, boottime: 1), boot: BootID(high: 1, low: 2))
    gap.sequence = 11
    gap.gap = Gap(first: 11, last: 11, counts: [Gap.Count(reason: .revoked, count: 7)])
    _ = viewer.handle(.records([gap, refusal(13), refusal(15), refusal(17), refusal(18)], unreadable: 0))
    #expect(viewer.lines[0].contains("15 records, 7 not kept, 2 repeats "), "\(viewer.lines[0])")
    // Under this filter each of those that are shown repeats the one before.
    viewer.press(.text("/"))
    viewer.type("reason:limit")
    viewer.press(.enter)
    #expect(viewer.lines[0].contains("8 of 15 records, 7 not kept, 7 repeats "), "\(viewer.lines[0])")
    viewer.press(.escape)
    #expect(viewer.lines[0].contains("15 records, 7 not kept, 2 repeats "))
  }

  @Test func `a filter takes effect as it is typed, and an unfinished word takes nothing away`() {
    var viewer = viewer(10)
    viewer.press(.text("/"))
    viewer.type("reason:li")
    #expect(viewer.listed.count == 10)
    #expect(viewer.lines[23] == "reason:limit")
    viewer.type("mit")
    #expect(viewer.listed == [1, 3, 5, 7, 9])
    #expect(viewer.lines[0].contains("5 of 10 records"))
    viewer.press(.enter)
    #expect(viewer.mode == .list)
    _ = viewer.handle(.records([refusal(11), refusal(12)], unreadable: 0))
    #expect(viewer.listed == [1, 3, 5, 7, 9, 11])
    viewer.press(.escape)
    #expect(viewer.listed.count == 12)
  }

  @Test func `Tab completes keys and values, also those that only the records know`() {
    var viewer = viewer(10)
    _ = viewer.handle(.records([refusal(11, object: "my \"disk\"")], unreadable: 0))
    viewer.press(.text("/"))
    viewer.type("obj")
    viewer.press(.tab)
    #expect(viewer.filterLine.text == "object:")
    viewer.type("\"")
    viewer.press(.tab)
    #expect(viewer.filterLine.text == "object:\"my \\\"disk\\\"\" ")
    #expect(viewer.listed == [11])
    viewer.press(.control("w"))
    #expect(viewer.filterLine.text == "" && viewer.listed.count == 11)
  }

  @Test func `a word that is no condition is said, and the ones before it stay in force`() {
    var viewer = viewer(10)
    viewer.press(.text("/"))
    viewer.type("reason:limit pid:x")
    #expect(viewer.listed == [1, 3, 5, 7, 9])
    #expect(viewer.lines[23].contains("\"x\" is not known for pid"))
    viewer.press(.enter)
    #expect(viewer.lines[23].contains("\"x\" is not known for pid"))
    viewer.press(.text("/"), .escape)
    #expect(viewer.filterLine.text == "reason:limit pid:x")
  }

  @Test func `where nothing matches the viewer says which condition takes everything away`() {
    var viewer = viewer(10)
    viewer.press(.text("/"))
    viewer.type("reason:busy ")
    #expect(viewer.lines.contains { $0.contains("no record at all has reason:busy") })
    #expect(viewer.lines.contains { $0.contains("without reason:busy there would be 10") })
    let empty = Viewer(size: ScreenSize(width: 80, height: 24), capacity: 5, rights: ["only your own"]) { _ in nil }
    #expect(empty.lines.contains { $0.contains("no record that you may read yet") })
    #expect(empty.lines.contains { $0.contains("only your own") })
  }

  @Test func `Enter asks about the selected record, the pane tells, and another selection asks again`() {
    var viewer = viewer(10)
    viewer.press(.up)
    #expect(viewer.press(.enter) == [.explain(9)])
    #expect(viewer.lines.contains { $0.contains("reading what came before") })
    let detail = { (id: UInt64) in
      Detail(
        sequence: id, parts: [Explanation.Part(title: "why", lines: ["limit: too far"])],
        suggestion: ["change:   the grant gets more"], diff: ["+new", "-old"])
    }
    _ = viewer.handle(.explained(detail(3)))
    #expect(!viewer.screen.text.contains("too far"))
    _ = viewer.handle(.explained(detail(9)))
    #expect(viewer.screen.text.contains("why     limit: too far"))
    #expect(viewer.screen.text.contains("the grant gets more"))
    #expect(viewer.press(.up) == [.explain(8)])
    #expect(!viewer.screen.text.contains("too far"))
    viewer.press(.escape)
    #expect(viewer.pane == nil && viewer.press(.text("q")) == [.quit])
  }

  @Test func `a long pane scrolls to its end and no further`() {
    var viewer = viewer(10)
    viewer.press(.enter)
    let lines = (1...60).map { "line \($0)." }
    _ = viewer.handle(
      .explained(Detail(sequence: 10, parts: [Explanation.Part(title: "why", lines: lines)], suggestion: [], diff: [])))
    #expect(viewer.screen.text.contains("line 1.") && !viewer.screen.text.contains("line 60."))
    for _ in 0..<20 { viewer.press(.pageDown) }
    #expect(viewer.screen.text.contains("line 60.") && !viewer.screen.text.contains("line 1."))
    for _ in 0..<20 { viewer.press(.pageUp) }
    #expect(viewer.screen.text.contains("line 1."))
  }

  @Test func `memory is bounded: the oldest go, unless one is being read, and then no more are wanted`() {
    var viewer = viewer(500, capacity: 100)
    #expect(viewer.kept.count == 100 && viewer.wantsRecords)
    viewer.press(.home)
    #expect(viewer.selectedLine.contains("401 "))
    #expect(!viewer.wantsRecords)
    viewer.press(.text("f"))
    #expect(viewer.wantsRecords)
  }

  @Test func `every size draws, and every line fits it`() {
    for (width, height) in [
      (1, 1), (2, 3), (10, 5), (20, 8), (40, 12), (80, 24), (81, 25), (149, 31), (150, 40), (999, 499),
    ] {
      var viewer = viewer(50, width: width, height: height)
      for keys in [[Key.enter], [.text("/")], [.enter], [.text("?")]] {
        for key in keys { viewer.press(key) }
        let screen = viewer.screen
        #expect(screen.rows.count == height && screen.rows.allSatisfy { $0.count == width })
      }
      _ = viewer.handle(.resized(ScreenSize(width: 80, height: 24)))
      #expect(viewer.screen.rows.count == 24)
    }
  }
}
