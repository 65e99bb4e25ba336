import Authority
import Entity
import Foundation
import Instructions
import Linux
import Testing

@Suite struct TableTests {
  typealias Key = TableModel.Key

  static func list(_ entity: SimulatedEntity, _ selector: AssociationSelector = AssociationSelector())
    -> [AssociationRecord]
  {
    var records: [AssociationRecord] = []
    var cursor: AssociationCursor?
    repeat {
      let page = entity.associations(selector, after: cursor, limit: 7)
      records += page.records
      cursor = page.next
    } while cursor != nil
    return records
  }

  static func compare(_ entity: SimulatedEntity, _ model: TableModel, _ seed: UInt64) {
    #expect(entity.validate() == 0, "seed \(seed)")
    let listed = list(entity)
    #expect(listed.count == model.records.count, "seed \(seed)")
    for record in listed {
      let found = TableModel.Record(
        application: record.application, operations: record.operations, state: record.state, expiry: record.expiry,
        since: record.since, generation: record.generation, keeps: record.keepsOnExec)
      #expect(model.records[Key(object: record.object, process: record.process)] == found, "seed \(seed)")
    }
    let statistics = entity.statistics()
    #expect(statistics.live == model.live && statistics.tombstones == listed.count - model.live, "seed \(seed)")
    for number in 1...3 as ClosedRange<UInt32> {
      let application = ApplicationID(rawValue: number)
      #expect(entity.count(of: application).processes == model.processes(of: application), "seed \(seed)")
    }
  }

  @Test func `random operations leave the table as a naive model has it`() throws {
    try live(CheckedEntity(try SimulatedEntity()))
  }

  @Test(.enabled(if: KernelTier.isThere, "\(KernelTier.missing)"))
  func `random operations leave the kernel answering as a naive model does`() throws {
    let capacity = DirectKernel.Capacity(objects: 16, records: 2048, limits: 16, applications: 16)
    try live(CheckedEntity(try SimulatedEntity(), try KernelTier.load(capacity)))
  }

