import Authority
import Entity
import Instructions
import Linux

extension TwoEntities {
  typealias Key = TableModel.Key

  /// One random thing that happens to both.
  mutating func take() throws {
    let object = objects.randomElement(using: &random) ?? ObjectID(rawValue: 1)
    let process = processes.randomElement(using: &random) ?? ProcessResource(tgid: 1, start: 1)
    let key = Key(object: object, process: process)
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<30: try open(key)
    case 30..<42: try revalidate(key)
    case 42..<52: drop(key)
    case 52..<56: pardon(key)
    case 56..<62: expire()
    case 62..<70: exit(process)
    case 70..<78: exec(process)
    case 78..<84: try change(object)
    case 84..<88: try changeLimits()
    case 88..<91: promise(key)
    case 91..<93: forgetPromise(key)
    case 93..<96: refuseBound(key)
    case 96..<98: forgetTombstones(process)
    case 98: try takeOver()
    default: note("nothing")
    }
  }

  /// Places that associations get; the last one of each map is for trying the path out, and the first is none.
  private var room: (records: Int, limits: Int) {
    (Int(direct.capacity.records) - 2, Int(direct.capacity.limits) - 2)
  }

  /// Nothing more fits: then the kernel may refuse what the table would grant.
  private var isFull: Bool {
    let records = direct.records()
    let sets = Set(records.map(\.record.limits)).subtracting([0])
    return records.count >= room.records || sets.count >= room.limits
  }

  private func isWritten(_ key: Key) -> Bool {
    checked.table.record(for: key.object, process: key.process)
      .map { checked.kernel?.kernelNumber(of: $0) != nil } ?? false
  }

  // MARK: Making associations

  private mutating func open(_ key: Key) throws {
    var request = AssociationRequest(
      process: key.process, object: key.object,
      application: ApplicationID(rawValue: .random(in: 1...2, using: &random)),
      generation: plain.generation(of: key.object) ?? 0, requested: operations(), granted: .all,
      processes: chance(20) ? 1 : 64, path: .direct,
      onFork: [.revalidate, .inherit, .inherit, .deny].randomElement(using: &random) ?? .deny,
      onExec: chance(2) ? .keep : .drop)
    request.requested.formIntersection(plain.object(key.object)?.operations ?? .all)
    if !limits.isEmpty, !chance(4) { request.limits = limits.randomElement(using: &random) }
    if chance(2) { request.expiry = now + UInt64.random(in: 1...200, using: &random) }
    if chance(20) { request.conditions.remove(.selector) }
    if chance(20) { request.generation &+= 1 }
    note("open \(key) \(request.requested.rawValue) limits \(request.limits?.rawValue ?? 0)")
    establish(key) { (entity, now) throws(Refusal) in try entity.associate(request, now: now) }
  }

  private mutating func revalidate(_ key: Key) throws {
    let ancestor = processes.randomElement(using: &random) ?? key.process
    let request = RevalidationRequest(
      process: key.process, object: key.object,
      application: ApplicationID(rawValue: .random(in: 1...2, using: &random)),
      generation: plain.generation(of: key.object) ?? 0, ancestors: [ancestor], lineage: .descended, forked: now,
      path: .direct, expiry: chance(2) ? 0 : now + UInt64.random(in: 1...200, using: &random))
    note("revalidate \(key) from \(ancestor)")
    establish(key) { (entity, now) throws(Refusal) in try entity.revalidate(request, now: now) }
  }

  private mutating func establish(
    _ key: Key, _ ask: (any AuthorizationEntity, UInt64) throws(Refusal) -> AssociationRecord
  ) {
    let mayBeRefused = isFull || names.areLost
    let alone = Result { () throws(Refusal) in try ask(plain, now) }
    let both = Result { () throws(Refusal) in try ask(checked.entity, now) }
    settle(key, alone, both, mayBeRefused)
  }

  /// What the kernel could not have, nobody has.
  private mutating func settle(
    _ key: Key, _ alone: Result<AssociationRecord, Refusal>, _ both: Result<AssociationRecord, Refusal>,
    _ mayBeRefused: Bool
  ) {
    switch (alone, both) {
    case (.success(let left), .success(let right)):
      note("granted")
      if left != right { disagree("other associations: \(left), \(right)") }
      foreign[key] = nil
      unwritten.remove(key)
    case (.failure(let left), .failure(let right)):
      note("\(left.reason)")
      if left.reason != right.reason { disagree("refused as \(left.reason) and \(right.reason)") }
    case (.success(let left), .failure(let right)):
      note("kernel: \(right.reason)\(names.areLost ? ", without a name" : "")")
      if right.reason != .undecidable || !mayBeRefused { disagree("\(right.reason) where the table would grant") }
      if !names.areLost { refusedForWantOfRoom += 1 }
      _ = plain.drop(AssociationSelector(association: left.id), as: .dropped)
      if !isWritten(key) { unwritten.insert(key) }
    case (.failure, .success): disagree("granted where the table alone would refuse")
    }
  }

  // MARK: Ending associations

  private mutating func drop(_ key: Key) {
    let states: [TombstoneState] = [.revoked, .revoked, .expired, .stale, .dropped]
    let state = states.randomElement(using: &random) ?? .revoked
    let fields = Int.random(in: 0..<24, using: &random)
    let record = plain.record(for: key.object, process: key.process)
    let selector =
      fields < 6 && record != nil
      ? AssociationSelector(association: record?.id)
      : AssociationSelector(
        object: fields & 1 != 0 ? key.object : nil, process: fields & 2 != 0 || fields < 18 ? key.process : nil,
        application: fields & 4 != 0 ? ApplicationID(rawValue: 1) : nil)
    note("drop \(key) \(fields) \(state)")
    let (alone, both) = (plain.drop(selector, as: state), checked.entity.drop(selector, as: state))
    if alone != both { disagree("dropped \(alone.count) and \(both.count)") }
  }

  private mutating func pardon(_ key: Key) {
    note("pardon \(key.object)")
    let selector = AssociationSelector(object: key.object)
    plain.pardon(selector)
    checked.entity.pardon(selector)
    for (other, tombstone) in foreign where other.object == key.object && tombstone.state == .revoked {
      foreign[other]?.state = .dropped
    }
  }

  private mutating func expire() {
    now += UInt64.random(in: 0...40, using: &random)
    note("expire")
    let (alone, both) = (plain.expire(now: now), checked.entity.expire(now: now))
    if alone.dropped != both.dropped || alone.next != both.next { disagree("expired otherwise") }
  }

  private mutating func exit(_ process: ProcessResource) {
    let evidence = chance(2)
    note("exit \(process) evidence \(evidence)")
    let alone = plain.exit(process, keepEvidence: evidence)
    if alone != checked.entity.exit(process, keepEvidence: evidence) { disagree("other associations ended") }
    if !evidence { foreign = foreign.filter { $0.key.process != process } }
    forgetUnwritten()
  }

  private mutating func exec(_ process: ProcessResource) {
    guard process.execEpoch < 2 else { return note("no exec") }
    let (evidence, keep) = (chance(2), !chance(3))
    note("exec \(process) keep \(keep) evidence \(evidence)\(names.areLost ? ", without a name" : "")")
    let after = ProcessResource(tgid: process.tgid, start: process.start, execEpoch: process.execEpoch + 1)
    let kept = keep ? TableTests.list(plain, AssociationSelector(process: process)).map(\.id) : []
    let mayBeRefused = isFull || names.areLost
    let alone = plain.exec(process, newEpoch: after.execEpoch, keep: kept, keepEvidence: evidence)
    let both = checked.entity.exec(process, newEpoch: after.execEpoch, keep: kept, keepEvidence: evidence)
    let lost = both.filter { $0.process == after }
    if alone != both.filter({ $0.process != after }) { disagree("other associations ended") }
    if !lost.isEmpty, !mayBeRefused { disagree("\(lost.count) that were kept are not") }
    for record in lost { _ = plain.drop(AssociationSelector(association: record.id), as: .dropped) }
    for object in objects where checked.table.record(for: object, process: after) != nil {
      let key = Key(object: object, process: after)
      if isWritten(key) {
        foreign[key] = nil
      } else if mayBeRefused || unwritten.contains(Key(object: object, process: process)) {
        unwritten.insert(key)
      }
    }
    forgetUnwritten()
  }

  private mutating func forgetUnwritten() {
    unwritten = unwritten.filter { plain.record(for: $0.object, process: $0.process) != nil }
  }

  // MARK: Objects and limits

  private mutating func change(_ object: ObjectID) throws {
    let kind = ObjectKind.allCases.randomElement(using: &random) ?? .disk
    let record = ObjectRecord(id: object, kind: kind, operations: operations(), exclusive: chance(6))
    if plain.object(object) == nil {
      note("add \(object) \(kind)")
      let alone = try plain.addObject(record)
      guard object.rawValue < direct.capacity.objects - 1 else {
        if (try? checked.entity.addObject(record)) != nil { disagree("added where there is no room") }
        _ = try plain.removeObject(object)
        return
      }
      if try checked.entity.addObject(record) != alone { disagree("another generation") }
    } else if !chance(3) {
      note("replace \(object) \(kind)")
      if try plain.replaceObject(record) != checked.entity.replaceObject(record) { disagree("dropped otherwise") }
    } else {
      note("remove \(object)")
      if try plain.removeObject(object) != checked.entity.removeObject(object) { disagree("dropped otherwise") }
    }
  }

  private mutating func changeLimits() throws {
    if limits.count > 3, chance(2), let index = limits.indices.randomElement(using: &random) {
      note("release limits \(limits[index].rawValue)")
      plain.release(limits[index])
      checked.entity.release(limits.remove(at: index))
      return
    }
    let set = limitSet()
    let made = try plain.define(limits: set)
    note("limits \(made.rawValue)")
    if try checked.entity.define(limits: set) != made { disagree("other limits") }
    limits.append(made)
  }

  // MARK: What only the kernel has

  private mutating func promise(_ key: Key) {
    note("promise \(key)")
    let fits = !isWritten(key) && !names.areLost && (!isFull || foreign[key] != nil)
    let generation = plain.generation(of: key.object) ?? 0
    do throws(SystemError) {
      try checked.kernel?.promise(
        key.object, key.process, application: ApplicationID(rawValue: 1), operations: .all,
        limits: LimitsID(rawValue: 0), generation: generation, options: [], now: now)
      foreign[key] = Foreign(state: .departed, generation: generation)
      if isWritten(key) { disagree("promised beside an association") }
    } catch {
      note("not: \(error)")
      if fits { disagree("no promise: \(error)") }
    }
  }

  private mutating func forgetPromise(_ key: Key) {
    note("forget promise \(key)")
    checked.kernel?.forgetPromise(key.object, key.process)
    foreign[key] = nil
  }

  private mutating func refuseBound(_ key: Key) {
    guard var found = direct.records().first else { return note("nothing bound") }
    note("refuse bound \(key)")
    found.number = 0
    found.record.object = key.object
    found.record.process = KernelTier.name(of: key.process)
    found.record.generation = plain.generation(of: key.object) ?? 0
    let fits = direct.records().count < room.records || foreign[key] != nil
    checked.kernel?.refuse(bound: found, of: key.process)
    if isWritten(key) || !fits { return }
    foreign[key] = Foreign(state: .dropped, generation: found.record.generation)
  }

  private mutating func forgetTombstones(_ process: ProcessResource) {
    let hasDescendants = chance(2)
    note("forget tombstones of \(process.tgid), descendants: \(hasDescendants)")
    checked.kernel?.forgetTombstones(of: process.tgid, hasDescendants: hasDescendants)
    foreign = foreign.filter { $0.key.process.tgid != process.tgid || (hasDescendants && $0.value.state == .revoked) }
  }

  // MARK: Another broker

  /// A new broker with a table of its own, and the maps of the last one.
  private mutating func takeOver() throws {
    note("another broker")
    let known = objects.compactMap { id in plain.object(id).map { ($0, plain.generation(of: id) ?? 1) } }
    plain = try SimulatedEntity()
    checked = CheckedEntity(try SimulatedEntity(), direct, names)
    (foreign, unwritten, limits) = ([:], [], [])
    for (object, generation) in known {
      let next = chance(4) ? generation &+ 1 : generation
      if chance(5) {
        try direct.forgetObject(object.id)
        continue
      }
      _ = try plain.addObject(object, generation: next)
      if try checked.entity.addObject(object, generation: next) != next { disagree("another generation") }
    }
    // More than tight maps have room for, so that some cannot be restored.
    for _ in 0..<6 { try changeLimits() }
    for found in direct.records() { take(over: found) }
  }

  private mutating func take(over found: DirectRecord) {
    let named = found.record.process
    let process = processes.first { KernelTier.name(of: $0) == named }
    guard let process else { return disagree("the kernel names \(named)") }
    let key = Key(object: found.record.object, process: process)
    if found.record.state == .live, plain.object(key.object) != nil, !chance(3) {
      var request = AssociationRequest(
        process: process, object: key.object, application: found.record.application,
        generation: plain.generation(of: key.object) ?? 0, requested: found.record.operations, granted: .all,
        path: .direct, onExec: found.record.keepsOnExec ? .keep : .drop, expiry: found.record.expiry)
      request.requested.formIntersection(plain.object(key.object)?.operations ?? .all)
      if !chance(3) { request.limits = limits.randomElement(using: &random) }
      note("restore \(found.number)")
      let mayBeRefused = isFull
      let alone = Result { () throws(Refusal) in try plain.associate(request, now: now) }
      let kernel = checked.kernel
      let both = Result { () throws(Refusal) in
        guard let kernel else { return try alone.get() }
        return try kernel.restore(found, request, now: now)
      }
      settle(key, alone, both, mayBeRefused)
      if case .failure = alone { foreign[key] = Foreign(state: .dropped, generation: found.record.generation) }
    } else if chance(4) {
      note("forget \(found.number)")
      checked.kernel?.forget(found)
    } else {
      let states: [AssociationState] = [.revoked, .expired, .stale, .dropped]
      let state = states.randomElement(using: &random) ?? .dropped
      note("end \(found.number) \(state)")
      checked.kernel?.end(found, of: process, as: state)
      foreign[key] = Foreign(state: state, generation: found.record.generation)
    }
  }
}
