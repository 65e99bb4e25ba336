import Audit
import AuditAnalysis
import Authority
import Entity
import Instructions
import TestSupport
import Testing

private let text = """
  version: 1
  objects:
    web: { kind: socket, listen: "tcp://0.0.0.0:80" }   # a port
    disk: { kind: disk, path: /dev/vdb, range: { offset: 0, length: 8192 }, access: read-write }
    spare: { kind: disk, path: /dev/vdc, range: { offset: 512, length: 1024 }, access: read-write }
    dns: { kind: socket, listen: "udp://0.0.0.0:53", send-to: ["10.0.0.0/30:53"], options: [SO_BROADCAST] }
  applications:
    shop: { user: www, executable: /bin/shop }
    keeper: { group: disk }          # whoever is in the group
    guest:
      user: ann
      traceable: true
  grants:
    - { application: shop, object: web, operations: [bind, listen, accept], handover: true }
    - { application: shop, object: disk, operations: [read, info], on-fork: deny }
    - application: keeper
      object: disk
      operations: [read, write]      # both
      range: { offset: 0, length: 4096 }
    - { application: keeper, object: spare, operations: [read, flush] }
    - { application: guest, object: spare, operations: [read] }
    - { application: shop, object: dns, operations: [bind, send, setoption], send-to: ["10.0.0.1:53"] }
    - { application: guest, object: dns, operations: [bind, send] }

  """

private let programs = ["/bin/shop", "/bin/tool", "/bin/other"]

/// Anybody's open of anything.
private func request(_ generator: inout SplitMix) -> (request: OpenRequest, program: String) {
  let program = programs.randomElement(using: &generator) ?? ""
  let subject = Scene.subject(
    [0, 33, 1000, 1001].randomElement(using: &generator) ?? 0, program,
    groups: Bool.random(using: &generator) ? [6] : [],
    cgroup: ["/", "/a.slice/x.service"].randomElement(using: &generator),
    traced: Int.random(in: 0..<5, using: &generator) == 0)
  let object = ["web", "disk", "spare", "dns"].randomElement(using: &generator) ?? ""
  let known: [Opcode] =
    object == "disk" || object == "spare"
    ? [.read, .write, .flush, .discard, .info] : [.bind, .listen, .accept, .send, .receive, .shutdown, .setoption]
  let operations = known.filter { _ in Int.random(in: 0..<3, using: &generator) == 0 }
  var request = OpenRequest(subject: subject, object: object, operations: OperationSet(operations))
  request.door = Int.random(in: 0..<4, using: &generator) == 0 ? .run : .library
  return (request, program)
}

@Suite struct ExactnessTests {
  /// Not every random request is refused, nor has every refusal a suggestion: a seed that has few goes on for longer.
  private static let wanted = 20
  private static let mostRounds = 2000

  /// Against many other requests: what was allowed stays so, unchanged, and what becomes allowed is the same object, by
  /// the application that the suggestion speaks of, for no other operations than were asked.
  @Test func `a suggestion for a random open allows it, and no request that asks for more`() throws {
    var generator = SplitMix.seeded()
    let seed = generator.state
    let before = try Scene(text)
    var suggested = 0
    var round = 0
    while suggested <= Self.wanted, round < Self.mostRounds {
      defer { round += 1 }
      let (asked, program) = request(&generator)
      guard before.judge(asked).authorization == nil else { continue }
      let record = before.record(asked, program: program)
      let (suggestion, after, diff) = try before.suggest(record)
      guard !suggestion.changes.isEmpty else {
        #expect(diff.isEmpty && !suggestion.remarks.isEmpty, "seed \(seed) round \(round)")
        continue
      }
      suggested += 1
      let granted = try #require(after.judge(asked).authorization, "seed \(seed) round \(round): \(diff)")
      #expect(granted.operations.isSuperset(of: asked.operations))
      for _ in 0..<120 {
        let (other, _) = request(&generator)
        let (was, now) = (before.judge(other).authorization, after.judge(other).authorization)
        let comment: Comment = "seed \(seed) round \(round): \(asked) \(other)\n\(diff)"
        if let was, other.object != asked.object || now?.application != granted.application {
          #expect(now == was, comment)
        } else if was != nil {
          #expect(now != nil, comment)
        }
        guard let now, was == nil else { continue }
        #expect(now.application == granted.application, comment)
        if suggestion.alsoAllows.contains(where: { $0.hasPrefix("the application's other grants too") }) {
          // `traceable` is the application's: with its other objects too, but nothing without a tracer. That is said.
          #expect(other.subject.traced == true, comment)
          continue
        }
        #expect(other.object == asked.object, comment)
        let had = before.operations(now.application, now.object)
        #expect(now.operations.subtracting(had).isSubset(of: granted.operations.subtracting(had)), comment)
        if granted.application != "shop", granted.application != "keeper", granted.application != "guest" {
          // An application that the suggestion made: this user with this program, nobody else.
          #expect(other.subject.effectiveUID == asked.subject.effectiveUID, comment)
          #expect(other.subject.executable == asked.subject.executable, comment)
        }
      }
    }
    #expect(suggested > 20, "too little was tried: seed \(seed)")
  }

