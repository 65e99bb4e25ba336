/// One value of a row, as both kinds of database keep it.
public enum Cell: Sendable, Hashable {
  case null
  case integer(Int64)
  case text(String)

  public init(_ text: String?) { self = text.map { .text($0) } ?? .null }
  public init(_ number: (some FixedWidthInteger)?) {
    self = number.map { .integer(Int64(truncatingIfNeeded: $0)) } ?? .null
  }

  /// nil: another kind of value.
  public var number: Int64? { if case .integer(let number) = self { number } else { nil } }
  public var string: String? { if case .text(let text) = self { text } else { nil } }
}
