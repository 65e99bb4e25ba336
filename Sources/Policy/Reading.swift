import Yams

/// What goes on while policy files are read: the mistakes so far, and the file at hand.
///
/// One per call of `PolicyReader.read`; a class so that every part adds to one list.
final class Reading {
  let directory: any AccountDirectory
  let forbiddenPaths: [String]
  private(set) var mistakes: [(order: Int, mistake: PolicyMistake)] = []
  private(set) var file = ""
  private(set) var fileIndex = 0
  private var documents: [Int: Document] = [:]
  /// The file at hand; stored beside `documents` because every value asks it.
  private var source: SourceText?
  private var aliases: Set<Position> = []
  private var renamedKeys: [Position: String] = [:]
  private var seen: Set<PolicyMistake> = []

  init(directory: any AccountDirectory, forbiddenPaths: [String]) {
    self.directory = directory
    self.forbiddenPaths = forbiddenPaths
  }

  func begin(file: String, index: Int) {
    self.file = file
    fileIndex = index
    select(nil)
  }

  func begin(_ document: Document) {
    documents[fileIndex] = document
    select(document)
  }

  private func select(_ document: Document?) {
    source = document?.source
    aliases = document?.aliases ?? []
    renamedKeys = document?.renamedKeys ?? [:]
  }

  /// Goes back to the file of `place` for what can be read only when all files are known.
  func within<Result>(_ place: Place, _ body: () -> Result) -> Result {
    let (savedFile, savedIndex) = (file, fileIndex)
    (file, fileIndex) = (place.file, place.order)
    select(documents[fileIndex])
    defer {
      (file, fileIndex) = (savedFile, savedIndex)
      select(documents[fileIndex])
    }
    return body()
  }

  /// Sorted by file in the order given, then by place.
  var sortedMistakes: [PolicyMistake] {
    mistakes.enumerated().sorted { left, right in
      let (a, b) = (left.element.mistake.place, right.element.mistake.place)
      return (left.element.order, a.line, a.column, left.offset) < (right.element.order, b.line, b.column, right.offset)
    }.map(\.element.mistake)
  }

  private(set) var errorCount = 0
  var hasErrors: Bool { errorCount > 0 }

  // MARK: Mistakes

  func error(_ place: Place, _ text: String) { add(place, .error, text) }
  func warn(_ place: Place, _ text: String) { add(place, .warning, text) }

  private func add(_ place: Place, _ severity: PolicyMistake.Severity, _ text: String) {
    let mistake = PolicyMistake(place: place.policyPlace, severity: severity, text: text)
    // The same mistake may be met twice, by the structure and by the schema.
    if severity == .error { errorCount += 1 }
    if seen.insert(mistake).inserted { mistakes.append((place.order, mistake)) }
  }

  // MARK: Nodes

  func place(_ position: Position) -> Place {
    Place(order: fileIndex, file: file, position: position)
  }

  func place(_ node: Node) -> Place {
    place(node.mark.map { Position($0) } ?? Position(line: 1, column: 1))
  }

  /// Reports every anchor, tag, alias and too deep nesting, once, whatever the schema makes of the nodes.
  func reportStructure(_ root: Node) {
    guard let source else { return }
    var pending = [(root, 1)]
    while let (node, depth) = pending.popLast() {
      if depth > Reading.maximumDepth {
        error(place(node), "nested too deep; expected at most \(Reading.maximumDepth) levels")
        continue
      }
      if let mark = node.mark {
        switch source.scalar(at: Position(mark)) {
        case "&": error(place(node), "an anchor is not allowed; write the value out where it is used")
        case "!": error(place(node), "a tag is not allowed; the policy's own rules say what each value is")
        default: break
        }
      }
      switch node {
      case .mapping(let mapping):
        for (key, value) in mapping {
          pending.append((key, depth + 1))
          pending.append((value, depth + 1))
        }
      case .sequence(let sequence): for item in sequence { pending.append((item, depth + 1)) }
      case .scalar, .alias: break
      }
    }
  }

  static let maximumDepth = 8

  /// Whether an alias stood here; it has been reported already.
  private func isAlias(_ node: Node) -> Bool {
    guard !aliases.isEmpty, let mark = node.mark else { return false }
    return aliases.contains(Position(mark))
  }

  /// A scalar's text; nil with a mistake where the node is none. An alias has been reported already.
  func text(_ node: Node, expected: String) -> String? {
    if isAlias(node) { return nil }
    switch node {
    case .scalar(let scalar):
      if scalar.string.isEmpty, scalar.style == .plain || scalar.style == .any {
        error(place(node), "a value is missing; expected \(expected)")
        return nil
      }
      return scalar.string
    case .mapping: error(place(node), "a mapping stands here; expected \(expected)")
    case .sequence: error(place(node), "a list stands here; expected \(expected)")
    case .alias: error(place(node), "an alias is not allowed")
    }
    return nil
  }

