import Authority
import Yams

/// One policy file's text with its nodes, and where each of them ends, which Yams does not say.
struct PolicyPage {
  /// A node of the file.
  struct Item {
    var node: Node

    /// The value of a mapping's key.
    subscript(_ key: String) -> Item? {
      guard case .mapping(let mapping) = node else { return nil }
      return mapping.first { $0.key.scalar?.string == key }.map { Item(node: $0.value) }
    }

    var items: [Item] {
      guard case .sequence(let sequence) = node else { return [] }
      return sequence.map { Item(node: $0) }
    }

    var text: String? { node.scalar?.string }
  }

  let file: String
  let source: SourceText
  let root: Item
  /// A byte order mark stays where it is.
  private let start: [UInt8]

  init(_ file: PolicyFile) throws(PolicyEditFailure) {
    self.file = file.name
    start = file.bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? [0xEF, 0xBB, 0xBF] : []
    guard case .success(let source) = SourceText.decode(file.bytes) else {
      throw PolicyEditFailure(text: "\(file.name) is not text")
    }
    let document = Document(source)
    guard document.mistakes.isEmpty, document.aliases.isEmpty, document.renamedKeys.isEmpty, let node = document.root
    else { throw PolicyEditFailure(text: "\(file.name) is empty or has mistakes") }
    self.source = source
    root = Item(node: node)
  }

  func named(_ name: String, in collection: String) -> Item? { root[collection]?[name] }

  func grant(_ key: GrantKey) -> Item? {
    root["grants"]?.items.first {
      $0["application"]?.text == key.application && $0["object"]?.text == key.object
    }
  }

  // MARK: Changes

  /// The file with `entry` behind the last entry of a collection: `key: value` for a mapping, an item for a list.
  func appending(_ entry: String, to item: Item) throws(PolicyEditFailure) -> [UInt8] {
    let begin = try begin(of: item.node)
    let isList: Bool
    switch item.node {
    case .sequence: isList = true
    case .mapping: isList = false
    default: throw failure("a collection is expected", at: item.node)
    }
    if source.scalars[begin] == "{" || source.scalars[begin] == "[" {
      guard let last = lastChild(of: item.node) else { return inserting(isList ? entry : " \(entry) ", at: begin + 1) }
      return inserting(", \(entry)", at: try end(of: last))
    }
    guard let last = lastChild(of: item.node) else { throw failure("an entry is expected", at: item.node) }
    let indent = String(repeating: " ", count: source.position(of: begin).column - 1)
    let lines = (isList ? "- \(entry)" : entry).split(separator: "\n", omittingEmptySubsequences: false)
    let text = lines.map { lineBreak + indent + $0 }.joined()
    return inserting(text, at: endOfLine(from: try end(of: last)))
  }

  func replacing(_ item: Item, with text: String) throws(PolicyEditFailure) -> [UInt8] {
    replace(try begin(of: item.node)..<(try end(of: item.node)), with: text)
  }

  private func inserting(_ text: String, at index: Int) -> [UInt8] { replace(index..<index, with: text) }

  private func replace(_ range: Range<Int>, with text: String) -> [UInt8] {
    var view = String.UnicodeScalarView()
    view.append(contentsOf: source.scalars[..<range.lowerBound])
    view.append(contentsOf: text.unicodeScalars)
    view.append(contentsOf: source.scalars[range.upperBound...])
    return start + Array(String(view).utf8)
  }

  private var lineBreak: String {
    let first = source.scalars.firstIndex(of: "\n") ?? 0
    return first > 0 && source.scalars[first - 1] == "\r" ? "\r\n" : "\n"
  }

  private func endOfLine(from index: Int) -> Int {
    var index = index
    while index < source.scalars.count, source.scalars[index] != "\n", source.scalars[index] != "\r" { index += 1 }
    return index
  }

  // MARK: Places

  private func failure(_ text: String, at node: Node) -> PolicyEditFailure {
    let place = node.mark.map { "\(file):\($0.line):\($0.column)" } ?? file
    return PolicyEditFailure(text: "\(place): \(text); change it by hand")
  }

  private func begin(of node: Node) throws(PolicyEditFailure) -> Int {
    guard let mark = node.mark, let index = source.index(of: Position(mark)) else {
      throw failure("a value is expected", at: node)
    }
    return index
  }

  private func lastChild(of node: Node) -> Node? {
    switch node {
    case .mapping(let mapping): Array(mapping).last?.value
    case .sequence(let sequence): sequence.last
    default: nil
    }
  }

  /// Behind the last character of a node; a flow collection's bracket belongs to it.
  private func end(of node: Node) throws(PolicyEditFailure) -> Int {
    let begin = try begin(of: node)
    switch node {
    case .scalar(let scalar):
      guard let end = end(of: scalar, from: begin) else {
        throw failure("the end of this value cannot be told", at: node)
      }
      return end
    case .mapping, .sequence:
      let opening = source.scalars[begin]
      guard opening == "{" || opening == "[" else {
        guard let last = lastChild(of: node) else { throw failure("an entry is expected", at: node) }
        return try end(of: last)
      }
      var index = begin + 1
      if let last = lastChild(of: node) { index = try end(of: last) }
      return try closing(opening == "{" ? "}" : "]", from: index, of: node)
    case .alias: throw failure("an alias is not allowed", at: node)
    }
  }

  /// Behind the last entry of a flow collection only blanks, a comma and comments come before its bracket.
  private func closing(_ bracket: Unicode.Scalar, from index: Int, of node: Node) throws(PolicyEditFailure) -> Int {
    var index = index
    while index < source.scalars.count {
      switch source.scalars[index] {
      case bracket: return index + 1
      case " ", "\t", "\n", "\r", ",": index += 1
      case "#": index = endOfLine(from: index)
      default: throw failure("the end of this value cannot be told", at: node)
      }
    }
    throw failure("the end of this value cannot be told", at: node)
  }

  private func end(of scalar: Node.Scalar, from begin: Int) -> Int? {
    let scalars = source.scalars
    switch scalars[begin] {
    case "\"":
      var index = begin + 1
      while index < scalars.count, scalars[index] != "\"" { index += scalars[index] == "\\" ? 2 : 1 }
      return index < scalars.count ? index + 1 : nil
    case "'":
      var index = begin + 1
      while index < scalars.count {
        if scalars[index] != "'" {
          index += 1
        } else if index + 1 < scalars.count, scalars[index + 1] == "'" {
          index += 2
        } else {
          return index + 1
        }
      }
      return nil
    case "|", ">": return nil
    default: return endOfPlain(scalar.string, from: begin)
    }
  }

  /// A plain scalar reads as it stands, but for line breaks and the blanks around them.
  private func endOfPlain(_ text: String, from begin: Int) -> Int? {
    var index = begin
    func isBlank(_ scalar: Unicode.Scalar) -> Bool { [" ", "\t", "\n", "\r"].contains(scalar) }
    if text.isEmpty { return nil }
    for scalar in text.unicodeScalars {
      guard index < source.scalars.count else { return nil }
      if isBlank(scalar) {
        // Folding makes one blank of several, or a line break of two.
        while index < source.scalars.count, isBlank(source.scalars[index]) { index += 1 }
      } else {
        guard source.scalars[index] == scalar else { return nil }
        index += 1
      }
    }
    return index
  }
}
