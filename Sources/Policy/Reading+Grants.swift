import Authority
import Instructions
import Yams

/// A grant as written, with the places that its checks against the object point to.
struct DraftGrant {
  var rule: GrantRule
  var place: Place
  var fields: Fields
  /// Each operation's place.
  var operations: [(opcode: Opcode, place: Place)]
  /// ioctls are read when the object's bus is known.
  var order: Int
}

extension Reading {
  static let grantKeys = [
    "application", "object", "operations", "on-fork", "on-exec", "expires", "path", "handover", "accepted", "audit",
    "mmap", "on-stuck-revoke", "range", "access", "connect", "send-to", "options", "ioctls", "message",
  ]

  func readGrants(_ node: Node, into draft: inout Draft) {
    for item in items(node, expected: "a list of grants") ?? [] {
      guard let fields = fields(item, of: "a grant", keys: Reading.grantKeys) else { continue }
      if let grant = grant(fields) { draft.grants.append(grant) }
    }
  }

  private func grant(_ fields: Fields) -> DraftGrant? {
    require(fields, ["application", "object", "operations"], of: "a grant")
    let application = fields["application"].flatMap { text($0.value, expected: "an application's name") }
    let object = fields["object"].flatMap { text($0.value, expected: "an object's name") }
    let operations = operations(fields["operations"])
    var rule = GrantRule(
      application: application ?? "", object: object ?? "", operations: OperationSet(operations.map(\.opcode)))
    rule.onFork = word(fields["on-fork"], ["revalidate": ForkRule.revalidate, "inherit": .inherit, "deny": .deny])
    rule.onExec = word(fields["on-exec"], ["drop": ExecRule.drop, "keep": .keep]) ?? .drop
    let paths: KeyValuePairs<String, PathChoice> = [
      "any": .any, "mediated": .only(.mediated), "ring": .only(.ring), "direct": .only(.direct),
    ]
    rule.path = word(fields["path"], paths) ?? .any
    rule.handover = boolean(fields["handover"]) ?? false
    rule.recallAccepted = word(fields["accepted"], ["leave": false, "recall": true]) ?? false
    let details: KeyValuePairs<String, AuditDetail> = [
      "refusals": .refusals, "first-use": .firstUse, "all": .all,
    ]
    rule.audit = word(fields["audit"], details) ?? .refusals
    rule.mmap = boolean(fields["mmap"]) ?? false
    rule.killOnStuckRevoke = word(fields["on-stuck-revoke"], ["report": false, "kill": true]) ?? false
    rule.range = fields["range"].flatMap { range($0) }
    rule.access = access(fields["access"])
    rule.connect = addresses(fields["connect"])
    rule.sendTo = addresses(fields["send-to"])
    rule.options = options(fields["options"])
    rule.message = message(fields["message"]) ?? ""
    if let entry = fields["expires"] {
      rule.expires = duration(entry)
      if rule.expires == 0 { warn(place(entry.value), "expires: 0 ends every association as it begins") }
    }
    warnAboutMissingFeatures(rule, fields)
    guard application != nil, object != nil else { return nil }
    return DraftGrant(
      rule: rule, place: fields.place, fields: fields, operations: operations, order: fileIndex)
  }

  /// Says what this version, or the grant's path, cannot do; what would be unsafe to leave out is refused at the open.
  private func warnAboutMissingFeatures(_ rule: GrantRule, _ fields: Fields) {
    var isDirectPossible = true
    switch rule.path {
    case .any, .only(.direct): break
    case .only: isDirectPossible = false
    }
    if rule.recallAccepted, !isDirectPossible, let entry = fields["accepted"] {
      warn(entry.place, "accepted\(setting(entry)) needs the path direct: opens are refused")
    }
    guard rule.mmap, let entry = fields["mmap"] else { return }
    warn(
      entry.place,
      isDirectPossible
        ? "mmap: true: a revoke cannot take back what a program has mapped"
        : "mmap: true needs the path direct: nothing is mapped")
  }

  /// `: ring`, where a key has a word as its value.
  private func setting(_ entry: Entry) -> String {
    if case .scalar(let scalar) = entry.value { ": \(scalar.string)" } else { "" }
  }

  private func operations(_ entry: Entry?) -> [(opcode: Opcode, place: Place)] {
    guard let entry, let nodes = items(entry.value, expected: "a list of operations such as [read, write]") else {
      return []
    }
    var result: [(opcode: Opcode, place: Place)] = []
    for node in nodes {
      guard let name = text(node, expected: "an operation's name") else { continue }
      guard let opcode = Opcode(name: name) else {
        error(place(node), "\"\(name)\" is no operation; \(suggestion(for: name, among: Opcode.allCases.map(\.name)))")
        continue
      }
      if result.contains(where: { $0.opcode == opcode }) {
        error(place(node), "\"\(name)\" stands twice in operations")
      }
      result.append((opcode, place(node)))
    }
    if nodes.isEmpty { warn(place(entry.value), "the grant names no operation, so that it grants nothing") }
    return result
  }
}
