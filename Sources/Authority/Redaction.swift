/// Fields of records that a policy keeps out of the journal (`audit: redact`). The raw value stands in the record.
public struct Redaction: OptionSet, Sendable, Hashable {
  public var rawValue: UInt32

  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Offset, length, request number and address of the instruction.
  public static let operands = Redaction(rawValue: 1 << 0)
  /// Of the operands the address alone.
  public static let address = Redaction(rawValue: 1 << 1)
  /// Path, device and inode of the asker's program.
  public static let executable = Redaction(rawValue: 1 << 2)
  public static let cgroup = Redaction(rawValue: 1 << 3)
  public static let message = Redaction(rawValue: 1 << 4)
  /// The grant that matched or came nearest.
  public static let grant = Redaction(rawValue: 1 << 5)

  private static let words: [(word: String, field: Redaction)] = [
    ("operands", .operands), ("address", .address), ("executable", .executable), ("cgroup", .cgroup),
    ("message", .message), ("grant", .grant),
  ]

  /// The policy's words, in a fixed order.
  public var names: [String] { Redaction.words.filter { contains($0.field) }.map(\.word) }

  public static var allNames: [String] { words.map(\.word) }

  /// nil: no field has this word.
  public init?(name: String) {
    guard let entry = Redaction.words.first(where: { $0.word == name }) else { return nil }
    self = entry.field
  }
}
