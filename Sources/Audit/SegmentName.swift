/// The name of a segment file: `journal-`, the first sequence number in 20 digits, `.pj`.
enum SegmentName {
  private static let prefix = "journal-"
  private static let suffix = ".pj"

  static func name(first: UInt64) -> String {
    let digits = String(first)
    return prefix + String(repeating: "0", count: 20 - digits.utf8.count) + digits + suffix
  }

  /// The first sequence number, or nil where the name is no segment's.
  static func first(_ name: String) -> UInt64? {
    guard name.hasPrefix(prefix), name.hasSuffix(suffix) else { return nil }
    let digits = name.dropFirst(prefix.count).dropLast(suffix.count)
    guard digits.utf8.count == 20, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return UInt64(digits).flatMap { $0 < Frame.sequenceLimit ? $0 : nil }
  }

  /// The segments among a directory's names, oldest first.
  static func sorted(_ names: [String]) -> [UInt64] { names.compactMap { first($0) }.sorted() }
}
