import Entity
import Instructions
import Linux
import Synchronization

extension Recall {
  /// What has come out so far, by target. One that comes later than somebody waits for it harms nothing.
  private final class Progress: Sendable {
    private let state: Mutex<(outcomes: [Outcome?], running: Int)>

    init(_ count: Int) { state = Mutex((Array(repeating: nil, count: count), 0)) }

    var outcomes: [Outcome?] { state.withLock { $0.outcomes } }
    var running: Int { state.withLock { $0.running } }

    func begin() { state.withLock { $0.running += 1 } }

    func end(_ targets: [Int], _ outcomes: [Outcome]) {
      state.withLock { state in
        state.running -= 1
        for (target, outcome) in zip(targets, outcomes) { state.outcomes[target] = outcome }
      }
    }
  }

  /// Work that one thread does for several targets, by their indices.
  private struct Work: Sendable {
    var targets: [Int]
    var holder: ProcessResource?
  }

  /// More threads wait for others to end. It is more than several applications have processes, should all of those be stuck.
  private static let threads = 512

  /// Each process has a thread of its own, since one can hold up whoever looks at it (proc(5) waits for its memory map,
  /// which it can keep to itself); at the deadline nobody is waited for any more.
  func run(until end: UInt64) -> [Outcome] {
    let progress = Progress(targets.count)
    var waiting = work()
    while true {
      while let next = waiting.last, progress.running < Self.threads {
        waiting.removeLast()
        begin(next, progress)
      }
      var outcomes = progress.outcomes
      let now = Clock.boottime()
      var ended: [ProcessResource: Bool] = [:]
      for (index, target) in targets.enumerated() where target.path == .direct && target.killsStuck {
        guard outcomes[index] != .recalled, outcomes[index] != nil || now >= patience else { continue }
        let hasEnded = ended[target.holder] ?? Self.kill(target.holder)
        ended[target.holder] = hasEnded
        if hasEnded { outcomes[index] = .recalled }
      }
      let isSettled = zip(targets, outcomes).allSatisfy { target, outcome in
        outcome != nil && (outcome == .recalled || target.path != .direct || !target.killsStuck)
      }
      if isSettled || now >= end { return outcomes.map { $0 ?? .running(1) } }
      Clock.sleep(nanoseconds: 200_000)
    }
  }

  /// The last one is begun first.
  private func work() -> [Work] {
    var holders: [ProcessResource: [Int]] = [:]
    for (index, target) in targets.enumerated() where target.path == .direct {
      holders[target.holder, default: []].append(index)
    }
    let handedOver = targets.indices.filter { targets[$0].path != .direct }
    return holders.map { Work(targets: $0.value, holder: $0.key) }
      + (handedOver.isEmpty ? [] : [Work(targets: handedOver, holder: nil)])
  }

  private func begin(_ work: Work, _ progress: Progress) {
    let chosen = work.targets.map { targets[$0] }
    progress.begin()
    do throws(SystemError) {
      _ = try Thread("recall") {
        let found =
          work.holder.map { outcomes(ofDirect: chosen, of: $0) }
          ?? chosen.map { outcome(ofHandedOver: $0) }
        progress.end(work.targets, found)
      }
    } catch {
      progress.end(work.targets, chosen.map { _ in .cannotRecall("no thread to look for it: \(error)") })
    }
  }

  /// - Returns: whether it has ended by now.
  private static func kill(_ process: ProcessResource) -> Bool {
    let pid = Int32(bitPattern: process.tgid)
    do throws(SystemError) {
      let handle = try ProcessPin.handle(of: pid)
      // The number is another process's by now.
      guard try ProcessPin.startTime(of: pid) == process.start else { return true }
      return try ProcessDescriptors.kill(handle, until: 0)
    } catch { return error.errno == ErrorCode.noSuchProcess || error.errno == ErrorCode.noSuchEntry }
  }
}
