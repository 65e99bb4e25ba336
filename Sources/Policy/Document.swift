import Yams

/// One file's node tree, with what Yams' tree cannot show.
///
/// Yams puts the anchored node in an alias's place, stops at the first duplicate key and gives neither place. So each of
/// these that it reports is made harmless in the text, by one scalar so that no other place moves, and the text is
/// parsed again; the reader finds the recorded places.
struct Document {
  var source: SourceText
  var root: Node?
  /// Keys that were renamed because they stand twice in their mapping: what the file says there.
  var renamedKeys: [Position: String] = [:]
  /// Where aliases were.
  var aliases: Set<Position> = []
  /// Mistakes of YAML itself; the tree may be missing.
  var mistakes: [(position: Position, text: String)] = []

  /// More of either than this and the file is not read further: each costs a parse.
  static let maximumRepairs = 32

  init(_ source: SourceText) {
    self.source = source
    removeAliases()
    while mistakes.isEmpty {
      do throws(YamlFailure) {
        root = try Document.parse(self.source)
        return
      } catch {
        repair(error)
      }
    }
  }

  /// Finds every alias, in order, and puts a plain scalar in its place.
  ///
  /// In a copy, all that looks like an alias (it may be part of a text or a comment) gets a name that no anchor has:
  /// then Yams refuses exactly the true ones, and says where. Afterwards nothing can expand (an "alias bomb").
  private mutating func removeAliases() {
    var probe = source
    switch probe.renameAliases() {
    case .none: return
    case .renamed: break
    case .impossible(let position):
      mistakes.append((position, "too many anchors; anchors and aliases are not allowed"))
      return
    }
    var copy = self
    while mistakes.isEmpty {
      do throws(YamlFailure) {
        _ = try Document.parse(probe)
        return
      } catch {
        guard error.isUndefinedAlias else {
          // Duplicate keys could hide aliases behind them.
          copy.source = probe
          guard error.duplicate != nil else { return }
          copy.repair(error)
          guard copy.mistakes.isEmpty else { return }
          probe = copy.source
          continue
        }
        guard aliases.count < Document.maximumRepairs, let index = source.index(of: error.position) else {
          mistakes.append((error.position, "too many aliases; anchors and aliases are not allowed"))
          return
        }
        aliases.insert(error.position)
        probe.replace(at: index, with: "\u{F8FF}")
        source.replace(at: index, with: "\u{F8FF}")
      }
    }
  }

  /// Renames the key that stands twice, or records what is wrong.
  private mutating func repair(_ failure: YamlFailure) {
    guard let key = failure.duplicate, renamedKeys.count < Document.maximumRepairs,
      let start = source.index(of: failure.position)
    else {
      mistakes.append((source.clamped(failure.position), failure.text))
      return
    }
    let quoted = source.scalars[start] == "\"" || source.scalars[start] == "'"
    let index = quoted ? start + 1 : start
    guard index < source.scalars.count, source.scalars[index].isWordScalar,
      let mark = Unicode.Scalar(0xE000 + UInt32(renamedKeys.count))
    else {
      mistakes.append((failure.position, failure.text))
      return
    }
    source.replace(at: index, with: mark)
    renamedKeys[failure.position] = key
  }

  private static func parse(_ source: SourceText) throws(YamlFailure) -> Node? {
    // A Swift string of up to 15 bytes lives in the value itself; Yams keeps a pointer to it beyond the call. A comment
    // at the first column makes it longer and ends whatever scalar is open.
    let text = source.text + (source.scalars.count < 64 ? "\n#" + String(repeating: " ", count: 64) : "")
    do {
      return try Parser(yaml: text, resolver: .basic, encoding: .utf8).singleRoot()
    } catch let error as YamlError {
      throw YamlFailure(error)
    } catch {
      throw YamlFailure(position: Position(line: 1, column: 1), text: "\(error)")
    }
  }
}

/// What Yams threw, by place.
struct YamlFailure: Error {
  var position: Position
  var text: String
  var isUndefinedAlias = false
  /// The key that stands twice.
  var duplicate: String?

  init(position: Position, text: String) {
    self.position = position
    self.text = text
  }

  init(_ error: YamlError) {
    let start = Position(line: 1, column: 1)
    switch error {
    case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _):
      let said = [context?.text, problem].compactMap(\.self).joined(separator: ": ")
      self.init(position: Position(mark), text: "this is not YAML: \(said)")
    case .composer(let context, let problem, let mark, _):
      // Yams has two problems of this class: an alias without its anchor, without a context, and a second document.
      if context == nil {
        self.init(position: Position(mark), text: "an alias is not allowed")
        isUndefinedAlias = true
      } else {
        self.init(position: Position(mark), text: "a second document; expected one (\(problem))")
      }
    case .duplicatedKeysInMapping(let duplicates, let context):
      self.init(
        position: Position(context.mark), text: "this key stands twice: \(duplicates.joined(separator: ", "))")
      duplicate = duplicates.first
    case .memory: self.init(position: start, text: "not enough memory to read the file")
    case .reader(let problem, _, _, _): self.init(position: start, text: "this is not YAML: \(problem)")
    default: self.init(position: start, text: "this is not YAML")
    }
  }
}

extension Position {
  init(_ mark: Mark) { self.init(line: mark.line, column: mark.column) }
}

extension Unicode.Scalar {
  /// Letters, digits, `_`, `-`: what can be replaced in a key, and what libyaml takes for an anchor's name.
  var isWordScalar: Bool {
    switch self {
    case "a"..."z", "A"..."Z", "0"..."9", "_", "-": true
    default: false
    }
  }
}

extension SourceText {
  fileprivate enum Renaming {
    /// Nothing looks like an alias.
    case none
    case renamed
    /// Every name of that length is taken.
    case impossible(Position)
  }

  /// Gives everything that looks like an alias a name that nothing that looks like an anchor has.
  fileprivate mutating func renameAliases() -> Renaming {
    func runs(after sign: Unicode.Scalar) -> [Range<Int>] {
      scalars.indices.compactMap { index in
        guard scalars[index] == sign else { return nil }
        let end = scalars[(index + 1)...].firstIndex { !$0.isWordScalar } ?? scalars.endIndex
        return end > index + 1 ? index + 1..<end : nil
      }
    }
    let candidates = runs(after: "*")
    guard !candidates.isEmpty else { return .none }
    let taken = Set(runs(after: "&").map { Array(scalars[$0]) })
    for range in candidates where taken.contains(Array(scalars[range])) {
      guard let free = unusedName(length: range.count, taken: taken) else {
        return .impossible(position(of: range.lowerBound))
      }
      for (index, scalar) in zip(range, free) { replace(at: index, with: scalar) }
    }
    return .renamed
  }

  private func unusedName(length: Int, taken: Set<[Unicode.Scalar]>) -> [Unicode.Scalar]? {
    let letters = Array("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-".unicodeScalars)
    // Counts in base 64; `taken` is finite, so that one of its count + 1 first names is free if there are as many.
    for number in 0...taken.count {
      var rest = number
      let name = (0..<length).map { _ in
        defer { rest /= letters.count }
        return letters[rest % letters.count]
      }
      if rest == 0, !taken.contains(name) { return name }
    }
    return nil
  }
}
