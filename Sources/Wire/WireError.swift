/// Why bytes are not a message, or a value cannot become one. Nothing was changed.
public enum WireError: Error, Sendable, Hashable {
  /// The bytes end before the field does.
  case truncated
  /// A message, payload or value is larger than its bound.
  case oversized
  /// The first bytes are not this protocol's, or of a version not known.
  case badMagic
  /// A type or opcode that does not exist, or not in this direction.
  case unknownType
  /// A stated length is not the one that the bytes or the opcode have.
  case badLength
  /// Not UTF-8, has a NUL, or is longer than its field allows.
  case badString(Field)
  /// A value outside the field's closed set, or a reserved bit that is not zero.
  case badValue(Field)
  /// Bytes are left over after the last field.
  case trailingBytes
  /// More rows, instructions or completions than one message may have, or none where one is needed.
  case badCount

  /// The field that a value was wrong in.
  public enum Field: Sendable, Hashable {
    case reserved, flags, version, name, text, message, executable
    case operations, path, kind, state, reason, detail, errno, family, outcome, severity, features, readiness
    case requestID, identity
  }
}
