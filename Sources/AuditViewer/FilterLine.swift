import Audit
import AuditAnalysis
import Authority
import Instructions

/// The filter as it is typed: words of `AuditFilter`, of which the last may be unfinished.
public struct FilterLine: Sendable {
  public private(set) var text = ""
  /// The one in force: that of the text, or of its words before the last while that is no condition yet.
  public private(set) var filter = AuditFilter()
  /// Why the text is none.
  public private(set) var mistake: String?
  /// What the last word may become, each as a whole word.
  public private(set) var candidates: [String] = []

  /// Characters that are kept; a filter is a line.
  static let longest = 500

  /// Words that are conditions on any machine, and the keys of the others.
  public static var words: [String] {
    AuditFilter.keys.flatMap { key in
      let known = candidates(for: key + ":") { _ in [] }
      return known.isEmpty ? [key + ":"] : known
    }
  }

  public init() {}

  /// - Parameters:
  ///   - isFinished: no more is typed, so that the last word is meant as it stands.
  ///   - values: the names that records have now for a key.
  ///   - time: reads what stands behind `since` and `until`.
  public mutating func set(
    _ text: String, isFinished: Bool = false, values: (String) -> [ByteString], time: (String) -> UInt64?
  ) {
    self.text = String(String.UnicodeScalarView(text.unicodeScalars.prefix(Self.longest)))
    let (before, last) = Self.split(self.text)
    candidates = last.isEmpty || isFinished ? [] : Self.candidates(for: last, values: values)
    // A word that can still become something, and is nothing yet, takes no records away.
    let isCondition = candidates.isEmpty || candidates.contains(last)
    do {
      filter = try AuditFilter(parsing: isCondition ? self.text : before, time: time)
      mistake = nil
    } catch let whole {
      mistake = ByteString(whole.text).escaped
      if let rest = try? AuditFilter(parsing: before, time: time) { filter = rest }
    }
    if candidates == [last] { candidates = [] }
  }

  /// The text with the last word as far as all candidates agree; nil: no further.
  public var completed: String? {
    guard let first = candidates.first else { return nil }
    let (before, last) = Self.split(text)
    var common = Array(first.unicodeScalars)
    for other in candidates.dropFirst() {
      let same = zip(common, other.unicodeScalars).prefix { $0 == $1 }.count
      common.removeSubrange(same...)
    }
    let word = String(String.UnicodeScalarView(common))
    // A value is finished where there is only one.
    let tail = candidates.count == 1 && !word.hasSuffix(":") ? " " : ""
    return word == last && tail.isEmpty ? nil : before + word + tail
  }

  /// Without its last word.
  public var withoutLastWord: String {
    var scalars = text.unicodeScalars
    while scalars.last == " " { scalars.removeLast() }
    return Self.split(String(scalars)).before
  }

  /// The text up to the last word, and that word; a blank in quotes parts none.
  private static func split(_ text: String) -> (before: String, last: String) {
    var start = text.unicodeScalars.startIndex
    var isQuoted = false
    var isEscaped = false
    for index in text.unicodeScalars.indices {
      let scalar = text.unicodeScalars[index]
      if isEscaped {
        isEscaped = false
      } else if isQuoted, scalar == "\\" {
        isEscaped = true
      } else if scalar == "\"" {
        isQuoted.toggle()
      } else if !isQuoted, scalar.properties.isWhitespace {
        start = text.unicodeScalars.index(after: index)
      }
    }
    return (String(text.unicodeScalars[..<start]), String(text.unicodeScalars[start...]))
  }

  private static func candidates(for word: String, values: (String) -> [ByteString]) -> [String] {
    guard let colon = word.firstIndex(of: ":") else {
      return AuditFilter.keys.filter { $0.hasPrefix(word) }.map { $0 + ":" }
    }
    let key = String(word[..<colon])
    let all: [String] =
      switch key {
      case "kind": AuditKind.allCases.map(\.name)
      case "verdict": AuditVerdict.allCases.map(\.rawValue)
      case "reason": Reason.allCases.map(\.name)
      case "path": OperationPath.allCases.map(\.name)
      case "operation": Opcode.allCases.map(\.name)
      case "object", "application", "executable", "pid", "uid": values(key).compactMap { quoted($0) }
      default: []
      }
    // A number is a condition as it stands; what it could become is no reason to wait.
    return all.map { "\(key):\($0)" }.filter { $0.hasPrefix(word) }
  }

  /// As it has to be typed; nil: it cannot be.
  private static func quoted(_ value: ByteString) -> String? {
    guard String(validating: value.bytes, as: UTF8.self) != nil else { return nil }
    return AuditFilter(object: value).text.split(separator: ":", maxSplits: 1).last.map(String.init)
  }
}
