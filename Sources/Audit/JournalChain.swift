import Chain
import Linux

/// How a journal's chain goes on when it is opened: with the key that was kept, or with a new one.
struct JournalChain: ~Copyable {
  var sealer: Sealer
  var keyFile: KeyFile
  /// The epoch whose key the file has.
  var storedEpoch: UInt64
  let signer: SigningKey
  /// The last sequence number that was on disk when the key was stored.
  var durable: UInt64
  /// A new first key was made: its card waits.
  var isNew: Bool
  /// Files that were made and are to be on disk before the first record is. A broker that starts does not wait for them.
  static let madeFiles = [signerName, KeyCard.fileName, KeyFile.name]

  /// Epochs that a key is set forward at most: a broker that was killed has stored the key of some epochs before. A
  /// frame that claims more is damage or a trap.
  static let mostEpochsBehind: UInt64 = 1 << 20

  init(_ directory: borrowing JournalDirectory, _ link: JournalRecovery.Link?) throws(SystemError) {
    let signer = try JournalChain.signer(directory)
    var kept = try KeyFile.open(directory)
    if let state = kept?.state, JournalChain.continues(state, link), let file = kept.take() {
      self.init(file, link, signer, isNew: false)
    } else {
      let made = try JournalChain.made(directory, link, signer)
      self.init(made, link, signer, isNew: true)
    }
  }

  private init(
    _ file: consuming KeyFile, _ link: JournalRecovery.Link?, _ signer: SigningKey, isNew: Bool
  ) {
    let state = file.state
    var key = state.key
    // What an earlier process has sealed stays in an epoch of its own, be it a segment's head and nothing else: that may be
    // some epochs ahead of the key that was stored last.
    if !isNew, let link, link.epoch >= key.epoch { key.evolve(to: link.epoch + 1) }
    sealer = Sealer(
      key: key, source: state.source, chain: state.chain, hash: link?.hash ?? SegmentHash(),
      previous: link?.tag ?? Sealer.noTag)
    storedEpoch = state.key.epoch
    durable = state.durable
    self.signer = signer
    self.isNew = isNew
    keyFile = file
  }

  /// Begins a chain of its own, in the journal that `link` is of where there is one.
  private static func made(
    _ directory: borrowing JournalDirectory, _ link: JournalRecovery.Link?, _ signer: SigningKey
  ) throws(SystemError) -> KeyFile {
    let secret = (0..<ChainKey.length).map { _ in UInt8.random(in: 0...255) }
    let card = KeyCard(
      source: link?.source ?? JournalID.random(), chain: JournalID.random(), secret: secret, signer: signer.publicKey)
    // The card first: a key without one would be a chain that nobody can ever verify.
    try card.lay(in: directory)
    return try KeyFile.create(
      directory,
      KeyState(source: card.source, chain: card.chain, key: ChainKey(epoch: 0, secret: secret), durable: 0))
  }

  private static func continues(_ state: KeyState, _ link: JournalRecovery.Link?) -> Bool {
    guard let link else { return true }
    return link.source == state.source && link.chain == state.chain
      && link.epoch <= state.key.epoch + mostEpochsBehind
  }

  private static let signerName = "journal.signer"

  static func existingSigner(_ directory: borrowing JournalDirectory) throws(SystemError) -> SigningKey? {
    try directory.contents(signerName, limit: SigningKey.length + 1).flatMap { SigningKey(seed: $0) }
  }

  /// The key that signs checkpoints; one that is gone or damaged is replaced, and then checkpoints name another signer.
  private static func signer(_ directory: borrowing JournalDirectory) throws(SystemError) -> SigningKey {
    if let key = try existingSigner(directory) { return key }
    let seed = (0..<SigningKey.length).map { _ in UInt8.random(in: 0...255) }
    guard let key = SigningKey(seed: seed) else { throw SystemError(errno: 0, operation: "Ed25519", path: signerName) }
    try directory.erase(signerName)
    try directory.write(seed, to: signerName)
    return key
  }
}
