import Chain

/// Where the chain stands: seals one frame after the other.
///
/// A value: the writer keeps the one that goes with what is on disk, and returns to it where a write is in doubt.
struct Sealer: Sendable {
  /// Records and nanoseconds after which an epoch ends.
  static let epochRecords = 1024
  static let epochDuration: UInt64 = 1_000_000_000

  private(set) var key: ChainKey
  let source: JournalID
  let chain: JournalID
  /// The tag that the next one is chained to.
  private var previous: [UInt8]
  /// The hash of the segment until now.
  private var running = SegmentHash()
  /// Records that this epoch has.
  private(set) var records = 0
  /// When its first one was sealed; boottime nanoseconds.
  private(set) var began: UInt64 = 0

  /// - Parameters:
  ///   - key: of an epoch that has no records yet.
  ///   - hash: of the journal's last segment.
  init(key: ChainKey, source: JournalID, chain: JournalID, hash: SegmentHash, previous: [UInt8]) {
    self.key = key
    self.source = source
    self.chain = chain
    running = hash
    self.previous = previous
  }

  /// What a checkpoint of now would sign.
  var hash: [UInt8] { running.value }

  func isOver(at boottime: UInt64) -> Bool {
    records >= Sealer.epochRecords || (records > 0 && boottime >= began &+ Sealer.epochDuration)
  }

  /// Begins the next epoch if this one is over, or has a record and is to end.
  mutating func turn(at boottime: UInt64, isEnd: Bool = false) {
    guard isOver(at: boottime) || (isEnd && records > 0) else { return }
    key.evolve()
    records = 0
  }

  /// Puts epoch, tag, marker and checksum into the frame at `range`.
  mutating func seal(_ bytes: inout [UInt8], _ range: Range<Int>, marker: UInt32, at boottime: UInt64) {
    turn(at: boottime)
    if records == 0 { began = boottime }
    records += 1
    bytes.putLittleEndian32(UInt32(truncatingIfNeeded: key.epoch), at: range.lowerBound + 24)
    bytes.putLittleEndian32(UInt32(truncatingIfNeeded: key.epoch >> 32), at: range.lowerBound + 28)
    let digest = Frame.digest(bytes, range)
    previous = key.tag(digest: digest, previous: previous)
    for (index, byte) in previous.enumerated() { bytes[range.lowerBound + 32 + index] = byte }
    running.add(digest)
    Frame.protect(&bytes, range, marker: marker)
  }

  /// The head of a segment that follows.
  mutating func head(marker: UInt32, first: UInt64, created: UInt64) -> SegmentHeader {
    var header = SegmentHeader(
      marker: marker, first: first, created: created, source: source, chain: chain, epoch: key.epoch,
      before: running.value)
    let digest = header.digest
    header.tag = key.tag(digest: digest, previous: Sealer.noTag)
    previous = header.tag
    running = SegmentHash(head: digest)
    return header
  }

  /// What the tag of a segment's head is chained to: a segment can be verified when those before it are gone.
  static let noTag = [UInt8](repeating: 0, count: ChainKey.tagLength)
}

/// The hash of a segment: SHA-256 over the digests of its head and of its records, in order. Needs no key.
struct SegmentHash: Sendable {
  private var running: RunningHash?

  /// Of no segment.
  init() {}

  init(head digest: [UInt8]) {
    var hash = RunningHash()
    hash.add(digest)
    running = hash
  }

  mutating func add(_ digest: [UInt8]) { running?.add(digest) }

  /// 32 bytes; zero: of no segment, or of one whose head could not be read.
  var value: [UInt8] { running?.value ?? SegmentHash.unknown }

  static let unknown = [UInt8](repeating: 0, count: RecordDigest.length)
}
