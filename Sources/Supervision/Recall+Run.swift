import Entity
import Instructions
import Linux
import Synchronization

extension Recall {
  /// What has come out so far, by target.
  private final class Progress: Sendable {
    private struct State {
      var outcomes: [Outcome?]
      /// Boottime nanoseconds; nil: nobody has looked at it yet.
      var begun: [UInt64?]
      var running = 0
      /// Nobody looks at the outcomes any more.
      var isOver = false
    }

    private let state: Mutex<State>
    private let targets: [Target]
    private let late: @Sendable (Target, Outcome) -> Void

    init(_ targets: [Target], late: @escaping @Sendable (Target, Outcome) -> Void) {
      state = Mutex(
        State(
          outcomes: Array(repeating: nil, count: targets.count), begun: Array(repeating: nil, count: targets.count)))
      self.targets = targets
      self.late = late
    }

    var outcomes: [Outcome?] { state.withLock { $0.outcomes } }
    var begun: [UInt64?] { state.withLock { $0.begun } }
    var running: Int { state.withLock { $0.running } }

    func begin() { state.withLock { $0.running += 1 } }
    func end() { state.withLock { $0.running -= 1 } }

    func begun(_ targets: [Int], at now: UInt64) {
      state.withLock { state in
        for target in targets { state.begun[target] = now }
      }
    }

    func put(_ outcome: Outcome, of target: Int) {
      let isOver = state.withLock { state in
        state.outcomes[target] = outcome
        return state.isOver
      }
      if isOver { late(targets[target], outcome) }
    }

    /// Those that have come out so far; the others will be late.
    func close() -> [Outcome?] {
      state.withLock { state in
        state.isOver = true
        return state.outcomes
      }
    }
  }

  /// Work that one thread does for several targets, by their indices.
  private struct Work: Sendable {
    var targets: [Int]
    var holder: ProcessResource?
  }

  /// Until when a process that is to be killed where it is stuck is waited for: half of the time that was left when its
  /// thread came to look at it, which on a busy machine is not when the recall began.
  ///
  /// - Returns: nil where that is too short to call it stuck.
  private func patience(begun: UInt64) -> UInt64? {
    begun <= lastChance ? begun + (deadline - min(begun, deadline)) / 2 : nil
  }

  /// Nothing has come out of it, and it has had its time; or what has come out is no matter of time.
  private func isStuck(_ outcome: Outcome?, begun: UInt64?, now: UInt64) -> Bool {
    switch outcome {
    case .recalled: return false
    case .cannotRecall: return true
    case .running, nil:
      guard let begun, let patience = patience(begun: begun) else { return false }
      return outcome != nil || now >= patience
    }
  }

  /// Each process has a thread of its own, since one can hold up whoever looks at it (proc(5) waits for its memory map,
  /// which it can keep to itself); at the deadline nobody is waited for any more.
  func run(late: @escaping @Sendable (Target, Outcome) -> Void) -> [Outcome] {
    let progress = Progress(targets, late: late)
    var waiting = work()
    while true {
      while let next = waiting.last, progress.running < threads {
        waiting.removeLast()
        begin(next, progress)
      }
      let now = Clock.boottime()
      let isOver = now >= end
      var outcomes = isOver ? progress.close() : progress.outcomes
      let begun = progress.begun
      var ended: [ProcessResource: Bool] = [:]
      for (index, target) in targets.enumerated() where target.path == .direct && target.killsStuck {
        guard isStuck(outcomes[index], begun: begun[index], now: now) else { continue }
        ended[target.holder] = ended[target.holder] ?? Self.kill(target.holder)
      }
      // With a process all that it had has ended, also what it would not have been killed for.
      for (index, target) in targets.enumerated() where target.path == .direct && ended[target.holder] == true {
        outcomes[index] = .recalled
      }
      let isSettled = zip(targets, outcomes).allSatisfy { target, outcome in
        outcome != nil && (outcome == .recalled || target.path != .direct || !target.killsStuck)
      }
      if isSettled || isOver { return outcomes.map { $0 ?? .running(1) } }
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
        if let holder = work.holder {
          let begun = Clock.boottime()
          progress.begun(work.targets, at: begun)
          let end = chosen.contains { $0.killsStuck } ? patience(begun: begun) ?? deadline : deadline
          for (target, outcome) in zip(work.targets, outcomes(ofDirect: chosen, of: holder, until: end)) {
            progress.put(outcome, of: target)
          }
        } else {
          for target in work.targets { progress.put(outcome(ofHandedOver: targets[target]), of: target) }
        }
        progress.end()
      }
    } catch {
      for target in work.targets { progress.put(.cannotRecall("no thread to look for it: \(error)"), of: target) }
      progress.end()
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
