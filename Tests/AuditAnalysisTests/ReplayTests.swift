import Audit
import AuditAnalysis
import Authority
import Instructions
import TestSupport
import Testing

private let objects = """
  version: 1
  objects:
    disk: { kind: disk, path: /dev/vdb, range: { offset: 0, length: 8192 }, access: read-write }
    web: { kind: socket, listen: "tcp://0.0.0.0:80" }
    one: { kind: disk, path: /dev/vdc, exclusive: true }
    whole: { kind: disk, path: /dev/vdd, access: read-write }
  applications:
    shop: { user: www, executable: /bin/shop }
    keeper: { group: disk }

  """

private let old = """
  grants:
    - { application: shop, object: disk, operations: [read, write], expires: 1s }
    - { application: shop, object: web, operations: [bind, listen, accept] }
    - { application: keeper, object: one, operations: [read] }
    - { application: shop, object: whole, operations: [read] }

  """

private let new = """
  grants:
    - { application: shop, object: disk, operations: [read], range: { offset: 0, length: 16 } }
    - { application: keeper, object: web, operations: [bind] }
    - { application: shop, object: one, operations: [read] }
    - { application: shop, object: whole, operations: [read, write] }

  """

private let programs = ["/bin/shop", "/bin/tool"]

private func request(_ generator: inout SplitMix) -> (OpenRequest, String) {
  let program = programs.randomElement(using: &generator) ?? ""
  let subject = Scene.subject(
    [33, 1000].randomElement(using: &generator) ?? 0, program, groups: Bool.random(using: &generator) ? [6] : [],
    traced: Int.random(in: 0..<6, using: &generator) == 0)
  let object = ["disk", "web", "one", "whole", "none"].randomElement(using: &generator) ?? ""
  let operations: [Opcode] = [.read, .write, .bind, .accept].filter { _ in Int.random(in: 0..<3, using: &generator) == 0
  }
  var request = OpenRequest(subject: subject, object: object, operations: OperationSet(operations))
  request.door = Int.random(in: 0..<4, using: &generator) == 0 ? .run : .library
  return (request, program)
}

@Suite struct ReplayTests {
  @Test func `under the policy that it was written under a log stays as it is`() throws {
    var generator = SplitMix.seeded()
    let seed = generator.state
    let scene = try Scene(objects + old)
    var replay = Replay(try scene.evaluator())
    for round in 0..<2000 {
      let (request, program) = request(&generator)
      let record = scene.record(request, program: program, sequence: UInt64(round + 1))
      #expect(replay.take(record) == .same, "seed \(seed) round \(round): \(request)")
    }
    #expect(replay.summary.same == 2000)
  }

