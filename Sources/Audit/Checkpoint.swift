import Chain
import Linux

/// A signed statement of how far the journal was, and what it said until there, to be kept where whoever can change the
/// journal cannot: with it a removed end is found, and without any key what was changed before it.
public struct Checkpoint: Sendable, Hashable {
  public struct Position: Sendable, Hashable {
    public var source: JournalID
    public var chain: JournalID
    /// The first sequence number of the segment.
    public var segment: UInt64
    /// The last sequence number on disk.
    public var sequence: UInt64
    /// The epoch that was running.
    public var epoch: UInt64
    /// The segment's hash up to that record; 32 bytes.
    public var hash: [UInt8]
  }

  public var position: Position
  /// Wall nanoseconds.
  public var time: UInt64
  /// The public key that signed it.
  public var signer: [UInt8]
  public var signature: [UInt8]

  /// nil: it could not be signed.
  init?(_ position: Position, time: UInt64, by key: SigningKey) {
    self.position = position
    self.time = time
    signer = key.publicKey
    signature = []
    guard let signature = key.signature(of: Array(statement.utf8)) else { return nil }
    self.signature = signature
  }

  /// What is signed: the line up to the signature.
  private var statement: String {
    "postern-checkpoint 1 source=\(position.source.text) chain=\(position.chain.text) segment=\(position.segment)"
      + " sequence=\(position.sequence) epoch=\(position.epoch) hash=\(Hexadecimal.text(position.hash))"
      + " time=\(time) signer=\(Hexadecimal.text(signer))"
  }

  /// One line without its newline.
  public var text: String { statement + " signature=" + Hexadecimal.text(signature) }

  /// Whether the signature is that of `signer`; whose key that is, is for the caller to know.
  public var isSigned: Bool { SigningKey.isValid(signature, of: Array(statement.utf8), by: signer) }

  /// A line; nil: no checkpoint. Its signature is not looked at.
  public init?(line: some StringProtocol) {
    let words = line.split(separator: " ")
    guard words.count == 11, words[0] == "postern-checkpoint", words[1] == "1" else { return nil }
    func value(_ index: Int, _ name: String) -> Substring? {
      let word = words[index]
      guard let equals = word.firstIndex(of: "="), word[..<equals] == name else { return nil }
      return Substring(word[word.index(after: equals)...])
    }
    func number(_ index: Int, _ name: String) -> UInt64? { value(index, name).flatMap { UInt64($0) } }
    func bytes(_ index: Int, _ name: String, _ count: Int) -> [UInt8]? {
      guard let bytes = value(index, name).flatMap({ Hexadecimal.bytes($0) }), bytes.count == count else { return nil }
      return bytes
    }
    guard let source = value(2, "source").flatMap({ JournalID(text: $0) }),
      let chain = value(3, "chain").flatMap({ JournalID(text: $0) }), let segment = number(4, "segment"),
      let sequence = number(5, "sequence"), let epoch = number(6, "epoch"),
      let hash = bytes(7, "hash", RecordDigest.length), let time = number(8, "time"),
      let signer = bytes(9, "signer", SigningKey.length), let signature = bytes(10, "signature", 64)
    else { return nil }
    position = Position(
      source: source, chain: chain, segment: segment, sequence: sequence, epoch: epoch, hash: hash)
    self.time = time
    self.signer = signer
    self.signature = signature
    guard segment <= sequence, sequence < Frame.sequenceLimit else { return nil }
    // A number has several spellings, and the signature is of one.
    guard text == String(line) else { return nil }
  }

  /// The checkpoints in a text that has other lines too: an export, a log.
  public static func all(in text: String) -> [Checkpoint] {
    text.split(whereSeparator: \.isNewline).compactMap { line in
      line.indices.first { line[$0...].hasPrefix("postern-checkpoint 1 ") }
        .flatMap { Checkpoint(line: line[$0...].prefix { $0 != "\"" }) }
    }
  }

  /// The newest one of the journal in a directory; nil: none.
  public static func newest(directory path: String) throws(JournalError) -> Checkpoint? {
    do {
      let directory = try JournalDirectory(path: path)
      guard let bytes = try directory.contents(fileName, limit: 4096) else { return nil }
      return all(in: String(decoding: bytes, as: UTF8.self)).last
    } catch { throw .system(error) }
  }

  /// The newest one, as it lies in the journal's own directory.
  static let fileName = "journal.checkpoint"
}
