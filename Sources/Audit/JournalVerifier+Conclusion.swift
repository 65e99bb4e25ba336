import Chain

extension JournalVerifier {
  /// What can be said of a checkpoint before the journal is looked at; nil: it counts.
  func preliminary(_ checkpoint: Checkpoint) -> Verification.CheckpointResult.Outcome? {
    if let source = result.source, checkpoint.position.source != source { return .foreign }
    let signers = cards.filter { $0.source == checkpoint.position.source }.map(\.signer)
    if !signers.isEmpty, !signers.contains(checkpoint.signer) { return .unsigned }
    return checkpoint.isSigned ? nil : .unsigned
  }

  /// Both verdicts, when the walk is over.
  consuming func concluded() -> Verification {
    noteWithdrawn()
    weighDoubts()
    for removal in removals { forgive(removal) }
    result.removed = removals.map(\.last).max() ?? 0
    compareKeyFile()
    compareCheckpoints()
    result.missing = JournalVerifier.joined(result.missing)
    if result.findingCount > 0 {
      result.integrity = .violated
    } else if !result.isKeyed {
      result.integrity = .unkeyed
    } else {
      result.integrity = isCovered ? .intact : .uncovered
    }
    if !result.missing.isEmpty || result.lostEpochs > 0 {
      result.completeness = .incomplete
    } else {
      result.completeness = result.repairs.isEmpty ? .complete : .repaired
    }
    return result
  }

  /// Damage that a repair speaks of is what it says, other damage is a finding; what was withdrawn is told once.
  private mutating func weighDoubts() {
    for doubt in doubts
    where !result.repairs.contains(where: {
      $0.repair.segment == doubt.segment && $0.repair.offset > 0 && $0.repair.offset <= doubt.offset
    }) {
      result.find(doubt.kind, doubt.sequence, in: doubt.segment, doubt.text)
    }
    let told = result.repairs.filter { $0.sequence != nil }.map(\.repair.segment)
    result.repairs.removeAll { $0.isWithdrawn && told.contains($0.repair.segment) }
    result.findings.sort { ($0.segment, $0.sequence) < ($1.segment, $1.sequence) }
  }

  /// Takes what the retention has removed out of what is missing.
  private mutating func forgive(_ removal: Removal) {
    result.missing = result.missing.flatMap { range -> [Verification.Range] in
      guard removal.first <= range.last, removal.last >= range.first else { return [range] }
      var left: [Verification.Range] = []
      if range.first < removal.first { left.append(Verification.Range(first: range.first, last: removal.first - 1)) }
      if removal.last < range.last { left.append(Verification.Range(first: removal.last + 1, last: range.last)) }
      return left
    }
  }

  /// Whether a first key speaks for every record, and where there is none yet, for the chain that will begin.
  private var isCovered: Bool {
    if let state, result.records == 0 { return keys[state.chain] != nil && result.unkeyedFrom == nil }
    return result.unkeyedFrom == nil
  }

  private mutating func compareKeyFile() {
    guard let state, state.source == result.source else {
      result.lacksKeyFile = lastChain != nil
      return
    }
    if let lastChain, lastChain != state.chain { result.lacksKeyFile = true }
    if state.durable >= expected { note(missing: expected, state.durable) }
    // An epoch ends only behind something that it has sealed and that is on disk, and nobody can lead the key back.
    let ended = lastEpoch.map { min($0, .max - 1) + 1 } ?? 0
    if isEndReadable, state.key.epoch > ended { result.lostEpochs = state.key.epoch - ended }
    guard var key = keys[state.chain] else { return }
    _ = lead(&key, of: state.chain, to: state.key.epoch, most: .max)
    if isStateOfChain != true {
      result.find(
        .contradicted, expected, in: segment.first, "the key that would continue the chain is not the chain's")
    }
  }

  private mutating func compareCheckpoints() {
    for (number, checkpoint) in checkpoints.enumerated() {
      let position = checkpoint.position
      let outcome: Verification.CheckpointResult.Outcome
      if let known = outcomes[number] {
        outcome = known
      } else if position.sequence >= expected {
        outcome = .beyond
        note(missing: expected, position.sequence)
      } else if position.segment <= result.removed {
        outcome = .notKept
      } else {
        outcome = .differs
      }
      result.checkpoints.append(Verification.CheckpointResult(checkpoint: checkpoint, outcome: outcome))
      switch outcome {
      case .differs:
        result.find(
          .contradicted, position.segment, in: position.segment,
          "a checkpoint says something else of the records \(position.segment) to \(position.sequence)")
      case .unsigned:
        result.find(
          .contradicted, position.sequence, in: position.segment, "a checkpoint's signature is not its signer's")
      case .matches, .beyond, .notKept, .foreign: break
      }
    }
  }

  /// Ranges in order, those that touch as one.
  private static func joined(_ ranges: [Verification.Range]) -> [Verification.Range] {
    var joined: [Verification.Range] = []
    for range in ranges.sorted(by: { $0.first < $1.first }) {
      if let last = joined.last, range.first <= last.last &+ 1 {
        joined[joined.count - 1].last = max(last.last, range.last)
      } else {
        joined.append(range)
      }
    }
    return joined
  }
}
