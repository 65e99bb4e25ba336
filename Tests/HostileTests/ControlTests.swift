import Foundation
import Glibc
import Instructions
import Testing
import Wire

@Suite(.serialized) struct ControlTests {
  @Test func `truncated, oversized, unknown and random control messages end only their own connection`() throws {
    let seed = testSeed()
    var generator = SeededGenerator(seed: seed)
    try Target.run { target in
      let attacker = try target.hostile()
      let hello = try Request.hello(Hello(client: "x")).encode(id: 1)
      var messages: [[UInt8]] = [[0], Array(hello.dropLast()), hello + [0], Array(hello.prefix(23))]
      messages.append([UInt8](repeating: 0x50, count: Bounds.controlMessage + 1))
      messages.append([UInt8](repeating: 0x50, count: 100_000))
      for type: UInt16 in [0, 1, 3, 30, 99, .max] {
        var unknown = hello
        unknown[6] = UInt8(type & 0xff)
        unknown[7] = UInt8(type >> 8)
        messages.append(unknown)
      }
      for _ in 0..<40 {
        var bent = hello
        bent[Int.random(in: 0..<bent.count, using: &generator)] ^= UInt8.random(in: 1...255, using: &generator)
        messages.append(bent)
        messages.append(
          (0..<Int.random(in: 1..<200, using: &generator)).map { _ in .random(in: 0...255, using: &generator) })
      }
      for message in messages {
        let socket = try attacker.dial()
        try attacker.send(message, on: socket)
        switch try attacker.receive(on: socket) {
        case .message(let bytes, _):
          // A clear error, or a welcome where the bent byte was in the client's name.
          let reply = try Reply.decode(bytes.span).reply
          switch reply {
          case .failed(let failure): #expect(failure.errno == EBADMSG, "seed \(seed)")
          case .welcome: break
          default: Issue.record("\(reply), seed \(seed)")
          }
        case .closed: break
        case .timeout: Issue.record("neither answered nor closed: \(message.prefix(32)), seed \(seed)")
        }
        try attacker("close \(socket)")
      }
    }
  }

  @Test func `a request before hello, hello twice, and confirm without open are misuse and end the connection`() throws
  {
    try Target.run { target in
      let attacker = try target.hostile()
      func expectEnd(_ requests: [Request], _ name: String) throws {
        let socket = try attacker.dial()
        var last: Reply?
        for request in requests { last = try attacker.ask(request, on: socket) }
        guard case .failed(let failure) = last else {
          Issue.record("\(name): \(String(describing: last))")
          return
        }
        #expect(failure.errno == EBADMSG, "\(name)")
        guard case .closed = try attacker.receive(on: socket) else {
          Issue.record("\(name): the connection goes on")
          return
        }
      }
      let hello = Request.hello(Hello(client: "x"))
      let nonce = Request.confirm(Nonce(low: 1, high: 2))
      try expectEnd([.status], "status before hello")
      try expectEnd([hello, hello], "hello twice")
      try expectEnd([hello, nonce], "confirm without open")
      try expectEnd(
        [hello, .open(Open(object: "registers")), .open(Open(object: "registers"))], "a second open before confirm")
      try expectEnd([hello, .open(Open(object: "registers")), .status], "a request between open and confirm")
    }
  }

  @Test func `a wrong nonce and one from an earlier open are refused`() throws {
    try Target.run { target in
      let attacker = try target.hostile()
      let socket = try attacker.connection()
      guard case .challenge(let first) = try attacker.ask(.open(Open(object: "registers")), on: socket) else {
        Issue.record("no challenge")
        return
      }
      guard case .opened = try attacker.ask(.confirm(first), on: socket) else {
        Issue.record("not opened")
        return
      }
      for nonce in [first, Nonce(low: first.low ^ 1, high: first.high), Nonce(low: 0, high: 0)] {
        _ = try attacker.ask(.open(Open(object: "registers")), on: socket)
        guard case .refused(let refused) = try attacker.ask(.confirm(nonce), on: socket) else {
          Issue.record("a replayed nonce opened")
          return
        }
        #expect(refused.refusal.detail == .nonce)
      }
    }
  }

  @Test func `a confirm from another process than the one that asked is refused`() throws {
    try Target.run { target in
      let attacker = try target.hostile()
      let socket = try attacker.connection()
      guard case .challenge(let nonce) = try attacker.ask(.open(Open(object: "registers")), on: socket) else {
        Issue.record("no challenge")
        return
      }
      #expect(try attacker("fork").hasPrefix("child"))
      guard case .refused(let refused) = try attacker.ask(.confirm(nonce), on: socket) else {
        Issue.record("the child opened what its parent asked for")
        return
      }
      #expect(refused.refusal.detail == .nonce)
      try attacker("leave")
    }
  }

