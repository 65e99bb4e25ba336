import Audit
import Authority
import Instructions
import Policy

extension Suggester {
  /// Where no change of the policy is the answer: what to do, and the commands for it.
  func advise(_ suggestion: inout Suggestion, _ reason: Reason, _ history: History) {
    let record = history.record
    suggestion.remarks.append(Refusal(reason, detail: record.detail ?? .none).hint)
    let object = name(record.object, among: evaluator.policy.objects.map(\.name))
    let application = name(record.application, among: evaluator.policy.applications.map(\.name))
    switch reason {
    case .undecidable: suggestion.commands = ["postern status", "postern doctor"]
    case .stale, .expired: if let object { suggestion.commands = ["postern object show \(object)"] }
    case .notAssociated:
      if let object {
        // Whether it would be given an association, and who has one.
        if let operation = record.operation {
          let user = record.uid.map { " --user \($0)" } ?? ""
          suggestion.commands.append("postern can-i \(operation.name) \(object)\(user)")
        }
        suggestion.commands.append("postern association list --object \(object)")
      }
      suggestion.remarks.append("libpostern: postern_revalidate(), or postern_open() after an exec")
    case .revoked:
      if let object, let application {
        let wanted = record.circumstances?.asked ?? record.operations ?? []
        let granted = evaluator.policy.grants.first { $0.application == application && $0.object == object }
        let operations = wanted.isEmpty ? granted?.operations ?? OperationSet(.read) : wanted
        suggestion.commands.append(
          "postern grant --application \(application) --object \(object) --operations "
            + operations.names.joined(separator: ","))
      }
      suggestion.commands.append("postern reload")
      suggestion.remarks.append("a grant lifts the revoke for this application and object, a reload lifts every one")
    case .busy:
      if let object { suggestion.commands.append("postern association list --object \(object)") }
      for holder in history.holders {
        guard let association = holder.association else { continue }
        suggestion.commands.append("postern revoke --association \(association.rawValue)")
      }
    case .quota:
      if let application { suggestion.commands.append("postern association list --application \(application)") }
    case .refused: if record.detail == .pathUnavailable { suggestion.commands = ["postern doctor"] }
    case .noSuchObject, .operation, .limit: break
    }
  }

  /// A name that the policy has, and that is therefore safe in a command line; anything else was chosen by the asker.
  private func name(_ found: ByteString?, among known: [String]) -> String? {
    guard let found else { return nil }
    return known.first { $0.utf8.elementsEqual(found.bytes) }
  }

  /// Whom a proposal reaches.
  func breadth(of key: GrantKey, in policy: PolicyModel) -> [String] {
    guard let application = policy.applications.first(where: { $0.name == key.application }) else { return [] }
    var keys: [String] = []
    if let user = application.user { keys.append("user \(user.name)") }
    if let group = application.group { keys.append("group \(group.name)") }
    if let executable = application.executable { keys.append("program \(executable)") }
    if let cgroup = application.cgroup { keys.append("cgroup \(cgroup)") }
    let whom = "every process of application \(key.application) (\(keys.joined(separator: ", "))) may do so"
    return [whom.escapedForPeople]
  }
}
