import Audit
import Authority
import Linux

extension Broker {
  /// Starts and ends feeds, so that they are those that the policy names.
  ///
  /// - Parameter sequence: new ones get what comes after it. At a reload that is what is yet to be submitted: what came
  ///   before was not redacted for them.
  func feedSinks(after sequence: UInt64) {
    var wanted = Set(policy.audit.sinks.map { SinkTarget.records($0) })
    if let directory = policy.audit.checkpoints { wanted.insert(.checkpoints(directory: directory)) }
    for (target, feed) in feeds where !wanted.contains(target) {
      feeds[target] = nil
      // Its thread may be waiting for a slow disk; nobody waits for it.
      feed.retire()
    }
    for target in wanted where feeds[target] == nil {
      do throws(SystemError) {
        feeds[target] = try SinkFeed(
          target, directory: configuration.stateDirectory, source: journal.source, after: sequence,
          endpoints: SinkEndpoints(journald: StandardPath.journald, syslog: StandardPath.syslog))
      } catch { report(["posternd: the audit sink \(target.name) cannot be started: \(error)"]) }
    }
    wakeSinks()
  }

  /// Tells the feeds how far the journal is.
  func wakeSinks() {
    let counters = journal.counters
    let checkpoint = journal.checkpoint
    for feed in feeds.values { feed.wake(counters, checkpoint: checkpoint) }
  }

  func stopSinks() {
    wakeSinks()
    for feed in feeds.values { feed.stop() }
  }

  /// For `status`: how far each sink is. Several of a kind are numbered.
  var sinkRows: [(String, String)] {
    var counts: [String: Int] = [:]
    return feeds.values.sorted { $0.target.name < $1.target.name }.map { feed in
      let counters = feed.counters
      let (kind, path) = feed.target.parts
      var text = "delivered \(counters.delivered)" + (path.map { " to \($0)" } ?? "")
      if counters.lost > 0 { text += ", \(counters.lost) were too long" }
      if counters.missed > 0 { text += ", \(counters.missed) were removed or damaged before" }
      if let failing = counters.failing { text += ", failing with \(SystemError.symbol(of: failing))" }
      counts[kind, default: 0] += 1
      let count = counts[kind] ?? 1
      return ("audit-sink-\(kind)" + (count > 1 ? "-\(count)" : ""), text)
    }
  }
}

extension SinkTarget {
  /// Its kind as a word of a key, and where its file or directory is.
  fileprivate var parts: (kind: String, path: String?) {
    switch self {
    case .records(.journald): ("journald", nil)
    case .records(.syslog): ("syslog", nil)
    case .records(.file(let path)): ("file", path)
    case .checkpoints(let directory): ("checkpoints", directory)
    }
  }
}
