import Audit
import Authority
import Instructions
import Policy

/// What would make a refused request succeed, and nothing else: a change of the policy, or what to do instead.
public struct Suggestion: Sendable, Hashable {
  public var record: AuditRecord
  /// What was asked for, and what the rule gives; escaped.
  public var observed = ""
  public var granted = ""
  /// The change, one clause a line; empty: no change of the policy helps, or none is needed.
  public var changes: [String] = []
  /// What becomes possible besides, as the policy's words cannot say it more narrowly.
  public var alsoAllows: [String] = []
  public var warnings: [String] = []
  /// What to do, or why nothing of the policy's helps.
  public var remarks: [String] = []
  /// Command lines, safe for a shell.
  public var commands: [String] = []

  public init(record: AuditRecord) { self.record = record }
}

/// Finds the smallest change of the policy files for each of several records, one after the other.
public struct Suggester {
  public private(set) var evaluator: Evaluator
  public private(set) var editor: PolicyEditor
  private let original: [PolicyFile]
  private let directory: any AccountDirectory
  private let userName: (UInt32) -> String?

  /// - Parameters:
  ///   - files: those that `evaluator.policy` was read from.
  ///   - userName: a uid's name; nil: the policy gets the number.
  public init(
    _ evaluator: Evaluator, files: [PolicyFile], directory: any AccountDirectory,
    userName: @escaping (UInt32) -> String?
  ) {
    self.evaluator = evaluator
    editor = PolicyEditor(files: files)
    original = files
    self.directory = directory
    self.userName = userName
  }

  /// All changes so far, as patch(1) takes them; bytes from the policy and from records are as the files have them.
  public var diff: String {
    zip(original, editor.files).map { UnifiedDiff.text($0.name, $0.bytes, $1.bytes) }.joined()
  }

  /// Suggests something for one record; what it changes is part of the policy for the next one.
  public mutating func suggest(for history: History) -> Suggestion {
    let record = history.record
    var suggestion = Suggestion(record: record)
    guard record.kind == .refusal, let reason = record.reason else {
      suggestion.remarks = ["nothing was refused"]
      return suggestion
    }
    let explanation = Explanation(history, evaluator: evaluator)
    suggestion.observed = explanation.what
    suggestion.granted = granted(record)
    let isOfPolicy = [.noSuchObject, .operation, .limit, .refused].contains(reason)
    guard isOfPolicy else {
      advise(&suggestion, reason, history)
      return suggestion
    }
    if explanation.replayed == .nowAllowed {
      suggestion.remarks = ["the policy allows it: the process asks, or opens the object, again"]
      return suggestion
    }
    guard !record.isTruncated else {
      // A rule for what is left of a name would be a rule for something else.
      suggestion.remarks = ["a text of the record was cut, so that it does not say what was asked"]
      return suggestion
    }
    switch proposals(for: record) {
    case .failure(let obstacle):
      suggestion.remarks = [obstacle.text]
      if reason == .refused { advise(&suggestion, reason, history) }
    case .success(let proposals): apply(proposals, to: &suggestion)
    }
    return suggestion
  }

  /// Takes the first proposal under which the judge, or the decision function, says yes.
  private mutating func apply(_ proposals: [Proposal], to suggestion: inout Suggestion) {
    var obstacle = "no change of the policy's words was found that allows exactly this"
    for proposal in proposals {
      var edited = editor
      do throws(PolicyEditFailure) { try edited.apply(proposal.edits) } catch {
        obstacle = error.text.escapedForPeople
        continue
      }
      switch PolicyReader.read(files: edited.files, directory: directory) {
      case .failure(let mistakes):
        if let first = mistakes.mistakes.first(where: { $0.severity == .error }) { obstacle = first.line }
      case .success(let read):
        let changed = evaluator.under(read.model)
        guard allows(changed, suggestion.record, proposal) else { continue }
        suggestion.changes = proposal.edits.map(\.text.escapedForPeople)
        suggestion.alsoAllows = proposal.alsoAllows + breadth(of: proposal.key, in: read.model)
        suggestion.warnings = sensitivity(of: proposal, in: read.model)
        if !evaluator.policy.difference(to: read.model).replaced.isEmpty {
          suggestion.remarks.append(
            "the object's definition changes: a reload ends what others have of it, and they open it again")
        } else if suggestion.record.operation != nil, suggestion.record.circumstances == nil {
          suggestion.remarks.append(
            "a reload ends the associations of the changed grant: the process opens the object again")
        }
        editor = edited
        evaluator = changed
        return
      }
    }
    suggestion.remarks.append(obstacle)
  }

  private func allows(_ evaluator: Evaluator, _ record: AuditRecord, _ proposal: Proposal) -> Bool {
    guard record.circumstances != nil else { return evaluator.reason(of: record) == .executed }
    guard case .authorized(let authorization)? = evaluator.examine(record)?.judgement else { return false }
    return authorization.operations.isSuperset(of: proposal.operations)
  }

  private func granted(_ record: AuditRecord) -> String {
    if record.reason == .limit { return record.grant?.escaped ?? "" }
    guard record.circumstances == nil else {
      let grants = evaluator.examine(record)?.grants.filter(\.isMatch) ?? []
      return grants.map { "\($0.application): \($0.operations.names.joined(separator: ", "))".escapedForPeople }
        .joined(separator: "; ")
    }
    return record.operations.map { $0.names.joined(separator: ", ") } ?? ""
  }

  private func proposals(for record: AuditRecord) -> Result<[Proposal], Obstacle> {
    let proposer = Proposer(evaluator: evaluator, record: record, userName: userName)
    return record.circumstances == nil ? proposer.forInstruction() : proposer.forDoor()
  }
}

/// Edits that might do.
struct Proposal {
  var edits: [PolicyEdit]
  /// The grant that gets more; the others that are edited keep what they have.
  var key: GrantKey
  /// What the judge has to authorize at the door.
  var operations: OperationSet = []
  var alsoAllows: [String] = []
}

/// Why no edit can be proposed; escaped.
struct Obstacle: Error {
  var text: String
}

extension PolicyEdit {
  /// For people; names are the policy's, paths may be anything.
  var text: String {
    switch self {
    case .addOperations(let operations, let key):
      "the grant of \(key.application) for \(key.object) gets \(operations.names.joined(separator: ", "))"
    case .setInGrant(let key, let name, let value):
      "the grant of \(key.application) for \(key.object) gets \(name): \(value)"
    case .addToGrant(let key, let name, let item, _):
      "the grant of \(key.application) for \(key.object) gets \(item) in \(name)"
    case .setInObject(let object, let name, let value): "object \(object) gets \(name): \(value)"
    case .addToObject(let object, let name, let item): "object \(object) gets \(item) in \(name)"
    case .setInApplication(let application, let name, let value): "application \(application) gets \(name): \(value)"
    case .addApplication(let name, let keys):
      "a new application \(name): \(keys.map { "\($0.name): \($0.value)" }.joined(separator: ", "))"
    case .addGrant(let key, let operations, _):
      "a new grant of \(operations.names.joined(separator: ", ")) to \(key.application) for \(key.object)"
    }
  }
}
