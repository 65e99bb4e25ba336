import Authority
import Instructions
import Yams

/// One policy file as it was found.
public struct PolicyFile: Sendable, Hashable {
  /// As it is to be named in mistakes.
  public var name: String
  public var bytes: [UInt8]

  public init(name: String, bytes: [UInt8]) {
    self.name = name
    self.bytes = bytes
  }
}

/// A policy that was read without errors.
public struct ReadPolicy: Sendable, Hashable {
  public var model: PolicyModel
  public var warnings: [PolicyMistake]
}

/// Every mistake of a set of policy files, errors and warnings, sorted by file and place; at least one is an error.
public struct PolicyMistakes: Error, Sendable, Hashable {
  public var mistakes: [PolicyMistake]

  public init(mistakes: [PolicyMistake]) { self.mistakes = mistakes }
}

/// Reads policies as postern.yaml(5) describes them.
public enum PolicyReader {
  /// Bytes; a larger file is a mistake.
  public static let maximumFileSize = 4 << 20

  /// Reads and checks files as one policy. Does no I/O.
  ///
  /// - Parameters:
  ///   - files: the main file first, then those of `policy.d` in name order.
  ///   - directory: resolves user and group names.
  ///   - forbiddenPaths: what this broker uses itself (its socket, its state folder) beside the usual places.
  public static func read(
    files: [PolicyFile], directory: any AccountDirectory, forbiddenPaths: [String] = []
  ) -> Result<ReadPolicy, PolicyMistakes> {
    let reading = Reading(directory: directory, forbiddenPaths: forbiddenPaths)
    var draft = Draft()
    for (index, file) in files.enumerated() {
      reading.begin(file: file.name, index: index)
      read(file, isMain: index == 0, reading, into: &draft)
    }
    let model = reading.assemble(draft)
    let mistakes = reading.sortedMistakes
    if reading.hasErrors || files.isEmpty { return .failure(PolicyMistakes(mistakes: mistakes)) }
    return .success(ReadPolicy(model: model, warnings: mistakes))
  }

  private static func read(_ file: PolicyFile, isMain: Bool, _ reading: Reading, into draft: inout Draft) {
    let start = reading.place(Position(line: 1, column: 1))
    guard file.bytes.count <= maximumFileSize else {
      reading.error(start, "the file has \(file.bytes.count) bytes; expected at most \(maximumFileSize)")
      return
    }
    let document: Document
    switch SourceText.decode(file.bytes) {
    case .failure(let failure):
      reading.error(reading.place(failure.position), failure.text)
      return
    case .success(let source): document = Document(source)
    }
    reading.begin(document)
    for (position, text) in document.mistakes { reading.error(reading.place(position), text) }
    for alias in document.aliases {
      reading.error(reading.place(alias), "an alias is not allowed; write the value out")
    }
    guard let root = document.root else {
      if !document.mistakes.isEmpty { return }
      if isMain {
        reading.error(start, "the file is empty; expected version: 1, objects, applications and grants")
      } else {
        reading.warn(start, "the file is empty")
      }
      return
    }
    reading.reportStructure(root)
    reading.readTop(root, isMain: isMain, into: &draft)
  }
}

/// A value and where it was written.
struct Located<Value> {
  var value: Value
  var place: Place
}

/// What the files say so far, before names are resolved and grants are held against their objects.
struct Draft {
  var places: [String: Place] = [:]
  var admins: NamedID?
  var objects: [Located<ObjectDefinition>] = []
  /// Objects that are defined but wrong: a grant may name them without a second mistake.
  var brokenObjects: Set<String> = []
  var applications: [Located<ApplicationDefinition>] = []
  var brokenApplications: Set<String> = []
  var grants: [DraftGrant] = []
  var limits = UserLimits()
  var audit = AuditSettings()
}

extension Reading {
  func readTop(_ root: Node, isMain: Bool, into draft: inout Draft) {
    let keys = ["version", "admins", "objects", "applications", "grants", "limits", "audit"]
    guard let top = fields(root, of: "a policy", keys: keys) else { return }
    if top["version"] == nil, isMain { error(top.place, "a policy needs the key \"version\"; expected version: 1") }
    if let version = top["version"], let text = text(version.value, expected: "1"), text != "1" {
      error(place(version.value), "version \"\(text)\" is not known; expected 1")
    }
    // One place for each of these in all files.
    for key in ["admins", "limits", "audit"] {
      guard let entry = top[key] else { continue }
      if let earlier = draft.places[key] {
        error(entry.place, "\"\(key)\" is given twice; first at \(earlier.policyPlace.description)")
        continue
      }
      draft.places[key] = entry.place
      switch key {
      case "admins": draft.admins = group(entry)
      case "limits": readLimits(entry.value, into: &draft.limits)
      default: readAudit(entry.value, into: &draft.audit)
      }
    }
    if let entry = top["objects"] { readObjects(entry.value, into: &draft) }
    if let entry = top["applications"] { readApplications(entry.value, into: &draft) }
    if let entry = top["grants"] { readGrants(entry.value, into: &draft) }
  }

