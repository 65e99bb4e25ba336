import Authority
import Instructions

/// One change to a policy, in the policy's own words.
public enum PolicyEdit: Sendable, Hashable {
  /// Adds operations to a grant.
  case addOperations(OperationSet, to: GrantKey)
  /// Gives a key of a grant this value, in YAML, whatever it had.
  case setInGrant(GrantKey, key: String, value: String)
  /// Adds an item to a list of a grant; without the key, the list gets `base` before it.
  case addToGrant(GrantKey, key: String, item: String, base: [String])
  case setInObject(String, key: String, value: String)
  case addToObject(String, key: String, item: String)
  case setInApplication(String, key: String, value: String)
  /// `keys` in YAML, in this order.
  case addApplication(String, keys: [Key])
  case addGrant(GrantKey, OperationSet, keys: [Key])

  public struct Key: Sendable, Hashable {
    public var name: String
    /// In YAML.
    public var value: String

    public init(_ name: String, _ value: String) {
      self.name = name
      self.value = value
    }

    var text: String { "\(name): \(value)" }
  }
}

/// Why a change cannot be written into the files.
public struct PolicyEditFailure: Error, Sendable, Hashable {
  /// For people; may hold names from the policy.
  public var text: String
}

/// Changes policy files where they stand: comments, order and layout of everything else stay as they are.
public struct PolicyEditor {
  public private(set) var files: [PolicyFile]

  /// - Parameter files: the main file first; all of them readable by `PolicyReader`.
  public init(files: [PolicyFile]) { self.files = files }

  public mutating func apply(_ edits: [PolicyEdit]) throws(PolicyEditFailure) {
    for edit in edits { try apply(edit) }
  }

  private mutating func apply(_ edit: PolicyEdit) throws(PolicyEditFailure) {
    switch edit {
    case .addOperations(let operations, let key):
      for name in operations.names {
        try change("the grant of \(key.application) for \(key.object)") { page throws(PolicyEditFailure) in
          guard let grant = page.grant(key) else { return nil }
          guard let list = grant["operations"] else { return nil }
          return try page.appending(name, to: list)
        }
      }
    case .setInGrant(let key, let name, let value):
      try set(name, value, "the grant of \(key.application) for \(key.object)") { $0.grant(key) }
    case .addToGrant(let key, let name, let item, let base):
      try change("the grant of \(key.application) for \(key.object)") { page throws(PolicyEditFailure) in
        guard let grant = page.grant(key) else { return nil }
        if let list = grant[name] { return try page.appending(item, to: list) }
        return try page.appending(
          PolicyEdit.Key(name, "[\((base + [item]).joined(separator: ", "))]").text, to: grant)
      }
    case .setInObject(let object, let name, let value):
      try set(name, value, "object \(object)") { $0.named(object, in: "objects") }
    case .setInApplication(let application, let name, let value):
      try set(name, value, "application \(application)") { $0.named(application, in: "applications") }
    case .addToObject(let object, let name, let item):
      try change("object \(object)") { page throws(PolicyEditFailure) in
        guard let definition = page.named(object, in: "objects") else { return nil }
        if let list = definition[name] { return try page.appending(item, to: list) }
        return try page.appending(PolicyEdit.Key(name, "[\(item)]").text, to: definition)
      }
    case .addApplication(let name, let keys):
      let entry = "\(name): { \(keys.map(\.text).joined(separator: ", ")) }"
      try add(entry, under: "applications", whole: "applications:\n  \(entry)")
    case .addGrant(let key, let operations, let keys):
      let head = [
        PolicyEdit.Key("application", key.application), PolicyEdit.Key("object", key.object),
        PolicyEdit.Key("operations", "[\(operations.names.joined(separator: ", "))]"),
      ]
      let entry = "{ \((head + keys).map(\.text).joined(separator: ", ")) }"
      try add(entry, under: "grants", whole: "grants:\n  - \(entry)")
    }
  }

  private mutating func set(
    _ name: String, _ value: String, _ what: String, in find: (PolicyPage) -> PolicyPage.Item?
  ) throws(PolicyEditFailure) {
    try change(what) { page throws(PolicyEditFailure) in
      guard let item = find(page) else { return nil }
      if let old = item[name] { return try page.replacing(old, with: value) }
      return try page.appending("\(name): \(value)", to: item)
    }
  }

  /// Adds an entry to a collection of the top level: in the first file that has it, else at the end of the main one.
  private mutating func add(
    _ entry: String, under key: String, whole: String
  ) throws(PolicyEditFailure) {
    for index in files.indices {
      let page = try PolicyPage(files[index])
      guard let collection = page.root[key] else { continue }
      files[index].bytes = try page.appending(entry, to: collection)
      return
    }
    guard let main = files.first else { throw PolicyEditFailure(text: "there is no policy file") }
    let page = try PolicyPage(main)
    files[0].bytes = try page.appending(whole, to: page.root)
  }

  /// Changes the first file in which `body` finds its place.
  private mutating func change(
    _ what: String, _ body: (PolicyPage) throws(PolicyEditFailure) -> [UInt8]?
  ) throws(PolicyEditFailure) {
    for index in files.indices {
      if let bytes = try body(try PolicyPage(files[index])) {
        files[index].bytes = bytes
        return
      }
    }
    throw PolicyEditFailure(text: "\(what) is not in the policy's files")
  }
}
