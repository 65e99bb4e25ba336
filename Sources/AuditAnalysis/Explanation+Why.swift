import Audit
import Authority
import Instructions
import Policy

extension Explanation {
  /// Why it came to that, one clause a line.
  var why: [String] {
    guard let reason = record.reason else { return allowed }
    var lines = ["\(reason.name): \(Refusal(reason, detail: record.detail ?? .none).explanation)"]
    if let cause = record.circumstances?.cause {
      lines += clauses(of: cause)
    } else {
      lines += clauses(of: reason)
    }
    if let message = ownWords { lines.append("written down then: “\(message.escaped)”") }
    if reason == .noSuchObject { lines.append("the asker was told no more than that there is no such object") }
    return lines
  }

  /// The record's message without the cause, which it begins with and which has been told.
  private var ownWords: ByteString? {
    guard let message = record.message, !message.bytes.isEmpty else { return nil }
    guard let cause = record.circumstances?.cause?.text, message.bytes.starts(with: cause.utf8) else { return message }
    let rest = message.bytes.dropFirst(cause.utf8.count)
    return rest.isEmpty
      ? nil : ByteString(bytes: Array(rest.drop { $0 == UInt8(ascii: ";") || $0 == UInt8(ascii: " ") }))
  }

  private var allowed: [String] {
    var lines: [String] = []
    if let application = record.application { lines.append("as application \(application.escaped)") }
    if let operations = record.operations, record.kind == .grant || record.kind == .revalidate {
      lines.append("it may \(operations.names.joined(separator: ", "))")
    }
    if let cause = record.cause { lines.append("cause: \(cause.name)") }
    if let message = record.message { lines.append("“\(message.escaped)”") }
    return lines
  }

  /// What the policy's judge said.
  private func clauses(of cause: RefusalCause) -> [String] {
    var lines: [String] = []
    let nearest = record.application.map(\.escaped)
    switch cause {
    case .noMatchingApplication:
      if let nearest {
        let key = record.circumstances?.mismatch.map { ", but its key \($0.rawValue) does not match" } ?? ""
        lines.append("the nearest rule is that of application \(nearest)\(key)")
      }
      if let key = record.circumstances?.mismatch { lines.append("observed: \(observed(key))") }
    case .operationsMissing(let missing):
      if let nearest { lines.append("the rule that decided is that of application \(nearest)") }
      lines.append("observed: \((record.circumstances?.asked ?? []).names.joined(separator: ", "))")
      lines.append(
        missing.isEmpty ? "the grant comes to no operation" : "not granted: \(missing.names.joined(separator: ", "))")
    case .standingRevoke(let id):
      lines.append("revoke \(id) stood against application \(nearest ?? "?")")
      lines += orders
    default:
      if let nearest { lines.append("the rule that decided is that of application \(nearest)") }
      lines.append(cause.text.escapedForPeople)
    }
    if case .unknownObject = cause, let policy, let name = record.object {
      let known = policy.objects.map(\.name)
      if let near = PolicyReader.word(near: String(decoding: name.bytes, as: UTF8.self), among: known) {
        lines.append("did it mean \(near)?")
      }
    }
    return lines
  }

  /// What refused behind the judge, or an instruction's own reason.
  private func clauses(of reason: Reason) -> [String] {
    switch reason {
    case .operation:
      var lines = ["observed: \(record.operation?.name ?? "?")"]
      if let held = record.operations { lines.append("the association covers: \(held.names.joined(separator: ", "))") }
      return lines + rule
    case .limit:
      return ["observed: \(instructionText)", "granted: \(record.grant.map(\.escaped) ?? "not written down")"] + rule
    case .stale:
      let generation = record.generation.map { ["the object is of generation \($0) now"] } ?? []
      return generation + endings
    case .revoked: return orders + endings
    case .notAssociated:
      if history.granted != nil { return endings }
      return ["nothing that was read says that this process ever had an association with the object"]
    case .expired:
      return history.granted.map { ["it was associated at \($0.time.text), record \($0.sequence)"] } ?? []
    case .busy:
      let others = history.holders
      return others.isEmpty
        ? ["who held it is not in the records that were read"]
        : others.map { "held by \(name(of: $0)), record \($0.sequence)" }
    case .quota, .undecidable, .refused, .noSuchObject: return rule
    }
  }

  private var rule: [String] {
    record.application.map { ["the rule is that of application \($0.escaped)"] } ?? []
  }

  private var orders: [String] {
    guard let order = history.revoke else { return ["the revoke is not in the records that were read"] }
    return ["revoked at \(order.time.text), record \(order.sequence): “\(order.message?.escaped ?? "")”"]
  }

  private var endings: [String] {
    var lines: [String] = []
    if let granted = history.granted {
      lines.append("it was associated at \(granted.time.text), record \(granted.sequence)")
    }
    if let ended = history.ended {
      lines.append(
        "that ended at \(ended.time.text), record \(ended.sequence): \(ended.cause?.name ?? ended.kind.name)")
    }
    return lines
  }

  private func name(of other: AuditRecord) -> String {
    let pid = other.pid.map { "process \($0)" } ?? "a process"
    return other.application.map { "\(pid) of application \($0.escaped)" } ?? pid
  }

  // MARK: The policy of now

  /// How each grant for the object stands to the request, under the policy of now.
  var grantLines: [String] {
    guard let examination, let policy else { return [] }
    return examination.grants.enumerated().map { index, grant in
      let application = policy.applications.first { $0.name == grant.application }
      let keys = grant.given.keys.map { key in
        grant.matching.contains(key)
          ? "\(key.rawValue) matches"
          : "\(key.rawValue) does not (policy: \(expected(key, application)); observed: \(observed(key)))"
      }
      let decides = index == examination.decider ? "; it decides" : ""
      return "grant of \(grant.application.escapedForPeople) [\(grant.operations.names.joined(separator: ", "))]: "
        + keys.joined(separator: ", ") + decides
    }
  }

  func observed(_ key: SelectorKey) -> String {
    switch key {
    case .user: record.uid.map { "uid \($0)" } ?? "unknown"
    case .group:
      ([record.circumstances?.effectiveGID].compactMap { $0 } + (record.circumstances?.supplementaryGIDs ?? []))
        .map { "gid \($0)" }.joined(separator: ", ")
    case .executable: record.executablePath.map(\.escaped) ?? "unknown"
    case .cgroup: record.cgroup.map(\.escaped) ?? "unknown"
    }
  }

  private func expected(_ key: SelectorKey, _ application: ApplicationDefinition?) -> String {
    let text: String? =
      switch key {
      case .user: application?.user.map { "\($0.name), uid \($0.id)" }
      case .group: application?.group.map { "\($0.name), gid \($0.id)" }
      case .executable: application?.executable
      case .cgroup: application?.cgroup
      }
    return (text ?? "?").escapedForPeople
  }
}

extension String {
  var escapedForPeople: String { ByteString(self).escaped }
}