  /// Asked of the decision function that the broker asks: before and after, for every application.
  @Test func `a suggestion for a random limit allows it, and nothing outside the smallest range, list or address`()
    throws
  {
    var generator = SplitMix.seeded()
    let seed = generator.state
    let before = try Scene(text)
    let rehearsal = try Rehearsal()
    func allows(_ scene: Scene, _ rule: GrantRule, _ opcode: Opcode, _ operands: Operands) -> Bool {
      guard let limits = scene.limits(rule.application, rule.object),
        let kind = scene.policy.objects.first(where: { $0.name == rule.object })?.kind
      else { return false }
      return rehearsal.reason(of: opcode, operands, on: kind, having: rule.operations, within: limits) == nil
    }
    var suggested = 0
    var round = 0
    while suggested <= Self.wanted, round < Self.mostRounds {
      defer { round += 1 }
      guard let rule = before.policy.grants.randomElement(using: &generator) else { continue }
      let (opcode, operands) = instruction(rule.object, &generator)
      guard rule.operations.contains(opcode), !allows(before, rule, opcode, operands) else { continue }
      let record = before.refusal(.limit, rule.application, rule.object, opcode, operands)
      let (suggestion, after, diff) = try before.suggest(record)
      guard !suggestion.changes.isEmpty else { continue }
      suggested += 1
      #expect(allows(after, rule, opcode, operands), "seed \(seed) round \(round): \(diff)")
      for other in before.policy.grants {
        for _ in 0..<40 {
          let (code, more) = instruction(other.object, &generator)
          let (was, now) = (allows(before, other, code, more), allows(after, other, code, more))
          let comment: Comment =
            "seed \(seed) round \(round): \(opcode) \(operands), \(other.key) \(code) \(more)\n\(diff)"
          if was { #expect(now, comment) }
          guard now, !was else { continue }
          #expect(other.key == rule.key, comment)
          switch opcode {
          case .write, .discard: #expect(more.offset + more.length <= operands.offset + operands.length, comment)
          case .send: #expect(code == .send && more.address == operands.address, comment)
          default: #expect(code == opcode && more.request == operands.request, comment)
          }
        }
      }
    }
    #expect(suggested > 20, "too little was tried: seed \(seed)")
  }

  private func instruction(_ object: String, _ generator: inout SplitMix) -> (Opcode, Operands) {
    switch object {
    case "disk", "spare":
      let opcode = [Opcode.write, .discard, .read].randomElement(using: &generator) ?? .write
      return (
        opcode,
        Operands(
          offset: UInt64.random(in: 0...20, using: &generator) * 512,
          length: UInt64.random(in: 0...1024, using: &generator))
      )
    default:
      if Bool.random(using: &generator) {
        let option = [(1, 6), (1, 9), (1, 2), (0, 2)].randomElement(using: &generator) ?? (1, 6)
        return (.setoption, Operands(request: UInt32(option.0) << 16 | UInt32(option.1)))
      }
      let address = NetworkAddress(
        family: .ipv4, bytes: bytes([10, 0, 0, UInt8.random(in: 0...6, using: &generator)]),
        port: UInt16.random(in: 52...54, using: &generator))
      return (.send, Operands(length: 1, address: address))
    }
  }
}

extension Scene {
  fileprivate func operations(_ application: String, _ object: String) -> OperationSet {
    policy.grants.first { $0.application == application && $0.object == object }?.operations ?? []
  }
}