  private func live(_ checked: CheckedEntity) throws {
    let text = ProcessInfo.processInfo.environment["POSTERN_TEST_SEED"]
    let seed = text.flatMap { UInt64($0) } ?? UInt64.random(in: 0...UInt64.max)
    print("table model seed: \(seed)")
    var random = SeededGenerator(state: seed)
    let entity = checked.entity
    var model = TableModel()
    var now: UInt64 = 1000
    let objects = (0..<5 as Range<UInt32>).map(ObjectID.init(rawValue:))
    let states: [(TombstoneState, AssociationState)] = [
      (.revoked, .revoked), (.expired, .expired), (.stale, .stale), (.dropped, .dropped),
    ]

    for step in 0..<6000 {
      now += UInt64.random(in: 0...3, using: &random)
      _ = entity.expire(now: now)
      _ = model.end({ $1.expiry != 0 && now >= $1.expiry && $1.holds }, as: .expired)

      let object = try #require(objects.randomElement(using: &random))
      let asker = ProcessResource(
        tgid: UInt32.random(in: 1...8, using: &random), start: UInt64.random(in: 1...2, using: &random),
        execEpoch: UInt32.random(in: 0...1, using: &random))
      let other = ProcessResource(
        tgid: UInt32.random(in: 1...8, using: &random), start: UInt64.random(in: 1...2, using: &random))
      let application = ApplicationID(rawValue: UInt32.random(in: 1...3, using: &random))
      let key = Key(object: object, process: asker)
      let expiry = Bool.random(using: &random) ? 0 : now + UInt64.random(in: 1...300, using: &random)
      let evidence = Bool.random(using: &random)

      switch Int.random(in: 0..<20, using: &random) {
      case 0..<7:
        let wanted = TableModel.Record(
          application: application, operations: Bool.random(using: &random) ? [.init(.info)] : [.init(.flush)],
          state: .live, expiry: expiry, since: now, generation: model.generations[object] ?? 0,
          keeps: Bool.random(using: &random))
        let request = AssociationRequest(
          process: asker, object: object, application: application, generation: wanted.generation,
          requested: wanted.operations, granted: .all, onExec: wanted.keeps ? .keep : .drop, expiry: expiry)
        let expected = model.open(key, wanted)
        #expect(Self.reason { () throws(Refusal) in try entity.associate(request, now: now) } == expected)
      case 7..<10:
        let request = RevalidationRequest(
          process: asker, object: object, application: application, generation: model.generations[object] ?? 0,
          ancestors: [other], lineage: .descended, forked: now, expiry: expiry)
        let expected = model.revalidate(key, application, from: other, now: now, expiry: expiry)
        #expect(Self.reason { () throws(Refusal) in try entity.revalidate(request, now: now) } == expected)
      case 10..<12:
        let (told, kept) = states[Int.random(in: 0..<4, using: &random)]
        let fields = UInt8.random(in: 1...7, using: &random)
        let selector = AssociationSelector(
          object: fields & 1 != 0 ? object : nil, process: fields & 2 != 0 ? asker : nil,
          application: fields & 4 != 0 ? application : nil)
        let dropped = entity.drop(selector, as: told)
        let ended = model.end(
          {
            (fields & 1 == 0 || $0.object == object) && (fields & 2 == 0 || $0.process == asker)
              && (fields & 4 == 0 || $1.application == application)
          }, as: kept)
        #expect(Set(dropped.map { Key(object: $0.object, process: $0.process) }) == ended)
        #expect(dropped.allSatisfy { $0.state == .live }, "told as they were")
      case 12:
        entity.pardon(AssociationSelector(object: object))
        for (key, record) in model.records where key.object == object && record.state == .revoked {
          model.records[key]?.state = .dropped
        }
      case 13, 14:
        _ = entity.exit(asker, keepEvidence: evidence)
        model.exit(asker, evidence: evidence)
      case 15:
        let after = ProcessResource(tgid: asker.tgid, start: asker.start, execEpoch: asker.execEpoch + 1)
        let keep = Bool.random(using: &random)
        let kept = keep ? Self.list(checked.table, AssociationSelector(process: asker)).map(\.id) : []
        _ = entity.exec(asker, newEpoch: after.execEpoch, keep: kept, keepEvidence: evidence)
        model.exec(asker, to: after, keepAll: keep, evidence: evidence)
      case 16:
        let record = ObjectRecord(id: object, kind: .disk, operations: ObjectKind.disk.operations)
        if model.present.insert(object).inserted {
          _ = try entity.addObject(record)
          model.generations[object, default: 0] += 1
        } else if Bool.random(using: &random) {
          _ = try entity.replaceObject(record)
          _ = model.end({ key, _ in key.object == object }, as: .stale)
          model.generations[object, default: 0] += 1
        } else {
          _ = try entity.removeObject(object)
          _ = model.end({ key, _ in key.object == object }, as: .dropped)
          model.present.remove(object)
        }
      default:
        let opcode: Opcode = Bool.random(using: &random) ? .info : .flush
        let verdict = entity.check(
          Instruction(opcode: opcode, object: object), issuer: .process(asker), now: now)
        let (told, expected) = (Self.reason(verdict), model.check(opcode, key))
        // The kernel is not told when what an ended holder had expires.
        let isEnded = checked.kernel != nil && entity.record(for: object, process: asker)?.departed == true
        #expect(
          told == expected || (isEnded && told == .notAssociated),
          "seed \(seed), step \(step): \(key), told \(told?.name ?? "granted")")
      }
      if step % 50 == 0 { Self.compare(checked.table, model, seed) }
    }
    Self.compare(checked.table, model, seed)
  }

  static func reason(_ body: () throws(Refusal) -> AssociationRecord) -> Reason? {
    do throws(Refusal) {
      _ = try body()
      return nil
    } catch {
      return error.reason
    }
  }

  static func reason(_ verdict: consuming Verdict) -> Reason? {
    switch verdict {
    case .granted: nil
    case .refused(let reason): reason
    }
  }

  /// 10,000 associations, or as many as POSTERN_TEST_ASSOCIATIONS says (1000000 is the full size).
  private static func filled() throws -> (entity: SimulatedEntity, count: UInt32) {
    let text = ProcessInfo.processInfo.environment["POSTERN_TEST_ASSOCIATIONS"]
    let count = text.flatMap { UInt32($0) } ?? 10_000
    let entity = try SimulatedEntity()
    for number in 0...count / 1000 {
      _ = try entity.addObject(ObjectRecord(id: ObjectID(rawValue: number), kind: .disk, operations: .all))
    }
    for number in 0..<count { _ = try entity.associate(request(number), now: 1) }
    return (entity, count)
  }

  private static func request(_ number: UInt32) -> AssociationRequest {
    AssociationRequest(
      process: ProcessResource(tgid: number % 1000, start: 7), object: ObjectID(rawValue: number / 1000),
      application: ApplicationID(rawValue: 1), generation: 1, requested: [.init(.info)], granted: .all,
      processes: 100_000)
  }

  @Test func `every association of a large table is found, and those that were dropped are not`() throws {
    let (entity, count) = try Self.filled()
    #expect(entity.validate() == 0)
    for number in stride(from: 0, to: min(count, 1000), by: 3) {
      _ = entity.exit(Self.request(number).process, keepEvidence: false)
    }
    #expect(entity.validate() == 0)
    for number in 0..<count {
      let request = Self.request(number)
      let found = entity.record(for: request.object, process: request.process) != nil
      #expect(found == (request.process.tgid % 3 != 0))
    }
  }

  @Test func `an association and its share of every index take at most 128 bytes`() throws {
    let (entity, count) = try Self.filled()
    #expect(entity.statistics().bytes / UInt64(count) <= 128)
  }

  @Test func `an empty table takes less than 64 KiB`() throws {
    #expect(try SimulatedEntity().statistics().bytes < 65536)
  }

  @Test func `ids are never used twice`() throws {
    let entity = try SimulatedEntity()
    _ = try entity.addObject(ObjectRecord(id: ObjectID(rawValue: 0), kind: .disk, operations: .all))
    var seen: Set<AssociationID> = []
    for _ in 0..<1000 {
      let record = try entity.associate(Self.request(5), now: 1)
      #expect(seen.insert(record.id).inserted)
      _ = entity.exit(record.process, keepEvidence: false)
    }
  }

  @Test func `a dropped association's id names nothing else afterwards`() throws {
    let entity = try SimulatedEntity()
    _ = try entity.addObject(ObjectRecord(id: ObjectID(rawValue: 0), kind: .disk, operations: .all))
    let old = try entity.associate(Self.request(5), now: 1)
    _ = entity.exit(old.process, keepEvidence: false)
    _ = try entity.associate(Self.request(6), now: 1)
    #expect(entity.drop(AssociationSelector(association: old.id), as: .revoked).isEmpty)
  }

  @Test func `a table handed on by its memory file holds what it held`() throws {
    let entity = try SimulatedEntity()
    _ = try entity.addObject(ObjectRecord(id: ObjectID(rawValue: 0), kind: .disk, operations: .all))
    let made = try entity.associate(Self.request(5), now: 1)
    let again = try SimulatedEntity(attaching: try entity.memoryFile())
    #expect(again.record(for: made.object, process: made.process) == made)
    #expect(again.validate() == 0)
  }

  @Test func `what may no longer stand moves the change counter`() throws {
    let entity = try SimulatedEntity()
    _ = try entity.addObject(ObjectRecord(id: ObjectID(rawValue: 0), kind: .disk, operations: .all))
    let made = try entity.associate(Self.request(5), now: 1)
    let before = entity.changes
    _ = entity.drop(AssociationSelector(association: made.id), as: .revoked)
    #expect(entity.changes > before)
  }

  @Test func `a grant carries the range of its limits`() throws {
    let entity = try SimulatedEntity()
    _ = try entity.addObject(ObjectRecord(id: ObjectID(rawValue: 0), kind: .disk, operations: .all))
    let limits = try entity.define(limits: LimitSet(range: ByteRange(offset: 4096, length: 512)))
    var request = Self.request(5)
    request.limits = limits
    let made = try entity.associate(request, now: 1)
    let verdict = entity.check(
      Instruction(opcode: .info, object: made.object), issuer: .process(made.process), now: 2)
    guard case .granted(let grant) = verdict else {
      Issue.record("refused")
      return
    }
    #expect(grant.range == ByteRange(offset: 4096, length: 512))
    #expect(grant.association == made.id)
  }
}
