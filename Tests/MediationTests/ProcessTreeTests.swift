import Instructions
import Mediation
import Testing

/// The rules said as plainly as possible: every process that ever was stays in a list.
private struct NaiveTree {
  struct Life {
    var pid: Int32
    var parent: Int?
    var held: [ObjectID: ProcessResource] = [:]
    /// What ancestors held when it was forked.
    var inherited: [ObjectID: ProcessResource] = [:]
    var execs = 0
    var parentExecs = 0
    var isAlive = true
    var revoked: [ProcessResource] = []
  }

  var lives: [Life] = []

  func living(_ pid: Int32) -> Int? { lives.lastIndex { $0.pid == pid && $0.isAlive } }

  mutating func watch(_ pid: Int32) -> Int {
    if let known = living(pid) { return known }
    lives.append(Life(pid: pid, parent: nil))
    return lives.count - 1
  }

  mutating func fork(_ parent: Int32, _ child: Int32) {
    if let old = living(child) { lives[old].isAlive = false }
    guard let index = living(parent) else { return }
    let above = lives[index]
    lives.append(
      Life(
        pid: child, parent: index, inherited: above.inherited.merging(above.held) { _, own in own },
        parentExecs: above.execs, revoked: above.revoked))
  }

  mutating func exec(_ pid: Int32) {
    guard let index = living(pid) else { return }
    lives[index].execs += 1
    lives[index].held = [:]
    lives[index].inherited = [:]
  }

  /// Nothing is known of what either was when the one forked the other.
  mutating func find(_ child: Int32, below parent: Int32) {
    guard let above = living(parent) else { return }
    let index = watch(child)
    lives[index].parent = above
    lives[index].parentExecs = -1
    for named in lives[above].revoked where !lives[index].revoked.contains(named) { lives[index].revoked.append(named) }
  }

  func holder(_ pid: Int32, _ object: ObjectID) -> ProcessResource? {
    guard let index = living(pid), lives[index].execs == 0 else { return nil }
    if let inherited = lives[index].inherited[object] { return inherited }
    var life = lives[index]
    while let parent = life.parent {
      let above = lives[parent]
      // Held since the fork, by the program image that forked.
      if life.parentExecs == above.execs, let held = above.held[object] { return held }
      // An exec between an ancestor's birth and the fork below it: a stranger's children.
      if life.parentExecs != 0 { return nil }
      life = above
    }
    return nil
  }

  func descendants(_ pid: Int32) -> Set<Int32> {
    guard let start = living(pid) else { return [pid] }
    var found: Set<Int32> = []
    for index in lives.indices where lives[index].isAlive {
      var next: Int? = index
      while let here = next {
        if here == start { found.insert(lives[index].pid) }
        next = lives[here].parent
      }
    }
    return found
  }
}

@Suite struct ProcessTreeTests {
  @Test func `random forks, execs and exits give the holders and descendants of a naive model`() {
    let seed = UInt64.random(in: 0...UInt64.max)
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<40 {
      var tree = ProcessTree()
      var naive = NaiveTree()
      for step in 0..<300 {
        let pid = Int32.random(in: 1...12, using: &generator)
        let object = ObjectID(rawValue: .random(in: 1...2, using: &generator))
        switch Int.random(in: 0..<10, using: &generator) {
        case 0, 1:
          let process = ProcessResource(tgid: UInt32(pid), start: UInt64(step))
          tree.associated(process, object: object)
          naive.lives[naive.watch(pid)].held[object] = process
        case 2:
          tree.dropped(pid, object: object)
          if let index = naive.living(pid) { naive.lives[index].held[object] = nil }
        case 3:
          tree.execed(pid)
          naive.exec(pid)
        case 4, 5:
          tree.exited(pid)
          if let index = naive.living(pid) { naive.lives[index].isAlive = false }
        case 6:
          let process = ProcessResource(tgid: UInt32(pid), start: UInt64(step))
          tree.revoked(process)
          naive.lives[naive.watch(pid)].revoked.append(process)
        case 7:
          let child = Int32.random(in: 1...12, using: &generator)
          guard child != pid, !naive.descendants(child).contains(pid),
            naive.living(child).map({ naive.lives[$0].parent == nil }) ?? true
          else { continue }
          tree.found(child, below: pid)
          naive.find(child, below: pid)
        default:
          let child = Int32.random(in: 1...12, using: &generator)
          guard child != pid else { continue }
          tree.forked(parent: pid, child: child)
          naive.fork(pid, child)
        }
        for pid in Int32(1)...12 {
          for object in [ObjectID(rawValue: 1), ObjectID(rawValue: 2)] {
            #expect(tree.holder(aboveOf: pid, object: object) == naive.holder(pid, object), "seed \(seed)")
          }
          #expect(Set(tree.descendants(of: pid)) == naive.descendants(pid), "seed \(seed)")
          let named = naive.living(pid).map { naive.lives[$0].revoked } ?? []
          #expect(tree.revokedAncestors(of: pid) == named, "seed \(seed)")
        }
        #expect(tree.count == naive.lives.count(where: \.isAlive), "only the living are kept, seed \(seed)")
      }
    }
  }

  @Test func `a process that forks and ends at once, again and again, takes no more room`() {
    var tree = ProcessTree(capacity: 8)
    let first = ProcessResource(tgid: 1, start: 1)
    tree.associated(first, object: ObjectID(rawValue: 1))
    for pid in Int32(1)..<100_000 {
      tree.forked(parent: pid, child: pid + 1)
      tree.exited(pid)
    }
    #expect(tree.count == 1)
    #expect(tree.holder(aboveOf: 100_000, object: ObjectID(rawValue: 1)) == first)
  }

  @Test func `numbers that lead in a circle are no descent`() {
    var tree = ProcessTree()
    tree.associated(ProcessResource(tgid: 1, start: 1), object: ObjectID(rawValue: 1))
    tree.found(2, below: 1)
    tree.found(3, below: 2)
    tree.found(1, below: 3)
    tree.found(4, below: 4)
    #expect(Set(tree.descendants(of: 1)) == [1, 2, 3])
    #expect(tree.descendants(of: 3) == [3])
    #expect(tree.holder(aboveOf: 2, object: ObjectID(rawValue: 1)) == nil)
  }

  @Test func `who descends from a revoked process is named with it when all between have ended`() {
    var tree = ProcessTree()
    let named = ProcessResource(tgid: 1, start: 1)
    tree.revoked(named)
    tree.forked(parent: 1, child: 2)
    tree.exited(1)
    tree.forked(parent: 2, child: 3)
    tree.exited(2)
    tree.execed(3)
    #expect(tree.revokedAncestors(of: 3) == [named])
    #expect(tree.takeEndedLines() == [])
    tree.exited(3)
    #expect(tree.takeEndedLines() == [named])
  }

  @Test func `a process that is named once more when it has executed ends with the last whom either names`() {
    var tree = ProcessTree()
    tree.revoked(ProcessResource(tgid: 1, start: 1))
    tree.forked(parent: 1, child: 2)
    tree.execed(1)
    tree.revoked(ProcessResource(tgid: 1, start: 1, execEpoch: 1))
    tree.exited(1)
    #expect(tree.takeEndedLines() == [])
    tree.exited(2)
    #expect(tree.takeEndedLines() == [ProcessResource(tgid: 1, start: 1)])
  }
}

/// A seeded generator (SplitMix64), so that a failure can be had again.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}
