import Audit
import AuditAnalysis
import Authority
import Broker
import Linux
import Policy

/// A record retold as far as the policy of now can be read.
struct Retelling {
  let explanation: Explanation
  private let policy: PolicySource?
  private let evaluator: Evaluator?
  /// Why the policy could not be asked.
  private let obstacle: CommandFailure?

  /// - Parameter policy: its path, which then has to be readable; nil: the running broker's.
  init(_ id: UInt64, _ records: RecordSource, policy path: String?) throws(CommandFailure) {
    let history = try records.demand(id)
    var found: (PolicySource, Evaluator)?
    var obstacle: CommandFailure?
    do {
      let source = try PolicySource(path, records.session, records.broker)
      found = (source, try source.evaluator())
    } catch {
      // A policy that was named has to be read; the broker's own may be none of our business.
      if path != nil { throw error }
      obstacle = error
    }
    policy = found?.0
    evaluator = found?.1
    self.obstacle = obstacle
    explanation = Explanation(history, evaluator: found?.1)
  }

  var parts: [Explanation.Part] {
    let unknown = obstacle.map { Explanation.Part(title: "now", lines: ["unknown: " + $0.text]) }
    return explanation.parts + [unknown].compactMap { $0 }
  }

  /// What would have allowed it, and the policy's change as lines of a diff; nil: nothing was refused, or the policy
  /// cannot be read.
  func suggestion() -> (suggestion: Suggestion, diff: [String])? {
    guard explanation.record.kind == .refusal, let policy, let evaluator else { return nil }
    var suggester = policy.suggester(evaluator)
    let suggestion = suggester.suggest(for: explanation.history)
    return (suggestion, suggester.diff.shownLines)
  }
}

extension PolicySource {
  func suggester(_ evaluator: Evaluator) -> Suggester {
    Suggester(
      evaluator, files: files, directory: SystemAccounts(),
      userName: { ((try? Accounts().user(id: $0)) ?? nil)?.name })
  }
}

extension String {
  /// A diff's lines, safe for a terminal: a policy's are its keeper's, but may hold anything, and the paths in new ones
  /// are the asker's.
  var shownLines: [String] {
    split(separator: "\n", omittingEmptySubsequences: false).map { ByteString(String($0)).shownLine }
  }
}

extension ByteString {
  /// As it is, unless something in it could act on a terminal.
  fileprivate var shownLine: String {
    let text = String(decoding: bytes, as: UTF8.self)
    // A backslash alone does nothing, and patch(1) needs it as it is; so does a tab.
    let harmless = text.unicodeScalars.filter { $0 != "\\" && $0 != "\t" && $0 != "\r" }
    let rest = String(String.UnicodeScalarView(harmless))
    return ByteString(rest).escaped == rest ? text : escaped
  }
}
