import Authority
import Entity
import Instructions
import Linux
import Mediation

/// A process that was there before this broker.
struct RunningProcess {
  var pid: Int32
  var parent: Int32
  /// Clock ticks since boot.
  var start: UInt64
  /// Holders of the path direct that it descends from, nearest first.
  var ancestors: [DirectKernel.Ancestor] = []
}

/// Who descends from whom, of processes that were forked before this broker looked. What the kernel's hooks noted at each
/// fork is exact and survives brokers and parents; proc(5) tells who a parent is now, and nothing of execs.
extension Broker {
  /// The holder of `object` that a process descends from, and when its line was forked off where the kernel noted it: by
  /// the broker's own account of forks, else by the kernel's.
  func holder(
    of object: ObjectID, above pid: Int32, _ pidfd: borrowing Descriptor
  ) -> (process: ProcessResource, forked: UInt64?)? {
    if let holder = tree.holder(aboveOf: pid, object: object) { return (holder, nil) }
    guard let direct, let ancestors = try? direct.kernel.ancestors(pidfd) else { return nil }
    for ancestor in ancestors {
      guard let process = direct.holder(named: ancestor.process),
        let record = entity.record(for: object, process: process), record.state != .dropped
      else { continue }
      return (process, ancestor.forked)
    }
    return nil
  }

  /// - Parameter direct: nil where no earlier broker's hooks have noted anything.
  func runningProcesses(_ direct: BPFEntity? = nil) -> [RunningProcess] {
    ((try? ProcessPin.running()) ?? []).map { pid, parent, start in
      var process = RunningProcess(pid: pid, parent: parent, start: start)
      guard let direct else { return process }
      do throws(SystemError) {
        process.ancestors = try direct.kernel.ancestors(try ProcessPin.handle(of: pid))
      } catch {
        // It has ended.
      }
      return process
    }
  }

  /// Lets the tree know who descends from the processes that it knows.
  func seedTree(_ running: [RunningProcess]) {
    let children = Dictionary(grouping: running, by: \.parent)
    let starts = Dictionary(running.map { ($0.pid, $0.start) }) { first, _ in first }
    var seen: Set<Int32> = []
    func seed(below root: Int32) {
      var waiting = [root]
      while let parent = waiting.popLast() {
        guard seen.insert(parent).inserted else { continue }
        for child in children[parent] ?? [] {
          tree.found(child.pid, below: parent)
          waiting.append(child.pid)
        }
      }
    }
    for process in running where tree.knows(process.pid) { seed(below: process.pid) }
    // Those whose parents have ended, the oldest first.
    for process in running.sorted(by: { $0.start < $1.start }) where !tree.knows(process.pid) {
      let above = process.ancestors.map { BPFEntity.unknown($0.process) }.first {
        let pid = Int32(bitPattern: $0.tgid)
        return starts[pid] == $0.start && tree.knows(pid)
      }
      guard let above else { continue }
      tree.found(process.pid, below: Int32(bitPattern: above.tgid))
      seed(below: process.pid)
    }
  }

  /// Of holders that have ended, whether an earlier broker had noted that or not: what they held proves the descent of whom
  /// they had forked, as long as one of those lives.
  ///
  /// - Returns: the records of the others.
  func restoreEvidence(
    _ found: [DirectRecord], _ running: [RunningProcess], _ direct: BPFEntity
  ) -> [DirectRecord] {
    var others: [DirectRecord] = []
    for (kernelName, records) in Dictionary(grouping: found, by: \.record.process) {
      let process = BPFEntity.unknown(kernelName)
      guard ProcessPin.hasEnded(Int32(bitPattern: process.tgid), start: process.start) else {
        others += records
        continue
      }
      let descendants = running.filter { $0.ancestors.contains { $0.process == kernelName } }.map(\.pid)
      restoreEvidence(records, of: process, descendants: Set(descendants), direct)
    }
    return others
  }

  private func restoreEvidence(
    _ found: [DirectRecord], of process: ProcessResource, descendants: Set<Int32>, _ direct: BPFEntity
  ) {
    // The table knows one program image of a process that has ended.
    let isKnown = direct.kernelName(of: process) != nil
    var isEvidence = false
    for found in found {
      guard !descendants.isEmpty, !isKnown, found.record.state == .live || found.record.state == .departed,
        case .granted(let object, let authorization) = succession(of: found)
      else {
        direct.forget(found)
        continue
      }
      if goOn(found, object, authorization, of: process, direct) != nil { isEvidence = true }
    }
    // What could not go on is told to nobody.
    direct.forgetTombstones(of: process.tgid, hasDescendants: false)
    guard isEvidence else { return }
    _ = entity.exit(process, keepEvidence: true)
    departedHolders.append(DepartedHolder(process: process, descendants: descendants))
    // Their forks and their ends are to be noticed.
    for pid in descendants { tree.watch(pid) }
  }
}
