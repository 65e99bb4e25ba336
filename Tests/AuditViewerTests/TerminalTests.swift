import Audit
import AuditAnalysis
import AuditViewer
import Instructions
import TestSupport
import Testing

/// Names that attack whoever shows them.
private let hostile: [ByteString] = [
  "\u{1B}[31mred", "\u{1B}]0;title\u{07}", "\u{9B}2J", "\u{202E}gnp.exe", "\u{2028}", "\0", "a\nb", "a\rb", "\t",
  "\u{7F}",
  "e\u{301}\u{301}\u{301}\u{301}", "\u{200B}\u{200D}\u{FEFF}", "ｆｕｌｌ width 名前", "\u{1F600}\u{FE0F}\u{200D}\u{1F600}",
  ByteString(bytes: [0xFF, 0xFE, 0x1B, 0x5B]), ByteString(bytes: Array(0...255)), "\u{1160}\u{3164}x",
  ByteString(String(repeating: "名", count: 500)),
]

private let plain = TerminalAbilities(isColoured: false, isUnicode: true)
private let coloured = TerminalAbilities(isColoured: true, isUnicode: true)

@Suite struct TerminalTests {
  @Test(arguments: hostile) func `a hostile name does nothing to the terminal, wherever it stands`(name: ByteString) {
    var viewer = viewer(0)
    var record = refusal(1, object: name, application: name)
    record.executablePath = name
    record.message = name
    record.grant = name
    _ = viewer.handle(.records([record, refusal(2)], unreadable: 0))
    let text = String(decoding: name.bytes, as: UTF8.self)
    _ = viewer.handle(.brokerLost(name.escaped))
    for step in 0..<3 {
      if step == 1 {
        viewer.press(.home, .enter)
        // As hostile as can be: not even escaped.
        _ = viewer.handle(
          .explained(
            Detail(
              sequence: 1, parts: [Explanation.Part(title: "why", lines: [text])], suggestion: [text], diff: [text])))
      }
      if step == 2 {
        _ = viewer.handle(.brokerBack)
        viewer.press(.text("/"))
        viewer.type("object:\"" + text)
      }
      let screen = viewer.screen
      var terminal = ModelTerminal(screen.size)
      terminal.feed(screen.bytes(after: nil, plain))
      #expect(terminal.strangers == [], "step \(step)")
      #expect(screen.rows.allSatisfy { $0.count == 80 })
      for line in screen.text.unicodeScalars where line != "\n" {
        #expect(!line.actsOnTerminals, "step \(step)")
      }
    }
  }

  @Test func `without the guard the same name does something: the model terminal sees it`() {
    var terminal = ModelTerminal(ScreenSize(width: 80, height: 24))
    terminal.feed(Array("\u{1B}]0;title\u{07}".utf8))
    #expect(!terminal.strangers.isEmpty)
  }

  @Test func `what changed is drawn, and the terminal then shows the whole screen`() {
    var generator = SplitMix.seeded()
    let seed = generator.state
    var viewer = viewer(60)
    var shown: Screen?
    var terminal = ModelTerminal(viewer.size)
    var sequence: UInt64 = 60
    let keys: [Key] = [
      .up, .down, .pageUp, .pageDown, .home, .end, .enter, .escape, .text("r"), .text("f"), .text("/"), .text("a"),
      .tab, .backspace, .text("?"),
    ]
    for round in 0..<400 {
      if Int.random(in: 0..<4, using: &generator) == 0 {
        sequence += 1
        _ = viewer.handle(.records([refusal(sequence)], unreadable: 0))
      } else if let key = keys.randomElement(using: &generator) {
        for case .explain(let id) in viewer.press(key) where Bool.random(using: &generator) {
          let part = Explanation.Part(title: "why", lines: ["because", "名前 of \(id)"])
          _ = viewer.handle(.explained(Detail(sequence: id, parts: [part], suggestion: [], diff: [])))
        }
      }
      if round == 200 {
        _ = viewer.handle(.resized(ScreenSize(width: 100, height: 30)))
        terminal = ModelTerminal(viewer.size)
      }
      let screen = viewer.screen
      terminal.feed(screen.bytes(after: shown, coloured))
      shown = screen
      #expect(
        terminal.text.replacing(" ", with: "") == screen.text.replacing(" ", with: ""), "seed \(seed) round \(round)")
      #expect(terminal.strangers == [])
    }
  }

  @Test func `NO_COLOR leaves no colour, and a terminal with 16 colours gets no other`() {
    var viewer = viewer(10)
    viewer.press(.enter)
    let screen = viewer.screen
    var dull = ModelTerminal(screen.size)
    dull.feed(screen.bytes(after: nil, plain))
    #expect(dull.colours.isEmpty)
    var bright = ModelTerminal(screen.size)
    bright.feed(screen.bytes(after: nil, coloured))
    #expect(!bright.colours.isEmpty && bright.colours.isSubset(of: ["31", "32", "33", "36", "90"]))
  }

  @Test func `a terminal without UTF-8 gets ASCII alone, in the same places`() {
    var viewer = viewer(10)
    _ = viewer.handle(.records([refusal(11, object: "名前")], unreadable: 0))
    let bytes = viewer.screen.bytes(after: nil, TerminalAbilities(isColoured: false, isUnicode: false))
    #expect(bytes.allSatisfy { $0 < 0x80 })
    var terminal = ModelTerminal(viewer.size)
    terminal.feed(bytes)
    #expect(terminal.text.contains("read ???? "))
  }

  @Test func `nothing changed, nothing written`() {
    let screen = viewer(10).screen
    #expect(screen.bytes(after: screen, plain).count < 8)
  }
}