  /// Reads what stands under names of its own; one that is wrong is remembered, so that nobody calls it unknown as well.
  func readNamed<Value>(
    _ entries: [Entry], _ what: String, into draft: inout Draft, _ list: WritableKeyPath<Draft, [Located<Value>]>,
    broken: WritableKeyPath<Draft, Set<String>>, _ read: (Entry) -> Value?
  ) {
    for entry in entries {
      guard isNew(entry, what, in: &draft) else { continue }
      let named = isName(entry, of: "an \(what)")
      if let value = read(entry), named {
        draft[keyPath: list].append(Located(value: value, place: entry.place))
      } else {
        draft[keyPath: broken].insert(entry.name)
      }
    }
  }

  /// Whether a name is free in all files; if not, both places are named.
  private func isNew(_ entry: Entry, _ what: String, in draft: inout Draft) -> Bool {
    let key = "\(what) \(entry.name)"
    if let earlier = draft.places[key] {
      error(entry.place, "\(what) \"\(entry.name)\" is defined twice; first at \(earlier.policyPlace.description)")
      return false
    }
    draft.places[key] = entry.place
    return true
  }

  private func readLimits(_ node: Node, into limits: inout UserLimits) {
    guard
      let fields = fields(
        node, of: "limits", keys: ["connections-per-user", "requests-per-user", "objects-per-user"])
    else { return }
    if let value = number(fields["connections-per-user"], in: 1...65536) { limits.connections = UInt32(value) }
    if let value = number(fields["requests-per-user"], in: 1...65536) { limits.requests = UInt32(value) }
    if let value = number(fields["objects-per-user"], in: 1...65536) { limits.objects = UInt32(value) }
  }

  private func readAudit(_ node: Node, into audit: inout AuditSettings) {
    guard
      let fields = fields(
        node, of: "audit", keys: ["retention", "segment", "redact", "readers", "sinks", "checkpoints"])
    else { return }
    if let entry = fields["retention"], let seconds = duration(entry) {
      audit.retention = seconds
      if seconds == 0 { warn(place(entry.value), "a retention of 0 keeps nothing") }
    }
    if let entry = fields["segment"], let bytes = size(entry) {
      if (4096...(1 << 40)).contains(bytes) {
        audit.segment = bytes
      } else {
        error(place(entry.value), "a segment of \(bytes) bytes is out of range; expected 4KiB to 1TiB")
      }
    }
    if let entry = fields["redact"] {
      let names = words(entry, expected: "a list of record fields, such as [executable, cgroup]") { name in
        Redaction(name: name) == nil ? suggestion(for: name, among: Redaction.allNames) : nil
      }
      for name in names { audit.redact.formUnion(Redaction(name: name) ?? []) }
    }
    if let entry = fields["readers"], let readers = group(entry) {
      audit.readers = readers.name
      audit.readersID = readers.id
    }
    if let entry = fields["sinks"] {
      let names = words(entry, expected: "a list of sinks, such as [journald]") { name in
        guard AuditSink(name: name) == nil else { return nil }
        return name.hasPrefix("file:")
          ? "expected file: and an absolute path" : suggestion(for: name, among: ["journald", "syslog", "file:/PATH"])
      }
      audit.sinks = names.compactMap { AuditSink(name: $0) }
    }
    audit.checkpoints = path(fields["checkpoints"], expected: "the absolute path of a directory")
  }

  /// A list of words, each once.
  ///
  /// - Parameter objection: what is wrong with a word; nil: nothing.
  private func words(_ entry: Entry, expected: String, _ objection: (String) -> String?) -> [String] {
    var result: [String] = []
    for node in items(entry.value, expected: expected) ?? [] {
      guard let word = text(node, expected: expected) else { continue }
      if let objection = objection(word) {
        error(place(node), "\"\(word)\" is not known for \(entry.name); \(objection)")
      } else if result.contains(word) {
        error(place(node), "\"\(word)\" stands twice in \(entry.name)")
      } else {
        result.append(word)
      }
    }
    return result
  }
}
