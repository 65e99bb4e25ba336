import Authority
import Entity
import Instructions
import Linux
import Testing

/// One vector on its way through an entity.
struct Story {
  private let make: (SimulatedEntity) throws -> CheckedEntity
  private(set) var checked: CheckedEntity
  private var entity: any AuthorizationEntity { checked.entity }
  private var limits: [String: LimitsID] = [:]

  init(_ make: @escaping (SimulatedEntity) throws -> CheckedEntity = CheckedEntity.init) throws {
    self.make = make
    checked = try make(try SimulatedEntity())
  }

  /// What the step came to, in the words of vectors.txt.
  mutating func run(_ step: Vector.Step) throws -> String {
    switch step.words[0] {
    case "table":
      checked = try make(
        try SimulatedEntity(EntityTable.Capacity(associations: UInt32(step.number("associations", 0)))))
    case "object": _ = try entity.addObject(object(step))
    case "replace": _ = try entity.replaceObject(object(step))
    case "remove": _ = try entity.removeObject(try object(step).id)
    case "limits": limits[step.words[1]] = try entity.define(limits: limitSet(step))
    case "release": entity.release(try #require(limits[step.words[1]]))
    case "open":
      let request = try open(step)
      return told { () throws(Refusal) in try entity.associate(request, now: now(step)) }
    case "revalidate":
      let request = try revalidation(step)
      return told { () throws(Refusal) in try entity.revalidate(request, now: now(step)) }
    case "check": return try check(step)
    case "drop":
      let states = ["revoked": TombstoneState.revoked, "expired": .expired, "stale": .stale, "dropped": .dropped]
      _ = entity.drop(try selector(step), as: try #require(states[step.words[1]]))
    case "pardon": entity.pardon(try selector(step))
    case "expire":
      let next = entity.expire(now: now(step)).next ?? 0
      if step.value("next") != nil, next != step.number("next", 0) { return "next \(next)" }
    case "exit": _ = entity.exit(try process(step.words[1]), keepEvidence: step.has("evidence"))
    case "exec":
      let asker = try process(step.words[1])
      let kept = step.has("keep") ? entity.record(for: ObjectID(rawValue: 1), process: asker) : nil
      _ = entity.exec(
        asker, newEpoch: UInt32(step.number("epoch", 1)), keep: kept.map { [$0.id] } ?? [],
        keepEvidence: step.has("evidence"))
    default: throw MalformedVector(text: step.words[0])
    }
    return "granted"
  }

  private func now(_ step: Vector.Step) -> UInt64 { step.number("now", 100) }

  private func told(_ body: () throws(Refusal) -> AssociationRecord) -> String {
    do throws(Refusal) {
      _ = try body()
      return "granted"
    } catch {
      return error.reason == .refused ? "refused(\(error.detail.name))" : error.reason.name
    }
  }

  private func object(_ step: Vector.Step) throws -> ObjectRecord {
    let kind = ObjectKind.allCases.first { $0.name == step.value("kind") ?? "disk" } ?? .disk
    var footprint: EntityFootprint?
    if let text = step.value("footprint") {
      let numbers = text.split(separator: ":").compactMap { $0 == "max" ? UInt64.max : UInt64($0) }
      footprint = EntityFootprint(device: numbers[0], inode: numbers[1], offset: numbers[2], length: numbers[3])
    }
    return ObjectRecord(
      id: ObjectID(rawValue: try #require(UInt32(step.words[1]))), kind: kind,
      operations: step.operations("operations") ?? kind.operations, exclusive: step.has("exclusive"),
      footprint: footprint)
  }

  private func limitSet(_ step: Vector.Step) throws -> LimitSet {
    let range = step.value("range").map { $0.split(separator: ":").compactMap { $0 == "max" ? .max : UInt64($0) } }
    return LimitSet(
      range: range.map { ByteRange(offset: $0[0], length: $0[1]) },
      maximumLength: step.value("length").flatMap { UInt32($0) },
      connect: try step.list("connect")?.map(pattern), sendTo: try step.list("send")?.map(pattern),
      options: step.list("options")?.compactMap { UInt32($0) }.map {
        SocketOption(name: "", level: UInt16($0 >> 16), option: UInt16($0 & 0xffff))
      },
      controls: step.list("controls")?.compactMap { UInt32($0) }.map { ControlRequest(name: "", request: $0) })
  }

  private func conditions(_ step: Vector.Step) -> Conditions {
    let names: [String: Conditions] = [
      "visible": .visible, "selector": .selector, "not-revoked": .notRevoked, "exclusive": .exclusive, "quota": .quota,
      "path": .path, "namespace": .namespace, "untraced": .untraced,
    ]
    return Conditions.all.subtracting(Conditions((step.list("without") ?? []).compactMap { names[$0] }))
  }

  private func failed(_ step: Vector.Step) -> FailedLookups {
    let names: [String: FailedLookups] = [
      "identity": .identity, "object": .object, "association": .association, "limits": .limits, "lineage": .lineage,
      "selector": .selector, "quota": .quota, "audit": .audit,
    ]
    return FailedLookups((step.list("failed") ?? []).compactMap { names[$0] })
  }

  private func open(_ step: Vector.Step) throws -> AssociationRequest {
    let object = ObjectID(rawValue: try #require(UInt32(step.words[2])))
    let rules = ["revalidate": ForkRule.revalidate, "inherit": .inherit, "deny": .deny]
    return AssociationRequest(
      process: try process(step.words[1]), object: object,
      application: ApplicationID(rawValue: UInt32(step.number("application", 1))),
      generation: UInt32(step.number("generation", UInt64(entity.generation(of: object) ?? 0))),
      requested: step.operations("operations") ?? known(object), granted: step.operations("granted") ?? .all,
      limits: step.value("limits").map { limits[$0] ?? LimitsID(rawValue: UInt32($0) ?? 9999) },
      conditions: conditions(step), failed: failed(step), processes: UInt32(step.number("quota", 64)),
      onFork: rules[step.value("on-fork") ?? "revalidate"] ?? .deny, onExec: step.has("keep") ? .keep : .drop,
      expiry: step.number("expiry", 0))
  }

  /// All that the object knows: what a vector's open asks for where it does not say.
  private func known(_ object: ObjectID) -> OperationSet { entity.object(object)?.operations ?? [] }

  private func revalidation(_ step: Vector.Step) throws -> RevalidationRequest {
    let object = ObjectID(rawValue: try #require(UInt32(step.words[2])))
    let lineages = ["descended": Lineage.descended, "none": .none, "unknown": .unknown]
    return RevalidationRequest(
      process: try process(step.words[1]), object: object,
      application: ApplicationID(rawValue: UInt32(step.number("application", 1))),
      generation: UInt32(step.number("generation", UInt64(entity.generation(of: object) ?? 0))),
      ancestors: try step.list("from")?.map(process) ?? [],
      lineage: lineages[step.value("lineage") ?? "descended"] ?? .unknown, forked: step.number("forked", 0),
      conditions: conditions(step), failed: failed(step), processes: UInt32(step.number("quota", 64)),
      expiry: step.number("expiry", 0))
  }

  private func check(_ step: Vector.Step) throws -> String {
    var operands = Operands(
      offset: step.number("offset", 0), length: step.number("length", 0), request: UInt32(step.number("request", 0)))
    if let to = step.value("to") {
      var (destination, rest) = try address(to[...])
      destination.port = UInt16(rest.dropFirst()) ?? 0
      operands.address = destination
    }
    let instruction = Instruction(
      opcode: try #require(Opcode(name: step.words[3])),
      object: ObjectID(rawValue: try #require(UInt32(step.words[2]))),
      operands: operands)
    let issuer: Issuer = step.value("issuer") == "kernel" ? .kernel : .process(try process(step.words[1]))
    let decision = checked.check(
      instruction, issuer: issuer, now: now(step), visible: !step.has("hidden"), failed: failed(step))
    switch decision.verdict() {
    case .granted(let grant):
      #expect(grant.instruction == instruction && grant.issuer == issuer)
      return "granted"
    case .refused(let reason): return reason.name
    }
  }

  private func selector(_ step: Vector.Step) throws -> AssociationSelector {
    AssociationSelector(
      object: step.value("object").flatMap { UInt32($0) }.map(ObjectID.init(rawValue:)),
      process: try step.value("process").map(process),
      application: step.value("application").flatMap { UInt32($0) }.map(ApplicationID.init(rawValue:)),
      association: try step.value("association").map { text in
        entity.record(for: ObjectID(rawValue: 1), process: try process(text))?.id ?? AssociationID(rawValue: 0)
      })
  }
}
