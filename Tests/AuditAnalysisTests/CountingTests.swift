import Audit
import Instructions
import TestSupport
import Testing

@testable import AuditAnalysis

private func record(_ generator: inout SplitMix, sequence: UInt64) -> AuditRecord {
  let kinds: [AuditKind] = [.refusal, .grant, .drop, .use, .reload]
  var record = AuditRecord(
    kinds.randomElement(using: &generator) ?? .refusal,
    time: AuditTime(
      wall: 1_700_000_000_000_000_000 + UInt64.random(in: 0...90_000_000_000_000, using: &generator), boottime: 1),
    boot: Scene.boot)
  record.sequence = sequence
  if record.kind == .refusal { record.reason = [.limit, .operation, .busy].randomElement(using: &generator) }
  record.object = ["disk", "web", nil].randomElement(using: &generator) ?? nil
  record.application = ["shop", nil].randomElement(using: &generator) ?? nil
  record.uid = [0, 33, nil].randomElement(using: &generator) ?? nil
  record.pid = UInt32.random(in: 1...4, using: &generator)
  record.executablePath = ["/bin/a", "/usr/bin/a", "/bin/b", nil].randomElement(using: &generator) ?? nil
  record.path = OperationPath.allCases.randomElement(using: &generator)
  record.operation = [Opcode.read, .write, nil].randomElement(using: &generator) ?? nil
  return record
}

private func filter(_ generator: inout SplitMix) -> AuditFilter {
  func maybe<Value>(_ values: [Value]) -> Value? {
    Int.random(in: 0..<4, using: &generator) == 0 ? values.randomElement(using: &generator) : nil
  }
  let start: UInt64 = 1_700_000_000_000_000_000
  return AuditFilter(
    kind: maybe([.refusal, .grant]), verdict: maybe(AuditVerdict.allCases), reason: maybe([.limit, .busy]),
    object: maybe(["disk", "a \"b\\ c", "x y", ""]), application: maybe(["shop"]), pid: maybe([1, 2]), uid: maybe([33]),
    executable: maybe(["a", "/bin/a", "b"]), path: maybe(OperationPath.allCases), operation: maybe([.read]),
    since: maybe([start, start + 1_000_000_000]), until: maybe([start + 40_000_000_000_000]))
}

/// The documented meaning, condition by condition.
private func matches(_ record: AuditRecord, _ filter: AuditFilter, without skipped: AuditFilter.Conditions? = nil)
  -> Bool
{
  func holds(_ condition: AuditFilter.Conditions, _ test: @autoclosure () -> Bool?) -> Bool {
    condition == skipped || test() ?? true
  }
  let program = record.executablePath.map { String(decoding: $0.bytes, as: UTF8.self) }
  return holds(.kind, filter.kind.map { $0 == record.kind })
    && holds(.verdict, filter.verdict.map { $0 == record.kind.verdict })
    && holds(.reason, filter.reason.map { $0 == record.reason })
    && holds(.object, filter.object.map { $0 == record.object })
    && holds(.application, filter.application.map { $0 == record.application })
    && holds(.pid, filter.pid.map { $0 == record.pid }) && holds(.uid, filter.uid.map { $0 == record.uid })
    && holds(.path, filter.path.map { $0 == record.path })
    && holds(.operation, filter.operation.map { $0 == record.operation })
    && holds(.since, filter.since.map { record.time.wall >= $0 })
    && holds(.until, filter.until.map { record.time.wall < $0 })
    && holds(
      .executable,
      filter.executable.map { wanted in
        let name = String(decoding: wanted.bytes, as: UTF8.self)
        return name.contains("/") ? program == name : program?.hasSuffix("/" + name) ?? false
      })
}

@Suite struct CountingTests {
  @Test func `a filter takes what its conditions say, and its diagnosis counts what each takes away`() {
    var generator = SplitMix.seeded()
    let seed = generator.state
    for round in 0..<200 {
      let filter = filter(&generator)
      let records = (0..<50).map { record(&generator, sequence: UInt64($0)) }
      var diagnosis = FilterDiagnosis(filter)
      for record in records {
        #expect(diagnosis.take(record) == matches(record, filter), "seed \(seed) round \(round)")
      }
      let matching = records.count { matches($0, filter) }
      #expect(diagnosis.matched == matching && diagnosis.looked == 50)
      for term in filter.terms {
        let without = records.count { matches($0, filter, without: term.condition) }
        #expect(diagnosis.gain(without: term.condition) == without - matching, "seed \(seed) round \(round) \(term)")
      }
      #expect(diagnosis.explanation { $0.key }.isEmpty == (matching > 0))
    }
  }

  @Test func `a filter reads its own text`() throws {
    var generator = SplitMix.seeded()
    let seed = generator.state
    for _ in 0..<500 {
      let filter = filter(&generator)
      let read = try AuditFilter(parsing: filter.text) { text in
        filter.since.flatMap { AuditTime(wall: $0, boottime: 0).text == text ? $0 : nil }
          ?? filter.until.flatMap { AuditTime(wall: $0, boottime: 0).text == text ? $0 : nil }
      }
      #expect(read == filter, "seed \(seed): \(filter.text)")
    }
  }

  @Test(arguments: [
    "reson:limit", "reason:none", "reason", "object:\"open", "pid:x", "kind:", ":x", "object:\"a\\",
  ]) func `a text that is no filter is refused, with what was expected`(text: String) {
    #expect(throws: FilterMistake.self) { try AuditFilter(parsing: text) { _ in nil } }
  }

