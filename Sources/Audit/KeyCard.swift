import Chain
import Linux

/// What `postern audit key` shows once and what verifying needs: the first key of a chain, and who signs its checkpoints.
public struct KeyCard: Sendable, Hashable {
  public var source: JournalID
  public var chain: JournalID
  /// The secret of epoch 0; nil: a card for checkpoints only.
  public var secret: [UInt8]?
  /// The public half of the key that signs checkpoints.
  public var signer: [UInt8]

  /// Its lines, as people keep them.
  public var text: String {
    var text = "postern-journal-key 1\nsource \(source.text)\nchain \(chain.text)\n"
    if let secret { text += "key \(Hexadecimal.text(secret))\n" }
    return text + "checkpoints \(Hexadecimal.text(signer))\n"
  }

  /// nil: not a card.
  public init?(text: some StringProtocol) {
    var lines = text.split(whereSeparator: \.isNewline).map { $0.split(separator: " ") }
    guard lines.first == ["postern-journal-key", "1"] else { return nil }
    lines.removeFirst()
    var fields: [String: [UInt8]] = [:]
    for line in lines {
      guard line.count == 2, let value = Hexadecimal.bytes(line[1]),
        fields.updateValue(value, forKey: String(line[0])) == nil
      else { return nil }
    }
    guard let source = fields.removeValue(forKey: "source"), source.count == 16,
      let chain = fields.removeValue(forKey: "chain"), chain.count == 16,
      let signer = fields.removeValue(forKey: "checkpoints"), signer.count == SigningKey.length
    else { return nil }
    secret = fields.removeValue(forKey: "key")
    guard fields.isEmpty, secret == nil || secret?.count == ChainKey.length else { return nil }
    self.source = JournalID(source.span, at: 0)
    self.chain = JournalID(chain.span, at: 0)
    self.signer = signer
  }

  init(source: JournalID, chain: JournalID, secret: [UInt8]?, signer: [UInt8]) {
    self.source = source
    self.chain = chain
    self.secret = secret
    self.signer = signer
  }

  public var secretText: String? { secret.map { Hexadecimal.text($0) } }
  public var signerText: String { Hexadecimal.text(signer) }

  /// What may be known of the chain that goes on in a directory; nil: there is none.
  public static func open(directory path: String) throws(JournalError) -> KeyCard? {
    do {
      let directory = try JournalDirectory(path: path)
      guard let state = try KeyFile.read(directory), let signer = try JournalChain.existingSigner(directory) else {
        return nil
      }
      return KeyCard(source: state.source, chain: state.chain, secret: nil, signer: signer.publicKey)
    } catch { throw .system(error) }
  }

  // MARK: The card that waits to be taken away

  /// Where the card of a new chain lies until somebody takes it.
  static let fileName = "journal.first-key"

  /// The card that nobody has taken yet; nil: none.
  public static func waiting(directory path: String) throws(JournalError) -> KeyCard? {
    do {
      let directory = try JournalDirectory(path: path)
      guard let bytes = try directory.contents(fileName, limit: 4096) else { return nil }
      return KeyCard(text: String(decoding: bytes, as: UTF8.self))
    } catch { throw .system(error) }
  }

  /// Overwrites and removes it: from now on it is only where it was shown.
  public static func forget(directory path: String) throws(JournalError) {
    do {
      let directory = try JournalDirectory(path: path)
      try directory.erase(fileName)
    } catch { throw .system(error) }
  }

  /// Lays the card down; the caller brings it to disk. What was left over from a chain that nobody has a record of goes.
  func lay(in directory: borrowing JournalDirectory) throws(SystemError) {
    try directory.erase(KeyCard.fileName)
    try directory.write(Array(text.utf8), to: KeyCard.fileName)
  }
}
