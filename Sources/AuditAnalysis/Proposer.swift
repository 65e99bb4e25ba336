import Audit
import Authority
import Instructions
import Policy

/// Thinks of edits for one refused request, the smallest first; whether they do is for the judge to say.
struct Proposer {
  let evaluator: Evaluator
  let record: AuditRecord
  let userName: (UInt32) -> String?

  var policy: PolicyModel { evaluator.policy }

  // MARK: Opens and revalidations

  func forDoor() -> Result<[Proposal], Obstacle> {
    guard let examination = evaluator.examine(record), let (request, _) = evaluator.request(of: record) else {
      return .failure(Obstacle(text: "the record does not say what the judge saw"))
    }
    guard case .refused(let refusal) = examination.judgement else {
      return .failure(Obstacle(text: "it was refused behind the policy, which allows it"))
    }
    guard let object = policy.objects.first(where: { $0.name == request.object }) else {
      return .failure(Obstacle(text: unknownObject(request.object)))
    }
    let decider = examination.decider.map { examination.grants[$0] }
    let key = GrantKey(application: decider?.application ?? "", object: object.name)
    switch refusal.cause {
    case .unknownObject: return .failure(Obstacle(text: unknownObject(request.object)))
    case .noGrant, .noMatchingApplication:
      guard record.circumstances?.question != .revalidation else {
        return .failure(
          Obstacle(
            text: "a revalidation is for the application that its ancestor belonged to; the process opens the object"))
      }
      return .success(strangers(request, object))
    case .operationsMissing(let missing):
      let wanted = missing.isEmpty ? operations(of: request, object) : missing
      return .success(more(wanted, key: key, object, decider, request))
    case .tracerRule:
      var traceable = proposal([.setInApplication(key.application, key: "traceable", value: "true")], key, request)
      let others = policy.grants.filter { $0.application == key.application && $0.object != key.object }
      if !others.isEmpty {
        traceable.alsoAllows.append(
          "the application's other grants too, to its processes with a tracer: "
            + others.map(\.object).joined(separator: ", ").escapedForPeople)
      }
      return .success([traceable])
    case .forkRule: return .success([proposal([.setInGrant(key, key: "on-fork", value: "revalidate")], key, request)])
    case .pathRule:
      let handover = PolicyEdit.setInGrant(key, key: "handover", value: "true")
      let any = PolicyEdit.setInGrant(key, key: "path", value: "any")
      return .success([
        proposal([handover], key, request), proposal([any], key, request), proposal([any, handover], key, request),
      ])
    case .recallRule: return .success([proposal([.setInGrant(key, key: "accepted", value: "leave")], key, request)])
    case .namespaceRule:
      return .failure(
        Obstacle(
          text: "the process is in another namespace; where that has a file that stays, name it with namespace: in "
            + "application \(key.application.escapedForPeople)"))
    case .unknownFact, .standingRevoke: return .failure(Obstacle(text: refusal.cause.text.escapedForPeople))
    }
  }

  private func unknownObject(_ name: String) -> String {
    let near = PolicyReader.word(near: name, among: policy.objects.map(\.name))
    return "the policy has no object \(name.escapedForPeople)"
      + (near.map { "; did the program mean \($0)?" }
        ?? "; what it would be has to be written down first, see postern.yaml(5)")
  }

  private func proposal(_ edits: [PolicyEdit], _ key: GrantKey, _ request: OpenRequest) -> Proposal {
    Proposal(edits: edits, key: key, operations: request.operations)
  }

  /// For an asker whom no application with a grant matches: one that names this program exactly, or a new one.
  private func strangers(_ request: OpenRequest, _ object: ObjectDefinition) -> [Proposal] {
    let wanted = operations(of: request, object)
    let subject = request.subject
    guard let user = subject.effectiveUID else { return [] }
    let path = record.circumstances?.program == nil ? record.executablePath.flatMap { policyPath($0) } : nil
    let service = subject.cgroup.flatMap { $0.hasSuffix(".service") && $0.isPolicyPath ? $0 : nil }
    let access = accessEdits(wanted, object, key: nil)
    var heads: [(edits: [PolicyEdit], application: String)] = []
    let holders = Set(policy.grants.filter { $0.object == object.name }.map(\.application))
    for known in policy.applications
    where !holders.contains(known.name) && known.user?.id == user && known.executable == path && path != nil
      && known.group == nil && (known.cgroup == nil ? service == nil : known.cgroup == service)
    { heads.append(([], known.name)) }
    var keys = [PolicyEdit.Key("user", (userName(user) ?? "\(user)").quotedForPolicy)]
    if let path { keys.append(PolicyEdit.Key("executable", path.quotedForPolicy)) }
    if let service { keys.append(PolicyEdit.Key("cgroup", service.quotedForPolicy)) }
    if subject.traced == true { keys.append(PolicyEdit.Key("traceable", "true")) }
    let name = newName(path)
    heads.append(([.addApplication(name, keys: keys)], name))
    return heads.flatMap { head in
      [[], [PolicyEdit.Key("handover", "true")]].map { extra in
        let key = GrantKey(application: head.application, object: object.name)
        let grant = PolicyEdit.addGrant(key, wanted, keys: extra)
        return Proposal(edits: access + head.edits + [grant], key: key, operations: wanted)
      }
    }
  }

