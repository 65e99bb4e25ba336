import Chain
import Linux

/// Walks over a whole journal and compares it with its keys and with checkpoints.
///
/// Beside a writer it looks at what was written when it came to the last segment.
struct JournalVerifier: ~Copyable {
  let directory: JournalDirectory
  let cards: [KeyCard]
  let checkpoints: [Checkpoint]
  /// For each chain whose first key is known, how far it was led.
  var keys: [JournalID: ChainKey] = [:]
  /// What the key file says, read before anything else: what was on disk by then has to be found.
  let state: KeyState?
  /// Whether the key file's key is its chain's, as leading that to the same epoch has shown; nil: it was not led so far.
  var isStateOfChain: Bool?
  /// The last epoch of the key file's chain that something was sealed in; nil: nothing was.
  var lastEpoch: UInt64?
  /// The chain of the last segment whose head can be read.
  var lastChain: JournalID?
  /// No head behind that one is damaged.
  var isEndReadable = true
  /// Steps that keys are led in vain at most, for frames that claim an epoch far ahead.
  var budget: UInt64 = 1 << 26

  var result = Verification()
  /// The number that comes next.
  var expected: UInt64 = 1
  /// What the walk is in.
  var segment = Segment(first: 0, following: nil)
  var previous: Segment?
  var removals: [Removal] = []
  /// Places that a repair record may explain.
  var doubts: [Doubt] = []
  var outcomes: [Verification.CheckpointResult.Outcome?]

  struct Segment {
    var first: UInt64
    var following: UInt64?
    var chain: JournalID?
    /// No first key of its chain was given.
    var isUnkeyed = false
    var hash = SegmentHash()
    /// The tag that the next record is chained to; nil: what is before is bad or missing.
    var anchor: [UInt8]?
    /// The record before was bad, so that its tag may be too.
    var followsBad = false
    /// Nothing bad so far.
    var isClean = true
    /// Where records that the next segment supersedes are: the chain went on there, and was taken back.
    var withdrawn: (key: ChainKey?, anchor: [UInt8]?, repair: Repair)?
    /// Checkpoints by the number that they speak of.
    var due: [UInt64: [Int]] = [:]
  }

  struct Doubt {
    var segment: UInt64
    var offset: UInt64
    var sequence: UInt64
    var kind: Verification.Finding.Kind
    var text: String
  }

  /// - Parameters:
  ///   - state: what the key file says now.
  ///   - isKeyWaiting: whether the first key lies in the directory.
  init(
    _ directory: consuming JournalDirectory, _ cards: [KeyCard], _ checkpoints: [Checkpoint], _ state: KeyState?,
    isKeyWaiting: Bool
  ) {
    self.directory = directory
    self.cards = cards
    self.checkpoints = checkpoints
    self.state = state
    for card in cards {
      if let secret = card.secret { keys[card.chain] = ChainKey(epoch: 0, secret: secret) }
    }
    outcomes = checkpoints.map { _ in nil }
    result.isKeyWaiting = isKeyWaiting
    result.isKeyed = !keys.isEmpty
  }

  mutating func walk() throws(SystemError) {
    let segments = SegmentName.sorted(try directory.names())
    result.source = cards.first?.source ?? state?.source
    result.isThere = state != nil || !segments.isEmpty
    for (number, checkpoint) in checkpoints.enumerated() { outcomes[number] = preliminary(checkpoint) }
    for (index, first) in segments.enumerated() {
      let isLast = index + 1 == segments.count
      noteWithdrawn()
      previous = index == 0 ? nil : segment
      segment = Segment(first: first, following: isLast ? nil : segments[index + 1])
      for (number, checkpoint) in checkpoints.enumerated()
      where outcomes[number] == nil && checkpoint.position.segment == first {
        segment.due[checkpoint.position.sequence, default: []].append(number)
      }
      // Gone since the names were read: a record of its removal will be found.
      guard let file = try directory.openToRead(SegmentName.name(first: first)) else { continue }
      let size = try file.size()
      if let opened = try SegmentCursor(file) {
        var cursor = opened
        accept(cursor.header)
        try walk(&cursor, size)
      } else if isLast, size <= UInt64(SegmentHeader.length) {
        // Being made, or torn while it was: no record was ever in it.
        if size > 0 { repaired(Repair(segment: first, offset: 0, lost: size)) }
      } else {
        segment.isClean = false
        isEndReadable = false
        result.find(
          .damaged, max(expected, first), in: first, "the segment's head is damaged: nothing in it is readable")
      }
    }
  }

