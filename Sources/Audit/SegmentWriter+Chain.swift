import Chain
import Linux

extension SegmentWriter {
  /// Ends the epoch if it is over, or in any case at the journal's end, and puts the next one's key in the place of its.
  ///
  /// Under load one replacement ends several epochs: it costs two syncs, which 200 epochs a second cannot pay.
  ///
  /// - Parameters:
  ///   - durable: the last sequence number on disk.
  ///   - isEnd: nothing more will be written.
  ///   - removal: what is about to be removed, which the file takes note of.
  /// - Returns: the errno where it failed; it is tried again.
  mutating func storeKey(now: AuditTime, durable: UInt64, isEnd: Bool, removal: Removal? = nil) -> Int32? {
    // The key of what is not on disk yet is still needed: it may have to be sealed again.
    guard !hasUnsynchronized else { return nil }
    sealer.turn(at: now.boottime, isEnd: isEnd)
    sealed.turn(at: now.boottime, isEnd: isEnd)
    let isDue = isEnd || now.boottime >= stored.at &+ SegmentWriter.leastKeyInterval
    guard removal != nil || (sealer.key.epoch > stored.epoch && isDue) else { return nil }
    stored.at = now.boottime
    do {
      try check(.storeKey)
      try keyFile.store(
        KeyState(
          source: sealer.source, chain: sealer.chain, key: sealer.key, durable: durable,
          removed: removal.map { $0.first == 1 ? $0.last : removed } ?? removed))
      stored.epoch = sealer.key.epoch
      return nil
    } catch { return error.errno }
  }

  /// Nanoseconds.
  private static var leastKeyInterval: UInt64 { 200_000_000 }

  /// The last number that the retention is known to have removed.
  var removed: UInt64 { keyFile.state.removed }

  /// When a key waits to be stored that could not be or was not due; boottime nanoseconds.
  var keyDue: UInt64? { sealer.key.epoch > stored.epoch ? stored.at &+ SegmentWriter.leastKeyInterval : nil }

  /// What a checkpoint of now would say; nil: something is not on disk, or there is nothing to say.
  func position(durable: UInt64) -> Checkpoint.Position? {
    guard !hasUnsynchronized, let first = firstOfSegment, durable >= first else { return nil }
    return Checkpoint.Position(
      source: sealed.source, chain: sealed.chain, segment: first, sequence: durable, epoch: sealed.key.epoch,
      hash: sealed.hash)
  }

  /// Lays the checkpoint down beside the segments, for `postern audit checkpoint`; a failure leaves the one before.
  func keep(_ checkpoint: Checkpoint) {
    try? directory.replace(Checkpoint.fileName, with: Array((checkpoint.text + "\n").utf8))
  }
}