  /// For an application whose grant lacks operations.
  private func more(
    _ wanted: OperationSet, key: GrantKey, _ object: ObjectDefinition, _ decider: ExaminedGrant?, _ request: OpenRequest
  ) -> [Proposal] {
    let access = accessEdits(wanted, object, key: key)
    guard let position = decider?.grant else {
      // Only a runtime grant so far.
      let grant = PolicyEdit.addGrant(key, operations(of: request, object), keys: [])
      return [Proposal(edits: access + [grant], key: key, operations: wanted)]
    }
    let written = wanted.subtracting(policy.grants[position].operations)
    let add = written.isEmpty ? [] : [PolicyEdit.addOperations(written, to: key)]
    return [proposal(access + add, key, request)]
  }

  // MARK: Instructions

  func forInstruction() -> Result<[Proposal], Obstacle> {
    guard let opcode = record.operation else {
      return .failure(Obstacle(text: "it was not for the policy to decide"))
    }
    guard let (rule, object, limits) = evaluator.rule(of: record) else {
      return .failure(Obstacle(text: "the policy of now has no grant that this would be about"))
    }
    guard object.kind.operations.contains(opcode) else {
      return .failure(Obstacle(text: "a \(object.kind.name) does not know \(opcode.name)"))
    }
    var edits: [PolicyEdit] = []
    if !rule.operations.contains(opcode) { edits.append(.addOperations(OperationSet(opcode), to: rule.key)) }
    edits += accessEdits(OperationSet(opcode), object, key: rule.key)
    switch limitEdits(opcode, rule, object, limits) {
    case .failure(let obstacle):
      // Without a limit in the way the operation alone may do.
      return edits.isEmpty ? .failure(obstacle) : .success([Proposal(edits: edits, key: rule.key)])
    case .success(let more):
      let whole = Proposal(edits: edits + more.edits, key: rule.key, alsoAllows: more.alsoAllows)
      return .success(edits.isEmpty ? [whole] : [Proposal(edits: edits, key: rule.key), whole])
    }
  }

  // MARK: Words

  /// What an open without operations probably needs: the least that makes sense of the object.
  private func operations(of request: OpenRequest, _ object: ObjectDefinition) -> OperationSet {
    guard request.operations.isEmpty else { return request.operations }
    switch object.specification {
    case .disk: return [OperationSet(.read)]
    case .bus(let bus):
      switch bus.device {
      case .i2c, .spi: return OperationSet(.transfer)
      case .simulated(let device):
        return OperationSet(
          [.registerFile, .eeprom, .temperatureSensor, .spiLoopback].contains(device) ? .transfer : .read)
      default: return OperationSet(.read)
      }
    case .socket(let socket):
      switch socket.endpoint {
      case .tcp, .unix: return OperationSet([.bind, .listen, .accept])
      case .udp: return OperationSet([.bind, .receive])
      case .raw, .packet: return OperationSet(.receive)
      }
    }
  }

  /// Writing needs `access: read-write` of the object, and of a grant that says otherwise.
  private func accessEdits(_ wanted: OperationSet, _ object: ObjectDefinition, key: GrantKey?) -> [PolicyEdit] {
    guard wanted.contains(.write) || wanted.contains(.discard), case .disk(let disk) = object.specification else {
      return []
    }
    var edits: [PolicyEdit] = []
    if disk.access == .readOnly { edits.append(.setInObject(object.name, key: "access", value: "read-write")) }
    if let key, policy.grants.first(where: { $0.key == key })?.access == .readOnly {
      edits.append(.setInGrant(key, key: "access", value: "read-write"))
    }
    return edits
  }

  private func policyPath(_ bytes: ByteString) -> String? {
    guard let text = String(validating: bytes.bytes, as: UTF8.self), text.isPolicyPath else { return nil }
    // /proc/PID/exe of a file that is gone; another file may have the name.
    return text.hasSuffix(" (deleted)") ? nil : text
  }

  private func newName(_ path: String?) -> String {
    let base = path?.split(separator: "/").last.map { String($0).policyName } ?? "program"
    var name = base
    var number = 2
    while policy.applications.contains(where: { $0.name == name }) {
      name = "\(base)-\(number)"
      number += 1
    }
    return name
  }
}
