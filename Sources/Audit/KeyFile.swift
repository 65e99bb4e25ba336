import Chain
import Linux

/// What `journal.key` holds: the key that continues the chain, and how far the journal was on disk then.
struct KeyState: Sendable {
  var source: JournalID
  var chain: JournalID
  var key: ChainKey
  /// The last sequence number on disk when it was written.
  var durable: UInt64
  /// The retention has removed everything up to this number.
  var removed: UInt64 = 0

  /// Bytes that stand in a slot:
  ///
  ///     0   8  "POSTERNK"
  ///     8   2  format version, 1
  ///     10  6  zero
  ///     16  8  revision: the slot with the higher one counts
  ///     24  16 source
  ///     40  16 chain
  ///     56  8  epoch
  ///     64  32 secret of the epoch
  ///     96  8  last sequence number on disk
  ///     104 8  last sequence number that the retention has removed
  ///     112 12 zero
  ///     124 4  CRC32C of bytes 0..<124
  static let length = 128
  private static let magic = Array("POSTERNK".utf8)

  func encoded(revision: UInt64) -> [UInt8] {
    var bytes = KeyState.magic
    bytes.appendLittleEndian(UInt64(1))
    bytes.appendLittleEndian(revision)
    bytes.append(contentsOf: source.bytes)
    bytes.append(contentsOf: chain.bytes)
    bytes.appendLittleEndian(key.epoch)
    bytes.append(contentsOf: key.secret)
    bytes.appendLittleEndian(durable)
    bytes.appendLittleEndian(removed)
    bytes.append(contentsOf: repeatElement(0, count: 12))
    bytes.appendLittleEndian(CRC32C.checksum(bytes.span, 0..<124))
    return bytes
  }

  /// nil: no whole slot.
  static func decoded(_ bytes: Span<UInt8>) -> (state: KeyState, revision: UInt64)? {
    guard bytes.count >= length else { return nil }
    for (index, byte) in magic.enumerated() where bytes[index] != byte { return nil }
    guard littleEndian64(bytes, at: 8) == 1,
      littleEndian32(bytes, at: 124) == CRC32C.checksum(bytes, 0..<124)
    else { return nil }
    for offset in [16, 56, 96, 104] where littleEndian64(bytes, at: offset) >= Frame.sequenceLimit { return nil }
    let key = ChainKey(epoch: littleEndian64(bytes, at: 56), secret: copy(bytes, 64..<96))
    return (
      KeyState(
        source: JournalID(bytes, at: 24), chain: JournalID(bytes, at: 40), key: key,
        durable: littleEndian64(bytes, at: 96), removed: littleEndian64(bytes, at: 104)),
      littleEndian64(bytes, at: 16)
    )
  }
}

/// The file that has the chain's current key and no earlier one.
///
/// Two slots take turns: the new key is written into the free one and brought to disk, then the old one is overwritten
/// in place and that brought to disk. At every moment one of them is whole. A file that is renamed over another would
/// leave the old key in blocks that nobody overwrites, and needs room on a disk that may be full; this one was given its
/// room when it was made.
struct KeyFile: ~Copyable {
  static let name = "journal.key"
  /// Slots lie in different sectors, so that a torn write of one leaves the other alone.
  static let slotDistance: UInt64 = 4096

  private let file: JournalFile
  /// What the file has.
  private(set) var state: KeyState
  private var revision: UInt64
  /// The slot that holds the current key.
  private var slot: UInt64

  /// Opens the file; nil: there is none, or no slot of it is whole.
  static func open(_ directory: borrowing JournalDirectory) throws(SystemError) -> KeyFile? {
    guard let file = try directory.openToWrite(name) else { return nil }
    guard let (state, revision, slot) = try newest(file) else { return nil }
    var other: [UInt8] = []
    _ = try file.read(into: &other, count: KeyState.length, at: (1 - slot) * slotDistance)
    var opened = KeyFile(file: file, state: state, revision: revision, slot: slot)
    // What a process that ended between its two writes has left there.
    if other.contains(where: { $0 != 0 }) { try opened.clear(1 - slot) }
    return opened
  }

  /// The state without opening it for writing, for verifiers; nil: there is none.
  static func read(_ directory: borrowing JournalDirectory) throws(SystemError) -> KeyState? {
    guard let file = try directory.openToRead(name) else { return nil }
    return try newest(file)?.state
  }

  /// Makes the file, or makes it anew, with its first state; the caller brings it to disk.
  static func create(_ directory: borrowing JournalDirectory, _ state: KeyState) throws(SystemError) -> KeyFile {
    // What stands there is no key of this chain, and may be one of another.
    try directory.erase(name)
    // Both slots get their room on the disk now.
    try directory.write(state.encoded(revision: 1) + [UInt8](repeating: 0, count: Int(slotDistance)), to: name)
    guard let file = try directory.openToWrite(name) else {
      throw SystemError(errno: ErrorCode.noSuchEntry, operation: "open", path: name)
    }
    return KeyFile(file: file, state: state, revision: 1, slot: 0)
  }

  private init(file: consuming JournalFile, state: KeyState, revision: UInt64, slot: UInt64) {
    self.file = file
    self.state = state
    self.revision = revision
    self.slot = slot
  }

  /// Puts `state` in the place of the one before, which is gone from the file when this returns.
  ///
  /// On failure the one before still counts, or both are there until the next call or opening.
  mutating func store(_ state: KeyState) throws(SystemError) {
    let free = 1 - slot
    try write(state.encoded(revision: revision + 1), at: free)
    revision += 1
    slot = free
    self.state.key.erase()
    self.state = state
    try clear(1 - free)
  }

  private mutating func clear(_ slot: UInt64) throws(SystemError) {
    try write([UInt8](repeating: 0, count: KeyState.length), at: slot)
  }

  private borrowing func write(_ bytes: [UInt8], at slot: UInt64) throws(SystemError) {
    var done = 0
    while done < bytes.count {
      done += try file.write(
        bytes.span.extracting(done..<bytes.count), at: slot * KeyFile.slotDistance + UInt64(done))
    }
    try file.synchronize()
  }

  private static func newest(_ file: borrowing JournalFile) throws(SystemError) -> (
    state: KeyState, revision: UInt64, slot: UInt64
  )? {
    var found: (state: KeyState, revision: UInt64, slot: UInt64)?
    for slot in 0...1 as ClosedRange<UInt64> {
      var bytes: [UInt8] = []
      _ = try file.read(into: &bytes, count: KeyState.length, at: slot * slotDistance)
      guard let (state, revision) = KeyState.decoded(bytes.span), revision > found?.revision ?? 0 else { continue }
      found = (state, revision, slot)
    }
    return found
  }
}
