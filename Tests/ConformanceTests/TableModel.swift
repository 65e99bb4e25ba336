import Authority
import Entity
import Instructions
import Linux

/// SplitMix64: the same operations again from a printed seed.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}

/// What the table should hold, kept in the simplest way: a dictionary that every operation walks.
struct TableModel {
  struct Key: Hashable {
    var object: ObjectID
    var process: ProcessResource
  }

  struct Record: Hashable {
    var application: ApplicationID
    var operations: OperationSet
    var state: AssociationState
    var expiry: UInt64
    var since: UInt64
    var generation: UInt32
    var keeps: Bool

    var holds: Bool { state == .live || state == .departed }
  }

  var records: [Key: Record] = [:]
  var generations: [ObjectID: UInt32] = [:]
  var present: Set<ObjectID> = []

  var live: Int { records.values.count { $0.state == .live } }

  func processes(of application: ApplicationID) -> Int {
    Set(records.filter { $0.value.application == application && $0.value.state == .live }.map(\.key.process)).count
  }

  func check(_ opcode: Opcode, _ key: Key) -> Reason? {
    guard present.contains(key.object) else { return .noSuchObject }
    guard let record = records[key] else { return .notAssociated }
    if record.state == .stale || record.generation != generations[key.object] { return .stale }
    switch record.state {
    case .revoked: return .revoked
    case .expired: return .expired
    case .live: return record.operations.contains(opcode) ? nil : .operation
    default: return .notAssociated
    }
  }

  mutating func open(_ key: Key, _ wanted: Record) -> Reason? {
    guard present.contains(key.object) else { return .noSuchObject }
    if records[key]?.state == .revoked { return .revoked }
    var made = wanted
    if let own = records[key], own.state == .live, own.application == wanted.application {
      made.operations.formUnion(own.operations)
      made.since = own.since
    }
    records[key] = made
    return nil
  }

  mutating func revalidate(
    _ key: Key, _ application: ApplicationID, from ancestor: ProcessResource, now: UInt64, expiry: UInt64
  ) -> Reason? {
    guard present.contains(key.object), let generation = generations[key.object] else { return .noSuchObject }
    var holder = ancestor == key.process ? nil : records[Key(object: key.object, process: ancestor)]
    if holder?.application != application { holder = nil }
    if let holder, holder.state == .stale || holder.generation != generation { return .stale }
    if records[key]?.state == .revoked || holder?.state == .revoked { return .revoked }
    guard let holder, holder.holds else { return .refused }
    if let own = records[key], own.state == .live, own.application == application { return nil }
    let ends: UInt64 = [expiry, holder.expiry].filter { $0 != 0 }.min() ?? 0
    records[key] = Record(
      application: application, operations: holder.operations, state: .live, expiry: ends, since: now,
      generation: generation, keeps: holder.keeps)
    return nil
  }

  mutating func end(_ selected: (Key, Record) -> Bool, as state: AssociationState) -> Set<Key> {
    var ended: Set<Key> = []
    for (key, record) in records where selected(key, record) {
      if record.state == .live { ended.insert(key) }
      if state == .revoked || record.holds { records[key]?.state = state }
    }
    return ended
  }

  mutating func exit(_ process: ProcessResource, evidence: Bool) {
    for (key, record) in records where key.process == process { depart(key, record, evidence: evidence) }
  }

  private mutating func depart(_ key: Key, _ record: Record, evidence: Bool) {
    guard evidence, record.holds || record.state == .revoked else {
      records[key] = nil
      return
    }
    if record.state == .live { records[key]?.state = .departed }
  }

  mutating func exec(_ process: ProcessResource, to after: ProcessResource, keepAll: Bool, evidence: Bool) {
    for (key, record) in records where key.process == process {
      let new = Key(object: key.object, process: after)
      let stays = record.state == .revoked || (keepAll && record.keeps && record.state == .live)
      if stays, records[new] == nil {
        records[key] = nil
        records[new] = record
      } else {
        depart(key, record, evidence: evidence)
      }
    }
  }
}