  /// Takes note of what the segment that was walked over had withdrawn.
  mutating func noteWithdrawn() {
    guard let withdrawn = segment.withdrawn else { return }
    result.repairs.append(
      Verification.RepairedTail(sequence: nil, repair: withdrawn.repair, isWithdrawn: true))
    segment.withdrawn = nil
  }

  /// A tail that nobody has cut yet.
  mutating func repaired(_ repair: Repair) {
    result.repairs.append(Verification.RepairedTail(sequence: nil, repair: repair))
  }

  mutating func note(missing first: UInt64, _ last: UInt64) {
    guard first <= last else { return }
    result.missing.append(Verification.Range(first: first, last: last))
  }

  /// Leads a chain's key to an epoch; false: it lies behind, or further ahead than `most` allows.
  mutating func lead(_ key: inout ChainKey, of chain: JournalID, to epoch: UInt64, most: UInt64) -> Bool {
    guard epoch >= key.epoch, epoch - key.epoch <= min(most, budget) else { return false }
    if let state, chain == state.chain, key.epoch <= state.key.epoch, state.key.epoch <= epoch {
      key.evolve(to: state.key.epoch)
      isStateOfChain = key.secret == state.key.secret
    }
    key.evolve(to: epoch)
    return true
  }

  /// Takes note that something was sealed in an epoch.
  mutating func note(_ epoch: UInt64, of chain: JournalID?) {
    if let state, chain == state.chain { lastEpoch = max(lastEpoch ?? 0, epoch) }
  }

  private mutating func accept(_ header: SegmentHeader) {
    let first = header.first
    segment.chain = header.chain
    (lastChain, isEndReadable) = (header.chain, true)
    note(header.epoch, of: header.chain)
    if first != segment.first {
      bad(.altered, segment.first, "the segment's name and its head do not agree on its first number")
    }
    if let source = result.source, header.source != source {
      bad(.foreign, first, "the segment is of the journal \(header.source.text)")
    } else {
      result.source = header.source
    }
    if expected < first { note(missing: expected, first - 1) }
    // The writer knew the segment before; where something is bad or missing in between that has been found already.
    if let previous, previous.isClean, expected == first, previous.hash.value != SegmentHash.unknown,
      header.before != previous.hash.value
    {
      result.find(
        .altered, previous.first, in: previous.first,
        "the segment is not the one that the next one was written behind")
    }
    let digest = header.digest
    let most = first >= expected ? first - expected + 1 : 1
    expected = max(expected, first)
    segment.hash = SegmentHash(head: digest)
    segment.anchor = header.tag
    guard var key = keys[header.chain] else {
      segment.isUnkeyed = true
      if result.unkeyedFrom == nil { result.unkeyedFrom = first }
      return
    }
    let from = key.epoch
    if lead(&key, of: header.chain, to: header.epoch, most: most),
      key.tag(digest: digest, previous: Sealer.noTag) == header.tag
    {
      keys[header.chain] = key
    } else {
      budget -= min(budget, key.epoch - from)
      bad(.altered, first, "the tag of the segment's head does not fit")
    }
  }

  /// Finds something in the segment that the walk is in.
  mutating func bad(_ kind: Verification.Finding.Kind, _ sequence: UInt64, _ text: String) {
    segment.isClean = false
    result.find(kind, sequence, in: segment.first, text)
  }
}

extension Verification {
  /// Verifies the journal in a directory.
  ///
  /// - Parameters:
  ///   - cards: first keys of the chains in it; those without a secret say who signs checkpoints.
  ///   - checkpoints: that were kept elsewhere. The one that lies in the directory is taken too.
  public init(directory path: String, cards: [KeyCard] = [], checkpoints: [Checkpoint] = []) throws(JournalError) {
    let own = try Checkpoint.newest(directory: path).map { [$0] } ?? []
    do {
      let directory = try JournalDirectory(path: path)
      let state = try KeyFile.read(directory)
      let others = own.filter { !checkpoints.contains($0) }
      let isKeyWaiting = try directory.contents(KeyCard.fileName, limit: 1) != nil
      var verifier = JournalVerifier(
        directory, cards, checkpoints + others, state, isKeyWaiting: isKeyWaiting)
      try verifier.walk()
      self = verifier.concluded()
    } catch { throw .system(error) }
  }
}
