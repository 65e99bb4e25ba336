import TestSupport
import Testing

@testable import Analysis

/// Folding changes against doing them one after the other.
@Suite struct EffectTests {
  @Test func `the net effect of a run is what its changes come to one by one`() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var generator = SplitMix(state: seed)
    for _ in 0..<500 {
      var naive: [String: [Cell]] = [:]
      for _ in 0..<Int.random(in: 0...5, using: &generator) {
        naive["\(Int.random(in: 0...9, using: &generator))"] = [.text("held"), .integer(-1)]
      }
      let before = naive
      var changes: [KeyedChange] = []
      for number in 0..<Int.random(in: 0...30, using: &generator) {
        let key = "\(Int.random(in: 0...9, using: &generator))"
        if Bool.random(using: &generator) {
          changes.append(.put(KeyedRow(key, [.text("held"), .integer(Int64(number))])))
          naive[key] = [.text("held"), .integer(Int64(number))]
        } else {
          changes.append(.remove(key: key))
          naive[key] = nil
        }
      }
      let effect = try #require(NetEffect(changes))
      var applied = before
      for key in effect.keys { applied[key] = nil }
      for row in effect.rows { applied[row.key] = row.cells }
      #expect(applied == naive, "seed \(seed)")
      var snapshot = Snapshot(before)
      snapshot.apply(changes)
      #expect(snapshot.rows == naive, "seed \(seed)")
    }
  }

  @Test func `a run with a change that concerns every row has no net effect by keys`() {
    #expect(NetEffect([.clear]) == nil)
    #expect(NetEffect([.put(KeyedRow("a", [.null])), .doubt]) == nil)
  }

  @Test func `doubt changes the state of every row and nothing else`() {
    var snapshot = Snapshot(["a": [.text("held"), .integer(1)], "b": [.text("begun"), .integer(2)]])
    snapshot.apply([.doubt])
    #expect(snapshot.rows == ["a": [.text("uncertain"), .integer(1)], "b": [.text("uncertain"), .integer(2)]])
  }

  @Test func `sums are the same in whatever order and portions they are added`() {
    let seed = UInt64.random(in: 0...UInt64.max)
    var generator = SplitMix(state: seed)
    let changes = (0..<300).map { _ in
      let time = Int64.random(in: 0...100, using: &generator)
      return CounterChange(
        CounterKey(
          hour: Int64.random(in: 0...2, using: &generator), kind: "refusal", reason: "", object: "", application: "",
          uid: Int64.random(in: 0...2, using: &generator)),
        Tally(count: Int64.random(in: 1...5, using: &generator), first: time, last: time))
    }
    var one = CounterSums()
    one.add(changes)
    var other = CounterSums()
    for change in changes.shuffled(using: &generator) { other.add([change]) }
    #expect(one == other, "seed \(seed)")
    #expect(
      one.tallies.values.reduce(0) { $0 + $1.count } == changes.reduce(0) { $0 + $1.tally.count }, "seed \(seed)")
  }
}
