/// How large the parts of a message may be, in bytes unless said otherwise.
public enum Bounds {
  /// Body of one control message.
  public static let body = 65_536
  /// A control message with its header: what a receive buffer needs.
  public static let controlMessage = ControlHeader.size + body
  /// A name: object, application, version, feature.
  public static let name = 255
  /// Any other string: path, reason, message.
  public static let text = 4096
  /// One audit record.
  public static let record = 16_384
  /// Instructions in one datagram, and completions in one.
  public static let batch = 64
  /// All payloads of one channel datagram together.
  public static let payload = 65_536
  /// A datagram of instructions: what a receive buffer needs.
  public static let instructionDatagram = BatchHeader.size + batch * InstructionFrame.size + payload
  /// A datagram of completions: what a receive buffer needs.
  public static let completionDatagram = BatchHeader.size + batch * CompletionFrame.size + payload
}