  /// The naive model: what each policy's judge says of the same request.
  @Test func `under another policy each verdict is what that policy says of the same request`() throws {
    var generator = SplitMix.seeded()
    let seed = generator.state
    let scene = try Scene(objects + old)
    let other = try Scene(objects + new)
    var replay = Replay(try scene.evaluator().under(other.policy))
    var seen: [String: Int] = [:]
    for round in 0..<3000 {
      let (request, program) = request(&generator)
      let record = scene.record(request, program: program, sequence: UInt64(round + 1))
      let expected: Replayed
      switch (scene.judge(request), other.judge(request)) {
      case (.authorized, .authorized): expected = .same
      case (.refused, .authorized): expected = .nowAllowed
      case (.authorized, .refused(let now)): expected = .nowRefused(now.told.reason, now.told.detail)
      case (.refused(let was), .refused(let now)):
        expected =
          was.told.reason == now.told.reason && was.told.detail == now.told.detail
          ? .same : .nowRefused(now.told.reason, now.told.detail)
      }
      let answer = replay.take(record)
      let replayed = try #require(answer)
      seen[replayed.name, default: 0] += 1
      #expect(replayed == expected, "seed \(seed) round \(round): \(request)")
    }
    #expect(
      seen.keys.contains("now-allowed") && seen.keys.contains("now-refused") && seen.keys.contains("same"), "\(seen)")
  }

  @Test func `instructions are asked of the decision function under the other policy's limits`() throws {
    let scene = try Scene(objects + old)
    let other = try Scene(objects + new)
    var replay = Replay(try scene.evaluator().under(other.policy))
    var used = scene.refusal(.limit, "shop", "disk", .write, Operands(offset: 0, length: 8))
    used.kind = .use
    used.reason = nil
    #expect(replay.take(used) == .nowRefused(.operation, .none))
    let operation = scene.refusal(.operation, "shop", "whole", .write, Operands(offset: 0, length: 8))
    #expect(
      replay.take(operation) == .undecidable("the range is the whole device, whose length the record does not have"))
    let limit = scene.refusal(.limit, "shop", "disk", .write, Operands(offset: 8192, length: 1))
    #expect(replay.take(limit) == .nowRefused(.operation, .none))
    let gone = scene.refusal(.limit, "shop", "web", .bind)
    #expect(replay.take(gone) == .nowRefused(.noSuchObject, .none))
    #expect(replay.summary == Replay.Summary(nowRefused: 3, undecidable: 1))
  }

  @Test func `an order, a holder and a dead process are taken to be as they were`() throws {
    let scene = try Scene(objects + old)
    let other = try Scene(objects + new)
    var replay = Replay(try scene.evaluator().under(other.policy))
    for reason in [Reason.revoked, .stale, .notAssociated] {
      #expect(replay.take(scene.refusal(reason, "shop", "disk", .read)) == .same)
    }
    #expect(replay.take(scene.refusal(.quota, "shop", "disk", .read))?.name == "undecidable")
    let request = OpenRequest(
      subject: Scene.subject(1000, "/bin/tool", groups: [6]), object: "one", operations: OperationSet(.read))
    var busy = scene.record(request, program: "/bin/tool")
    busy.kind = .refusal
    busy.reason = .busy
    var same = Replay(try scene.evaluator())
    #expect(same.take(busy) == .same)
    let shared = try Scene((objects + old).replacing(", exclusive: true", with: ""))
    var freed = Replay(try scene.evaluator().under(shared.policy))
    #expect(freed.take(busy) == .nowAllowed)
  }

  @Test func `an expiry is counted from the association's own record, if that is there`() throws {
    let scene = try Scene(objects + old)
    let request = OpenRequest(
      subject: Scene.subject(33, "/bin/shop"), object: "disk", operations: OperationSet(.read))
    let granted = scene.record(request, program: "/bin/shop")
    var expired = scene.refusal(.expired, "shop", "disk", .read, sequence: 2)
    expired.time.boottime = granted.time.boottime + 2_000_000_000
    func replayed(_ text: String, reading records: [AuditRecord]) throws -> Replayed? {
      var replay = Replay(try scene.evaluator().under(try Scene(objects + text).policy))
      return records.map { replay.take($0) }.last ?? nil
    }
    #expect(try replayed(old, reading: [granted, expired]) == .same)
    #expect(try replayed(old.replacing("1s", with: "3s"), reading: [granted, expired]) == .nowAllowed)
    #expect(try replayed(old.replacing(", expires: 1s", with: ""), reading: [expired]) == .nowAllowed)
    #expect(try replayed(old, reading: [expired])?.name == "undecidable")
  }

  @Test func `a record of an older broker, without what its judge saw, is undecidable`() throws {
    let scene = try Scene(objects + old)
    let request = OpenRequest(subject: Scene.subject(1000, "/bin/tool"), object: "disk")
    var record = scene.record(request, program: "/bin/tool")
    record.circumstances = nil
    var replay = Replay(try scene.evaluator())
    #expect(replay.take(record)?.name == "undecidable")
    // What it did not find out it goes on not knowing.
    var unknown = scene.record(request, program: "/bin/tool")
    unknown.circumstances?.pidNamespace = nil
    unknown.uid = 33
    unknown.executable = Scene.identity("/bin/shop")
    unknown.executablePath = "/bin/shop"
    #expect(replay.take(unknown) == .nowRefused(.undecidable, .none))
    var gap = AuditRecord(.gap, time: record.time, boot: Scene.boot)
    gap.gap = Gap(first: 5, last: 9, counts: [])
    #expect(replay.take(gap) == nil)
  }
}
