import Instructions
import Wire

/// One datagram on an object channel: frames and the bytes behind them.
struct Datagram<Frame: Hashable & Sendable>: Hashable, Sendable {
  var frames: [Frame]
  var payload: [UInt8]
}

/// The messages that PROTOCOL.md shows, by the names of its blocks.
enum Samples {
  static let operations = OperationSet([.bind, .listen, .accept])
  static let nonce = Nonce(low: 0x0706_0504_0302_0100, high: 0x0F0E_0D0C_0B0A_0908)
  static let hours8: UInt64 = 28_800_000_000_000

  static let requests: [(name: String, id: UInt64, request: Request)] = [
    ("request hello", 1, .hello(Hello(client: "postern 0.1"))),
    ("request open", 2, .open(Open(object: "web", operations: operations, accepts: .direct))),
    ("request confirm", 3, .confirm(nonce)),
    ("request adopt", 4, .adopt),
    ("request revalidate", 5, .revalidate(channel: 10)),
    ("request status", 7, .status),
    ("request doctor", 8, .doctor),
    ("request objects", 9, .objects(ObjectQuery())),
    ("request associations", 10, .associations(AssociationQuery(object: "web"))),
    (
      "request canI", 11,
      .canI(CanI(operations: [OperationSet(.read)], object: "scratch", uid: 1000, executable: "/usr/bin/dd"))
    ),
    ("request revoke", 12, .revoke(Revoke(object: "web", association: AssociationID(rawValue: 5)))),
    (
      "request grant", 13, .grant(GrantOrder(application: "shop", object: "web", operations: operations, expires: 3600))
    ),
    ("request reload", 14, .reload),
    ("request auditRead", 15, .auditRead(AuditRead(after: 41, limit: 50))),
    ("request plan", 16, .plan(PlanQuery(object: "web"))),
    ("request supervise", 17, .supervise([.bind, .open])),
    ("request handOver", 18, .handOver(HandOver(object: "web", operations: operations))),
    ("request revalidateObject", 19, .revalidateObject("web")),
    ("request release", 20, .release(AssociationID(rawValue: 5), ring: 7)),
    ("request enrol", 21, .enrol(Enrol(nonce: nonce, ring: 7))),
  ]

  static func replies() throws -> [(name: String, id: UInt64, reply: Reply)] {
    [
      ("reply welcome", 1, .welcome(Welcome(broker: "0.1.0", features: [.mediated, .handover], admin: true))),
      ("reply challenge", 2, .challenge(nonce)),
      ("reply ringWanted", 3, .ringWanted(nonce)),
      (
        "reply enrolled", 21,
        .enrolled(
          Enrolled(
            association: AssociationID(rawValue: 5), object: ObjectID(rawValue: 3), kind: .disk, slot: 0,
            operations: OperationSet([.read]), generation: 1, expiry: hours8, rangeLength: 4096, opcodes: 0x1_8040_D8D3,
            ring: 7)
        )
      ),
      (
        "reply opened", 3,
        .opened(
          Opened(
            association: AssociationID(rawValue: 5), channel: 9, object: ObjectID(rawValue: 3), kind: .socket,
            path: .mediated, operations: operations, generation: 1, expiry: hours8, rangeLength: 0))
      ),
      (
        "reply adopted", 4,
        .adopted(
          Adopted(
            channel: 10, object: ObjectID(rawValue: 3), kind: .socket, path: .mediated, operations: operations,
            generation: 1, rangeLength: 0))
      ),
      (
        "reply revalidated", 6,
        .revalidated(
          Revalidated(
            association: AssociationID(rawValue: 6), operations: operations, generation: 1, expiry: hours8))
      ),
      (
        "reply refused", 6,
        .refused(
          RefusedReply(Refusal(.refused, detail: .forkDenied, message: "ask the platform team for port 80")))
      ),
      ("reply failed", 6, .failed(Failure(errno: 5, text: "pread scratch"))),
      (
        "reply status", 7,
        .status(
          try page([StatusRow(key: "version", value: "0.1.0"), StatusRow(key: "uptime", value: "12")]))
      ),
      (
        "reply doctor", 8,
        .doctor(
          try page([
            DoctorRow(subject: "mediated", state: .works, why: ""),
            DoctorRow(subject: "direct", state: .absent, why: "bpf is not among the LSMs"),
          ]))
      ),
      (
        "reply objects", 9,
        .objects(
          try page([
            ObjectRow(
              object: ObjectID(rawValue: 3), name: "web", kind: .socket, operations: operations, generation: 1,
              associations: 2, specification: "listen: tcp://0.0.0.0:80")
          ]))
      ),
      (
        "reply associations", 10,
        .associations(
          try page(
            [
              AssociationRow(
                association: AssociationID(rawValue: 5), object: "web", application: "shop",
                process: ProcessResource(tgid: 4711, start: 123_456, execEpoch: 1), path: .mediated,
                operations: operations, generation: 1, since: 1_767_225_600_000_000_000, expiry: 0, state: .live)
            ], next: 77))
      ),
      (
        "reply verdict", 11,
        .verdict(
          CanIVerdict(
            reason: .operation, errno: 13, application: "backup", object: "scratch", operations: OperationSet(.read),
            path: nil))
      ),
      (
        "reply revocations", 12,
        .revocations(
          try page([
            revocation(5, pid: 4711, .mediated, .recalled),
            revocation(6, pid: 4712, .mediated, .running(2)),
            revocation(7, pid: 4713, .handover, .cannotRecall(why: "sending on a raw socket")),
          ]))
      ),
      ("reply done", 13, .done),
      (
        "reply mistakes", 14,
        .mistakes(
          try page([
            MistakeRow(file: "policy.yaml", line: 12, column: 5, severity: .error, text: "expected an object's name")
          ]))
      ),
      ("reply records", 15, .records(try page([AuditRow(bytes: [1, 2, 3])], next: 42))),
      (
        "reply plan", 16,
        .plan(
          try page([
            PlanRow(
              object: "web", kind: .socket, specification: "listen: tcp://0.0.0.0:80", application: "shop",
              operations: operations, path: .handover, calls: .bind, executable: "/usr/sbin/nginx")
          ]))
      ),
      ("reply supervised", 17, .supervised),
    ]
  }

