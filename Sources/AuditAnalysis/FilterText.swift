import Audit
import Authority
import Instructions

/// Why a text is no filter.
public struct FilterMistake: Error, Sendable, Hashable {
  public var text: String
}

/// A filter as one line of text, as viewers take it and as it stands in an address: `reason:limit object:web pid:7`.
extension AuditFilter {
  /// A condition as text.
  public struct Term: Sendable, Hashable {
    public var condition: Conditions
    public var key: String
    public var value: ByteString
  }

  /// The keys that a text may name.
  public static let keys = [
    "kind", "verdict", "reason", "object", "application", "pid", "uid", "executable", "path", "operation", "since",
    "until",
  ]

  /// Reads `key:value` words; a value with blanks stands in double quotes, in which a backslash takes the next character
  /// as it is.
  ///
  /// - Parameter time: reads what stands behind `since` and `until`: it may depend on the clock.
  public init(parsing text: String, time: (String) -> UInt64?) throws(FilterMistake) {
    self.init()
    for (key, value) in try Self.words(text) {
      switch key {
      case "kind": kind = try Self.found(AuditKind(name: value), key, value, AuditKind.allCases.map(\.name))
      case "verdict":
        verdict = try Self.found(AuditVerdict(rawValue: value), key, value, AuditVerdict.allCases.map(\.rawValue))
      case "reason": reason = try Self.found(Reason(name: value), key, value, Reason.allCases.map(\.name))
      case "object": object = ByteString(value)
      case "application": application = ByteString(value)
      case "pid": pid = try Self.found(UInt32(value), key, value, ["a number"])
      case "uid": uid = try Self.found(UInt32(value), key, value, ["a number"])
      case "executable": executable = ByteString(value)
      case "path":
        path = try Self.found(
          OperationPath.allCases.first { $0.name == value }, key, value, OperationPath.allCases.map(\.name))
      case "operation": operation = try Self.found(Opcode(name: value), key, value, Opcode.allCases.map(\.name))
      case "since": since = try Self.found(time(value), key, value, ["a time such as 2026-02-01T12:00:00Z or 15m"])
      case "until": until = try Self.found(time(value), key, value, ["a time such as 2026-02-01T12:00:00Z or 15m"])
      default:
        throw FilterMistake(text: "there is no key \"\(key)\"; expected one of \(Self.keys.joined(separator: ", "))")
      }
    }
  }

  /// The conditions that are given, as they can be read again.
  public var terms: [Term] {
    var terms: [Term] = []
    func add(_ condition: Conditions, _ key: String, _ value: ByteString?) {
      if let value { terms.append(Term(condition: condition, key: key, value: value)) }
    }
    func add(_ condition: Conditions, _ key: String, _ value: String?) {
      add(condition, key, value.map { ByteString($0) })
    }
    add(.kind, "kind", kind?.name)
    add(.verdict, "verdict", verdict?.rawValue)
    add(.reason, "reason", reason?.name)
    add(.object, "object", object)
    add(.application, "application", application)
    add(.pid, "pid", pid.map { "\($0)" })
    add(.uid, "uid", uid.map { "\($0)" })
    add(.executable, "executable", executable)
    add(.path, "path", path?.name)
    add(.operation, "operation", operation?.name)
    add(.since, "since", since.map { AuditTime(wall: $0, boottime: 0).text })
    add(.until, "until", until.map { AuditTime(wall: $0, boottime: 0).text })
    return terms
  }

  /// One line; reading it gives the same filter, where every name is UTF-8.
  public var text: String {
    terms.map { term in
      let value = String(decoding: term.value.bytes, as: UTF8.self)
      let isPlain = !value.isEmpty && !value.contains { $0.isWhitespace || $0 == "\"" || $0 == "\\" }
      let escaped = value.reduce(into: "") { $0 += ($1 == "\"" || $1 == "\\" ? "\\" : "") + String($1) }
      return "\(term.key):" + (isPlain ? value : "\"\(escaped)\"")
    }.joined(separator: " ")
  }

  private static func found<Value>(
    _ value: Value?, _ key: String, _ text: String, _ expected: [String]
  ) throws(FilterMistake) -> Value {
    if let value { return value }
    throw FilterMistake(
      text: "\"\(text)\" is not known for \(key); expected \(expected.joined(separator: ", "))")
  }

  private static func words(_ text: String) throws(FilterMistake) -> [(key: String, value: String)] {
    var words: [(String, String)] = []
    var rest = text.unicodeScalars[...]
    while true {
      rest = rest.drop { $0.properties.isWhitespace }
      if rest.isEmpty { return words }
      let key = rest.prefix { $0 != ":" && !$0.properties.isWhitespace }
      rest = rest[key.endIndex...]
      guard rest.first == ":" else {
        throw FilterMistake(text: "\"\(String(key))\" has no value; expected key:value, such as reason:limit")
      }
      rest = rest.dropFirst()
      var value = String.UnicodeScalarView()
      if rest.first == "\"" {
        rest = rest.dropFirst()
        var isOpen = true
        while isOpen {
          guard let next = rest.popFirst() else { throw FilterMistake(text: "a quote is not closed") }
          switch next {
          case "\"": isOpen = false
          case "\\":
            guard let literal = rest.popFirst() else { throw FilterMistake(text: "a quote is not closed") }
            value.append(literal)
          default: value.append(next)
          }
        }
      } else {
        let plain = rest.prefix { !$0.properties.isWhitespace }
        value.append(contentsOf: plain)
        rest = rest[plain.endIndex...]
      }
      words.append((String(key), String(value)))
    }
  }
}