  @Test func `groups have the count, first and last that a naive count gives`() {
    var generator = SplitMix.seeded()
    let seed = generator.state
    for keys in [[StatisticsKey.reason], [.object, .uid], StatisticsKey.allCases] {
      var statistics = Statistics(keys: keys)
      let records = (0..<400).map { record(&generator, sequence: UInt64($0)) }
      for record in records { statistics.take(record) }
      let groups = statistics.top()
      #expect(groups.map(\.count).reduce(0, +) == 400, "seed \(seed)")
      #expect(zip(groups, groups.dropFirst()).allSatisfy { $0.count >= $1.count })
      #expect(Set(groups.map(\.values)).count == groups.count)
      for group in groups {
        let same = records.filter { record in keys.map { $0.value(of: record) } == group.values }
        #expect(group.count == UInt64(same.count), "seed \(seed)")
        #expect(group.first == same.map(\.time.wall).min() && group.last == same.map(\.time.wall).max())
      }
      #expect(statistics.top(3) == Array(groups.prefix(3)))
    }
  }

  @Test func `records that were not kept are counted beside those that were`() {
    var statistics = Statistics(keys: [.kind])
    var gap = AuditRecord(.gap, time: AuditTime(wall: 1, boottime: 1), boot: Scene.boot)
    gap.gap = Gap(first: 10, last: 109, counts: [Gap.Count(reason: .quota, count: 100)])
    statistics.take(gap)
    #expect(statistics.notKept == 100 && statistics.records == 1)
    // Lost in the kernel, before they had numbers.
    gap.gap = Gap(first: 110, last: 110, counts: [Gap.Count(reason: .revoked, count: 7)])
    statistics.take(gap)
    #expect(statistics.notKept == 107 && statistics.records == 2)
    // Made so that the sum begins again at nothing.
    gap.gap = Gap(first: 111, last: 111, counts: [Gap.Count(reason: .quota, count: .max - 106)])
    statistics.take(gap)
    #expect(statistics.notKept == .max)
  }

  @Test func `a histogram has every record in the bar of its time, in any order, within its width`() {
    var generator = SplitMix.seeded()
    let seed = generator.state
    for round in 0..<100 {
      let width = Int.random(in: 2...40, using: &generator)
      var histogram = Histogram(width: width, span: 1000)
      let base = UInt64.random(in: 0...1 << 50, using: &generator)
      let spread = UInt64(1) << UInt64.random(in: 0...40, using: &generator)
      let times = (0..<200).map { _ in base + UInt64.random(in: 0...spread, using: &generator) }
      for time in times { histogram.take(time) }
      let bars = histogram.bars
      #expect(bars.count <= width, "seed \(seed) round \(round)")
      #expect((histogram.span / 1000).nonzeroBitCount == 1 && histogram.span.isMultiple(of: 1000))
      for (start, count) in bars {
        #expect(start.isMultiple(of: histogram.span))
        let inside = times.count { $0 >= start && $0 - start < histogram.span }
        #expect(count == UInt64(inside), "seed \(seed) round \(round)")
      }
      #expect(bars.map(\.count).reduce(0, +) == 200)
    }
  }

  @Test func `a histogram holds any times that a record can have, in any order`() {
    var generator = SplitMix.seeded()
    let seed = generator.state
    let ends: [UInt64] = [0, 1, 1 << 62, 1 << 63, .max - 1, .max]
    for round in 0..<200 {
      var histogram = Histogram(width: Int.random(in: 2...40, using: &generator))
      let times = (0..<20).map { _ in ends.randomElement(using: &generator) ?? 0 }
      for time in times { histogram.take(time) }
      for (start, count) in histogram.bars {
        let inside = times.count { $0 >= start && $0 - start < histogram.span }
        #expect(count == UInt64(inside), "seed \(seed) round \(round)")
      }
      #expect(histogram.bars.map(\.count).reduce(0, +) == 20)
    }
  }

  @Test func `bars are drawn to scale, and none with records is empty`() {
    var histogram = Histogram(width: 4, span: 10)
    histogram.take(0, count: 1000)
    histogram.take(10, count: 500)
    histogram.take(20, count: 1)
    histogram.take(35, count: 250)
    #expect(histogram.lines(height: 2) == ["█   ", "██▁▄"])
    #expect(histogram.lines(height: 1) == ["█▄▁▂"])
    #expect(Histogram(width: 4).lines(height: 2) == [])
    #expect(Histogram(width: 2, span: 60_000_000_000).spanText == "1 min")
    #expect(Histogram(width: 2, span: 64_000_000_000).spanText == "64 s")
  }

  @Test func `a diff turns the old lines into the new ones`() {
    var generator = SplitMix.seeded()
    let seed = generator.state
    for round in 0..<300 {
      func text(_ generator: inout SplitMix, from lines: [String]) -> String {
        let end = Bool.random(using: &generator) ? "\n" : ""
        return lines.isEmpty ? "" : lines.joined(separator: "\n") + end
      }
      let old = (0..<Int.random(in: 0...30, using: &generator)).map { _ in
        ["a", "b", "c", ""].randomElement(using: &generator) ?? ""
      }
      var new = old
      for _ in 0..<Int.random(in: 0...4, using: &generator) {
        if Bool.random(using: &generator) || new.isEmpty {
          new.insert("x", at: Int.random(in: 0...new.count, using: &generator))
        } else {
          new.remove(at: Int.random(in: 0..<new.count, using: &generator))
        }
      }
      let (before, after) = (text(&generator, from: old), text(&generator, from: new))
      let diff = UnifiedDiff.text("f", Array(before.utf8), Array(after.utf8))
      #expect(diff.isEmpty == (before == after))
      #expect(
        diff.isEmpty || applied(diff.lines.dropFirst(2), to: before) == after,
        "seed \(seed) round \(round): \(before.debugDescription) \(after.debugDescription)\n\(diff)")
    }
  }
}