  static let instructions: [(name: String, datagram: Datagram<InstructionFrame>)] = [
    (
      "instructions read",
      Datagram(
        frames: [
          InstructionFrame(
            action: .perform(.read), cookie: 1, operands: Operands(offset: 4096, length: 512), payload: 64..<64)
        ], payload: [])
    ),
    (
      "instructions mixed",
      Datagram(
        frames: [
          InstructionFrame(action: .perform(.write), cookie: 2, operands: Operands(length: 5), payload: 232..<237),
          InstructionFrame(
            action: .perform(.send), flags: [.nonblocking, .wantReadiness], cookie: 3,
            operands: Operands(length: 4, address: documentation6), payload: 237..<241),
          InstructionFrame(action: .cancel, cookie: 4, operands: Operands(offset: 1), payload: 241..<241),
          InstructionFrame(
            action: .arm, cookie: 5, operands: Operands(request: Readiness([.input, .output]).rawValue),
            payload: 241..<241),
        ], payload: [UInt8]("helloping".utf8))
    ),
  ]

  static let completions: [(name: String, datagram: Datagram<CompletionFrame>)] = [
    (
      "completions read",
      Datagram(
        frames: [CompletionFrame(cookie: 1, result: 4, payload: 56..<60)], payload: [UInt8]("data".utf8))
    ),
    (
      "completions mixed",
      Datagram(
        frames: [
          at(296..<296, CompletionFrame(cookie: 2, refused: .notAssociated)),
          CompletionFrame(cookie: 3, result: -5, payload: 296..<296),
          CompletionFrame(
            flags: .descriptor, cookie: 6, result: 0, address: documentation4, payload: 296..<296),
          CompletionFrame(
            flags: .truncated, cookie: 7, result: 3, address: documentation6, payload: 296..<299),
          CompletionFrame(
            kind: .ready, cookie: 5, result: Int64(Readiness([.input, .output]).rawValue), payload: 299..<299),
          CompletionFrame(kind: .changed, cookie: 0, result: 0, reason: .revoked, payload: 299..<299),
        ], payload: [UInt8]("abc".utf8))
    ),
  ]

  /// 192.0.2.1, port 40000
  static let documentation4 = NetworkAddress(
    family: .ipv4, bytes: [192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], port: 40000)
  /// 2001:db8::1, port 53
  static let documentation6 = NetworkAddress(
    family: .ipv6, bytes: [0x20, 1, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], port: 53)

  private static func at(_ payload: Range<Int>, _ frame: CompletionFrame) -> CompletionFrame {
    var frame = frame
    frame.payload = payload
    return frame
  }

  private static func revocation(
    _ association: UInt64, pid: UInt32, _ path: OperationPath, _ outcome: RevocationRow.Outcome
  ) -> RevocationRow {
    RevocationRow(
      association: AssociationID(rawValue: association), object: "web", application: "shop", pid: pid, path: path,
      outcome: outcome)
  }

  static func page<R: Row>(_ rows: [R], next: UInt64 = 0) throws -> Page<R> {
    var page = Page<R>(next: next)
    for row in rows where try !page.append(row) { throw WireError.oversized }
    return page
  }
}