@Suite struct KeyTests {
  @Test func `keys are read from any terminal's sequences`() {
    let known: [(String, [Key])] = [
      ("a", [.text("a")]), ("ü", [.text("ü")]), ("\u{1B}[A", [.up]), ("\u{1B}OB", [.down]), ("\u{1B}[5~", [.pageUp]),
      ("\u{1B}[6;2~", [.pageDown]), ("\u{1B}[H\u{1B}[4~", [.home, .end]), ("\r\n", [.enter, .enter]),
      ("\u{7F}\u{08}", [.backspace, .backspace]), ("\u{03}\u{15}", [.control("c"), .control("u")]), ("\t", [.tab]),
      ("\u{1B}[200~x", [.text("x")]), ("\u{1B}\u{1B}[A", [.escape, .up]),
    ]
    for (text, keys) in known {
      var decoder = KeyDecoder()
      #expect(decoder.take(Array(text.utf8)) == keys, "\(text.debugDescription)")
      #expect(!decoder.isWaiting)
    }
  }

  @Test func `bytes may be split anywhere`() {
    let bytes = Array("x\u{1B}[A名\u{1B}[5~\u{1B}OBy".utf8)
    for cut in 0...bytes.count {
      var decoder = KeyDecoder()
      let keys = decoder.take(Array(bytes[..<cut])) + decoder.take(Array(bytes[cut...]))
      #expect(keys == [.text("x"), .up, .text("名"), .pageUp, .down, .text("y")], "\(cut)")
    }
  }

  @Test func `an escape character alone is the key once nothing follows`() {
    var decoder = KeyDecoder()
    #expect(decoder.take([0x1B]) == [] && decoder.isWaiting)
    #expect(decoder.flush() == [.escape] && !decoder.isWaiting)
  }

  @Test func `nonsense is never kept for long, and never ends the decoder`() {
    var generator = SplitMix.seeded()
    let seed = generator.state
    var decoder = KeyDecoder()
    for _ in 0..<2000 {
      _ = decoder.take((0..<7).map { _ in UInt8.random(in: 0...255, using: &generator) })
    }
    _ = decoder.flush()
    #expect(decoder.take(Array("a".utf8)) == [.text("a")], "seed \(seed)")
  }
}

@Suite struct KeptRecordsTests {
  @Test func `what is kept and what matches is what a naive list says, after any history`() {
    var generator = SplitMix.seeded()
    let seed = generator.state
    for round in 0..<60 {
      let capacity = Int.random(in: 1...20, using: &generator)
      var kept = KeptRecords(capacity: capacity)
      var all: [AuditRecord] = []
      var filter = AuditFilter()
      for step in 0..<200 {
        if Int.random(in: 0..<10, using: &generator) == 0 {
          filter = AuditFilter(
            reason: [.limit, nil].randomElement(using: &generator) ?? nil,
            object: ["a", nil].randomElement(using: &generator) ?? nil)
          kept.filter(filter)
        } else {
          let record = refusal(UInt64(step), object: Bool.random(using: &generator) ? "a" : "b")
          all.append(record)
          kept.append(record)
        }
        let newest = all.suffix(capacity)
        #expect(kept.count == newest.count, "seed \(seed) round \(round)")
        let expected = newest.filter { filter.matches($0) }.map(\.sequence)
        #expect(kept.matching.compactMap { kept[$0]?.sequence } == expected, "seed \(seed) round \(round) step \(step)")
        #expect(kept[kept.first - 1] == nil && kept[kept.end] == nil)
      }
    }
  }
}
