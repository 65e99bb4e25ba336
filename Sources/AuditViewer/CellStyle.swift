/// What a cell means; how that looks is the terminal's matter.
public struct CellStyle: Sendable, Hashable {
  public enum Role: Sendable, Hashable {
    case plain
    case faint
    case strong
    case bad
    case good
    case doubtful
    case accent
  }

  public var role: Role
  /// Foreground and background change places.
  public var isReversed: Bool

  public init(_ role: Role = .plain, isReversed: Bool = false) {
    self.role = role
    self.isReversed = isReversed
  }

  public static let plain = CellStyle()
  public static let faint = CellStyle(.faint)
  public static let strong = CellStyle(.strong)
  public static let bad = CellStyle(.bad)
  public static let good = CellStyle(.good)
  public static let doubtful = CellStyle(.doubtful)
  public static let accent = CellStyle(.accent)
  public static let bar = CellStyle(.strong, isReversed: true)

  /// The parameters of SGR (console_codes(4)) behind a reset. Without colours there is still bold and reverse.
  func parameters(coloured: Bool) -> String {
    var list: [String] = []
    switch role {
    case .plain: break
    case .faint: if coloured { list.append("90") }
    case .strong: list.append("1")
    case .bad: list += coloured ? ["1", "31"] : ["1"]
    case .good: if coloured { list.append("32") }
    case .doubtful: if coloured { list.append("33") }
    case .accent: list += coloured ? ["1", "36"] : ["1"]
    }
    if isReversed { list.append("7") }
    return list.isEmpty ? "0" : "0;" + list.joined(separator: ";")
  }
}
