import Chain
import Linux

extension JournalVerifier {
  /// - Parameter size: bytes that the segment had when it was opened.
  mutating func walk(_ cursor: inout SegmentCursor, _ size: UInt64) throws(SystemError) {
    while segment.following != nil || cursor.offset < size {
      let offset = cursor.offset
      switch try cursor.next() {
      case .frame(let frame): accept(frame, at: offset)
      case .damaged(let offset, let length): damaged(at: offset, length)
      case .end(let left):
        if left == 0 { return }
        if segment.following != nil {
          damaged(at: cursor.offset, left)
        } else if try isStill(cursor, left) {
          repaired(Repair(segment: segment.first, offset: cursor.offset, lost: left))
        }
        return
      }
    }
  }

  /// Whether nobody is writing what looks like a torn tail.
  private func isStill(_ cursor: borrowing SegmentCursor, _ left: UInt64) throws(SystemError) -> Bool {
    for _ in 0..<10 {
      if try cursor.size() != cursor.offset + left { return false }
      Clock.sleep(nanoseconds: 20_000_000)
    }
    return true
  }

  private mutating func damaged(at offset: UInt64, _ length: UInt64) {
    segment.isClean = false
    segment.anchor = nil
    doubts.append(
      Doubt(
        segment: segment.first, offset: offset, sequence: expected, kind: .damaged,
        text: "\(length) bytes at \(offset) are no record"))
  }

  private mutating func accept(_ frame: [UInt8], at offset: UInt64) {
    let sequence = Frame.sequence(frame.span, at: 0)
    if let following = segment.following, sequence >= following { return superseded(frame, sequence, at: offset) }
    let isSealed = Frame.isSealed(frame.span, at: 0, length: frame.count)
    let digest = isSealed ? Frame.digest(frame, 0..<frame.count) : []
    if isSealed { segment.hash.add(digest) }
    let record = try? AuditRecord(decoding: frame)
    let last = max(sequence, record?.gap?.last ?? 0)
    guard sequence >= expected else { return again(sequence, last) }
    let most = sequence - expected + 1
    if sequence > expected {
      note(missing: expected, sequence - 1)
      segment.anchor = nil
      segment.isClean = false
    }
    expected = last &+ 1
    result.records += 1
    if segment.isUnkeyed { result.unkeyed += 1 }
    result.kept = Verification.Range(first: result.kept?.first ?? sequence, last: last)
    guard isSealed else {
      segment.anchor = nil
      return bad(.foreign, sequence, "a record without a tag")
    }
    if isAuthentic(frame, digest, sequence, most) { trust(record, sequence) }
    let epoch = Frame.epoch(frame.span, at: 0)
    note(epoch, of: segment.chain)
    if let chain = segment.chain, chain == state?.chain, let running = state?.key.epoch, epoch >= running,
      result.openFrom == nil
    {
      result.openFrom = sequence
    }
    for number in segment.due.removeValue(forKey: last) ?? [] {
      outcomes[number] = segment.hash.value == checkpoints[number].position.hash ? .matches : .differs
    }
  }

  /// Compares the tag, where the first key is known. A record that cannot be compared counts as authentic only where no
  /// key is known at all.
  private mutating func isAuthentic(_ frame: [UInt8], _ digest: [UInt8], _ sequence: UInt64, _ most: UInt64) -> Bool {
    let tag = Frame.tag(frame.span, at: 0)
    let anchor = segment.anchor
    segment.anchor = tag
    guard let chain = segment.chain, var key = keys[chain] else { return true }
    guard let anchor else {
      segment.followsBad = true
      result.unverified += 1
      return false
    }
    let from = key.epoch
    if lead(&key, of: chain, to: Frame.epoch(frame.span, at: 0), most: most),
      key.tag(digest: digest, previous: anchor) == tag
    {
      keys[chain] = key
      segment.followsBad = false
      return true
    }
    budget -= min(budget, key.epoch - from)
    if segment.followsBad {
      result.unverified += 1
    } else {
      segment.followsBad = true
      bad(.altered, sequence, "its tag does not fit")
    }
    return false
  }

  /// A record that the next segment has in its place: withdrawn, if the chain went on with it; else somebody put it there.
  private mutating func superseded(_ frame: [UInt8], _ sequence: UInt64, at offset: UInt64) {
    var withdrawn =
      segment.withdrawn
      ?? (
        segment.chain.flatMap { keys[$0] }, segment.anchor,
        Repair(segment: segment.first, offset: offset, lost: 0)
      )
    guard Frame.isSealed(frame.span, at: 0, length: frame.count) else {
      return bad(.foreign, sequence, "a record without a tag")
    }
    let tag = Frame.tag(frame.span, at: 0)
    if let chain = segment.chain, var key = withdrawn.key, let anchor = withdrawn.anchor {
      let from = key.epoch
      guard lead(&key, of: chain, to: Frame.epoch(frame.span, at: 0), most: Frame.sequenceLimit),
        key.tag(digest: Frame.digest(frame, 0..<frame.count), previous: anchor) == tag
      else {
        budget -= min(budget, key.epoch - from)
        return bad(.foreign, sequence, "a record that the next segment has in its place, and not the writer's")
      }
      withdrawn.key = key
    }
    withdrawn.anchor = tag
    withdrawn.repair.lost += UInt64(frame.count)
    segment.withdrawn = withdrawn
  }

  /// A number that has been passed: it stood elsewhere, or stands here again.
  private mutating func again(_ first: UInt64, _ last: UInt64) {
    for (index, range) in result.missing.enumerated() where range.first <= first && last <= range.last {
      var left: [Verification.Range] = []
      if range.first < first { left.append(Verification.Range(first: range.first, last: first - 1)) }
      if last < range.last { left.append(Verification.Range(first: last + 1, last: range.last)) }
      result.missing.replaceSubrange(index...index, with: left)
      result.records += 1
      return bad(.misplaced, first, "it stands behind a later one")
    }
    bad(.duplicated, first, "its number stands in the journal already")
  }

  /// What a record says of the journal itself.
  private mutating func trust(_ record: AuditRecord?, _ sequence: UInt64) {
    guard let record else { return }
    if let repair = record.repair, record.kind == .repair {
      result.repairs.append(Verification.RepairedTail(sequence: sequence, repair: repair))
    }
    if let removal = record.removal, record.kind == .removal { removals.append(removal) }
    if let gap = record.gap, record.kind == .gap { gap.addLost(to: &result.dropped) }
  }
}