  @Test(arguments: [1, 2, 16, 17, 250])
  func `attached descriptors where none belong are refused and closed`(count: Int) throws {
    try Target.run { target in
      let attacker = try target.hostile()
      let null = try #require(Int(try attacker("null")))
      let before = target.usage.descriptors
      for _ in 0..<20 {
        let socket = try attacker.connection()
        guard case .failed = try attacker.ask(.status, on: socket, attaching: count, of: null) else {
          Issue.record("a request with descriptors was served")
          return
        }
        try attacker("close \(socket)")
      }
      let connection = try attacker.connection()
      let channel = try attacker.open("registers", on: connection)
      try attacker.send(try Hostile.transferDatagram(), on: channel.socket, attaching: count, of: null)
      guard case .closed = try attacker.receive(on: channel.socket) else {
        Issue.record("an instruction with descriptors was answered")
        return
      }
      try attacker("close \(channel.socket)")
      try attacker("close \(connection)")
      // What a process that holds, or held, something costs: a pidfd and a witness of its image.
      #expect(target.settled(below: before + 2).descriptors <= before + 2)
    }
  }

  @Test func `adopt of a descriptor that is no channel is refused and the descriptor closed`() throws {
    try Target.run { target in
      let attacker = try target.hostile()
      let null = try #require(Int(try attacker("null")))
      let socket = try attacker.connection()
      let before = target.usage.descriptors
      for descriptor in [null, socket, 0] {
        guard case .refused(let refused) = try attacker.ask(.adopt, on: socket, attaching: 1, of: descriptor) else {
          Issue.record("adopted")
          return
        }
        #expect(refused.refusal.reason == .noSuchObject)
      }
      #expect(target.settled(below: before).descriptors <= before)
    }
  }

  @Test func `the greatest numbers in every request are answered and end nobody`() throws {
    try Target.run { target in
      let attacker = try target.hostile()
      let socket = try attacker.connection()
      var requests: [Request] = [
        .revalidate(channel: .max), .objects(ObjectQuery(cursor: .max)),
        .associations(AssociationQuery(pid: .max, cursor: .max)),
        .canI(CanI(operations: .all, object: "registers", uid: .max)),
        .revoke(Revoke(pid: .max, association: AssociationID(rawValue: .max), all: true, timeout: .max)),
        .grant(GrantOrder(application: "crowd", object: "registers", operations: .all, expires: .max)),
      ]
      for mode in [AuditRead.Mode.after, .newest] {
        for after: UInt64 in [.max, .max - 1, 1 << 63] {
          requests.append(.auditRead(AuditRead(mode: mode, after: after, limit: .max)))
        }
      }
      for request in requests { _ = try attacker.ask(request, on: socket) }
    }
  }

  @Test(.enabled(if: Tier.root)) func `a user has so many connections and no more, and others have theirs`() throws {
    try Target.run { target in
      let attacker = try target.hostile()
      #expect(try attacker("many 1000 \(target.socket)") == "64")
      // The crowd's user has none left; another one is served.
      #expect(try target.postern("status").status == 0)
      attacker.end()
      #expect(
        try Target.eventually {
          let other = try target.hostile()
          defer { other.end() }
          guard let socket = try? other.connection() else { return false }
          _ = socket
          return true
        })
    }
  }

  @Test func `a client that asks and never reads is not read from, and costs no more`() throws {
    try Target.run { target in
      let attacker = try target.hostile()
      let socket = try attacker.connection()
      let request = try Request.status.encode(id: 9)
      for _ in 0..<3000 where try attacker.send(request, on: socket) < 0 { break }
      try target.expectWellServed()
      #expect(target.usage.memory < 200 << 10)
    }
  }

  @Test func `a client that stops in the middle of a handshake holds up nobody`() throws {
    try Target.run { target in
      for _ in 0..<8 {
        let attacker = try target.hostile()
        let socket = try attacker.connection()
        _ = try attacker.ask(.open(Open(object: "registers")), on: socket)
        kill(attacker.pid, SIGSTOP)
      }
      try target.expectWellServed()
    }
  }

  @Test func `clients that die in the middle of a handshake leave nothing`() throws {
    try Target.run { target in
      for _ in 0..<20 {
        let attacker = try target.hostile()
        let socket = try attacker.connection()
        _ = try attacker.ask(.open(Open(object: "registers")), on: socket)
        attacker.end()
      }
    }
  }

  /// systemd#30170, FreeUnit#91: what a stranger attaches is closed; that it can block in close(2) is its own matter.
  @Test(arguments: ["control", "channel", "unread"])
  func `a descriptor whose close blocks holds up nobody`(place: String) throws {
    try Target.run { target in
      let attacker = try target.hostile()
      let connection = try attacker.connection()
      let channel = try attacker.open("registers", on: connection)
      let lingering = try #require(Int(try attacker("linger")))
      #expect(lingering >= 0)
      // The broker's copy is the last one when it comes to close it.
      target.signal(SIGSTOP)
      switch place {
      case "control": try attacker.send(try Request.status.encode(id: 1), on: connection, attaching: 1, of: lingering)
      case "channel": try attacker.send(try Hostile.transferDatagram(), on: channel.socket, attaching: 1, of: lingering)
      default:
        // The first one ends the connection; the second one is never read.
        try attacker.send([1, 2, 3], on: connection)
        try attacker.send(try Request.status.encode(id: 1), on: connection, attaching: 1, of: lingering)
      }
      try attacker("close \(lingering)")
      target.signal(SIGCONT)
      try target.expectWellServed(within: 3)
      // What lingers is the attacker's: it goes with the listener that does not read.
      attacker.end()
    }
  }
}