  func items(_ node: Node, expected: String) -> [Node]? {
    if isAlias(node) { return nil }
    switch node {
    case .sequence(let sequence): return Array(sequence)
    case .scalar(let scalar) where scalar.string.isEmpty && scalar.style == .plain:
      error(place(node), "a value is missing; expected \(expected)")
    case .scalar: error(place(node), "a single value stands here; expected \(expected)")
    case .mapping: error(place(node), "a mapping stands here; expected \(expected)")
    case .alias: error(place(node), "an alias is not allowed")
    }
    return nil
  }

  /// The entries of a mapping in file order, each key once; a key that stands twice is a mistake and counts once.
  func entries(_ node: Node, expected: @autoclosure () -> String) -> [Entry]? {
    if isAlias(node) { return nil }
    guard case .mapping(let mapping) = node else {
      switch node {
      case .scalar(let scalar) where scalar.string.isEmpty && scalar.style == .plain:
        error(place(node), "a value is missing; expected \(expected())")
      case .sequence: error(place(node), "a list stands here; expected \(expected())")
      default: error(place(node), "a single value stands here; expected \(expected())")
      }
      return nil
    }
    // Most mappings are a few fixed keys, for which comparing is cheaper than hashing.
    let isSmall = mapping.count <= 16
    var first: [String: Place] = [:]
    var result: [Entry] = []
    result.reserveCapacity(mapping.count)
    for (key, value) in mapping {
      let keyPlace = place(key)
      guard let written = text(key, expected: "a name as key") else { continue }
      let name = renamedKeys.isEmpty ? written : renamedKeys[keyPlace.position] ?? written
      if let earlier = isSmall ? result.first(where: { $0.name == name })?.place : first[name] {
        error(keyPlace, "\"\(name)\" stands twice; first at \(earlier.policyPlace.description)")
        continue
      }
      if !isSmall { first[name] = keyPlace }
      result.append(Entry(name: name, place: keyPlace, value: value))
    }
    return result
  }

  /// The entries of a mapping whose keys are fixed; others are mistakes.
  func fields(_ node: Node, of subject: String, keys: [String]) -> Fields? {
    guard let entries = entries(node, expected: "a mapping with the keys of \(subject)") else { return nil }
    return fields(entries, at: place(node), of: subject, keys: keys)
  }

  func fields(_ entries: [Entry], at place: Place, of subject: String, keys: [String]) -> Fields {
    var fields = Fields(place: place, entries: [])
    for entry in entries {
      if keys.contains(entry.name) {
        fields.entries.append(entry)
      } else {
        error(entry.place, "\(subject) has no key \"\(entry.name)\"; \(suggestion(for: entry.name, among: keys))")
      }
    }
    return fields
  }
}

/// A place together with its file's position in the order of reading.
struct Place: Hashable {
  var order: Int
  var file: String
  var position: Position

  var policyPlace: PolicyPlace { PolicyPlace(file: file, line: position.line, column: position.column) }
}

/// A key with its place and value. A class because entries are handed around much, and a copied node costs many retains.
final class Entry {
  let name: String
  let place: Place
  let value: Node

  init(name: String, place: Place, value: Node) {
    self.name = name
    self.place = place
    self.value = value
  }
}

/// The known keys of a mapping.
struct Fields {
  /// Of the mapping.
  var place: Place
  var entries: [Entry]

  subscript(_ key: String) -> Entry? { entries.first { $0.name == key } }
}

/// `did you mean "x"?` where one of the words is near, else the words.
func suggestion(for word: String, among words: [String]) -> String {
  if let near = PolicyReader.word(near: word, among: words) { return "did you mean \"\(near)\"?" }
  return words.isEmpty ? "none exists" : "expected one of: \(words.joined(separator: ", "))"
}

extension PolicyReader {
  /// The word that was probably meant; nil: none is near enough.
  public static func word(near word: String, among words: [String]) -> String? {
    guard let near = words.map({ ($0, distance(word, $0)) }).min(by: { $0.1 < $1.1 }) else { return nil }
    return near.1 <= max(1, min(word.count, near.0.count) / 3) ? near.0 : nil
  }
}

/// Optimal string alignment: insertions, deletions, replacements and swaps of neighbours. Words over 64 characters are
/// far from everything.
private func distance(_ left: String, _ right: String) -> Int {
  let (a, b) = (Array(left.unicodeScalars), Array(right.unicodeScalars))
  guard a.count <= 64, b.count <= 64 else { return .max }
  var beforeLast: [Int] = []
  var last = Array(0...b.count)
  for i in a.indices {
    var row = [i + 1]
    for j in b.indices {
      var best = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
      if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, beforeLast[j - 1] + 1) }
      row.append(best)
    }
    (beforeLast, last) = (last, row)
  }
  return last[b.count]
}
