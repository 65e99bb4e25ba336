import Foundation
import Glibc
import Instructions
import Testing
import Wire

@Suite(.serialized) struct ChannelTests {
  @Test func `truncated, oversized, unknown and random instructions end only their own channel`() throws {
    let seed = testSeed()
    var generator = SeededGenerator(seed: seed)
    try Target.run { target in
      let attacker = try target.hostile()
      let connection = try attacker.connection()
      let good = try Hostile.transferDatagram()
      var datagrams: [[UInt8]] = [
        [0], Array(good.dropLast()), good + [0], Array(good.prefix(8)),
        [UInt8](repeating: 0xff, count: Bounds.instructionDatagram + 1),
      ]
      for _ in 0..<60 {
        var bent = good
        bent[Int.random(in: 0..<bent.count, using: &generator)] ^= UInt8.random(in: 1...255, using: &generator)
        datagrams.append(bent)
      }
      for datagram in datagrams {
        let channel = try attacker.open("registers", on: connection)
        try attacker.send(datagram, on: channel.socket)
        // Whatever it means now: an answer, a refusal or the end of this channel; the connection goes on.
        if case .timeout = try attacker.receive(on: channel.socket, timeout: 300) {
          // A cookie or an arm that nothing answers yet.
        }
        try attacker("close \(channel.socket)")
      }
      guard case .status = try attacker.ask(.status, on: connection) else {
        Issue.record("the connection suffered, seed \(seed)")
        return
      }
    }
  }

  @Test func `an echoed completion is no instruction`() throws {
    try Target.run { target in
      let attacker = try target.hostile()
      let channel = try attacker.open("registers", on: try attacker.connection())
      try attacker.send(try Hostile.transferDatagram(), on: channel.socket)
      guard case .message(let bytes, _) = try attacker.receive(on: channel.socket) else {
        Issue.record("no completion")
        return
      }
      try attacker.send(bytes, on: channel.socket)
      guard case .closed = try attacker.receive(on: channel.socket) else {
        Issue.record("the channel goes on")
        return
      }
    }
  }

  @Test(.enabled(if: Tier.root)) func `a process that opens one object again and again meets its user's limit`() throws
  {
    try Target.run { target in
      let attacker = try target.hostile()
      let connection = try attacker.connection()
      var opened = 0
      var last: Reply?
      while opened < 200 {
        let (reply, _) = try attacker.tryOpen("registers", on: connection)
        guard case .opened = reply else {
          last = reply
          break
        }
        opened += 1
      }
      #expect(opened == 64)
      guard case .refused(let refused) = last else {
        Issue.record("no refusal")
        return
      }
      #expect(refused.refusal.reason == .quota)
      // One given back is one that can be had again, and others have theirs.
      #expect(try target.postern("status").status == 0)
      attacker.end()
    }
  }

  @Test func `an application that never reads its replies loses its channel and nobody else's`() throws {
    try Target.run { target in
      let attacker = try target.hostile()
      let connection = try attacker.connection()
      let frames = (0..<64).map { index in
        InstructionFrame(
          action: .perform(.read), cookie: UInt64(index), operands: Operands(offset: 0, length: 65536))
      }
      let datagram = try Hostile.datagram(frames)
      for _ in 0..<32 {
        guard let channel = try? attacker.open("scratch", on: connection) else { break }
        for _ in 0..<8 where try attacker.send(datagram, on: channel.socket) < 0 { break }
      }
      try target.expectWellServed()
      #expect(target.usage.memory < 260 << 10, "the broker keeps what nobody reads")
    }
  }

  @Test func `a client that dies with a parked accept leaves nothing`() throws {
    try Target.run { target in
      for _ in 0..<10 {
        let attacker = try target.hostile()
        let channel = try attacker.listening("door", on: try attacker.connection())
        let accept = InstructionFrame(action: .perform(.accept), cookie: 1)
        for _ in 0..<20 { try attacker.send(try Hostile.datagram([accept]), on: channel.socket) }
        attacker.end()
      }
    }
  }

  @Test func `a client that dies with effects running leaves nothing`() throws {
    try Target.run { target in
      for _ in 0..<10 {
        let attacker = try target.hostile()
        let channel = try attacker.open("scratch", on: try attacker.connection())
        let flush = (0..<64).map { InstructionFrame(action: .perform(.flush), cookie: UInt64($0)) }
        for _ in 0..<3 { try attacker.send(try Hostile.datagram(flush), on: channel.socket) }
        attacker.end()
      }
    }
  }

  @Test(.enabled(if: Tier.root)) func `a user has so many waiting instructions and no more`() throws {
    try Target.run { target in
      let attacker = try target.hostile()
      let channel = try attacker.listening("door", on: try attacker.connection())
      let accepts = (0..<64).map { InstructionFrame(action: .perform(.accept), cookie: UInt64($0)) }
      for _ in 0..<5 { try attacker.send(try Hostile.datagram(accepts), on: channel.socket) }
      let refused = try attacker.completions(on: channel.socket)
      #expect(refused.count == 64)
      #expect(refused.allSatisfy { $0.reason == .quota })
    }
  }

  @Test func `500 children of a holder that each try once are refused and leave nothing`() throws {
    try Target.run { target in
      let attacker = try target.hostile()
      let channel = try attacker.open("registers", on: try attacker.connection())
      let before = target.usage
      let hex = try Hostile.transferDatagram(cookie: 5).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }
      try attacker.tell("children 500 \(channel.socket) \(hex.joined())")
      try target.expectWellServed()
      #expect(attacker.heard() == "500")
      // The replies go to the channel, which the parent reads: none of them says that anything was done.
      var answered = 0
      while let completions = try? attacker.completions(on: channel.socket, timeout: 500) {
        for completion in completions {
          answered += 1
          #expect(completion.reason == .notAssociated)
        }
      }
      #expect(answered == 500)
      #expect(try attacker.transfer(on: channel.socket).result == 1, "the holder itself goes on")
      #expect(target.settled(below: before.descriptors).descriptors <= before.descriptors)
    }
  }

  @Test func `a child cannot cancel what its parent waits for`() throws {
    try Target.run { target in
      let attacker = try target.hostile()
      let channel = try attacker.listening("door", on: try attacker.connection())
      let accept = InstructionFrame(action: .perform(.accept), cookie: 11)
      try attacker.send(try Hostile.datagram([accept]), on: channel.socket)
      #expect(try attacker("fork").hasPrefix("child"))
      let cancel = InstructionFrame(action: .cancel, cookie: 12, operands: Operands(offset: 11))
      try attacker.send(try Hostile.datagram([cancel]), on: channel.socket)
      let completions = try attacker.completions(on: channel.socket)
      #expect(completions.map(\.cookie) == [12])
      #expect(completions.first?.result == -Int64(ENOENT))
      // And it learns nothing of whether somebody knocks.
      let arm = InstructionFrame(action: .arm, cookie: 13, operands: Operands(request: Readiness.input.rawValue))
      try attacker.send(try Hostile.datagram([arm]), on: channel.socket)
      #expect(try attacker.completions(on: channel.socket).first?.reason == .notAssociated)
      try attacker("leave")
      // The parent's own cancel still finds it.
      try attacker.send(try Hostile.datagram([cancel]), on: channel.socket)
      #expect(try attacker.completions(on: channel.socket).first?.cookie == 11)
    }
  }

  @Test func `nobody can tie its association to the channel of another by naming its number`() throws {
    try Target.run { target in
      let victim = try target.hostile()
      let victims = try victim.open("registers", on: try victim.connection())
      let attacker = try target.hostile()
      let connection = try attacker.connection()
      for number in 0...(victims.opened.channel + 8) {
        let reply = try attacker.ask(.revalidate(channel: number), on: connection)
        guard case .refused(let refused) = reply else {
          Issue.record("channel \(number): \(reply)")
          return
        }
        #expect(refused.refusal.reason == .noSuchObject)
      }
      #expect(try victim.transfer(on: victims.socket).result == 1)
    }
  }

  /// The daemon's way: open, fork, the parent ends at once, and again. A revoke of the first must hold for the last.
  @Test(.enabled(if: Tier.root)) func `a revoked process does not escape by forking and ending`() throws {
    try Target.run { target in
      let attacker = try target.hostile()
      _ = try attacker.open("registers", on: try attacker.connection())
      let pid = attacker.pid
      #expect(try target.postern("revoke", "--pid", "\(pid)").status == 0)
      target.signal(SIGSTOP)
      // Both are gone before the broker looks at the events.
      #expect(try attacker("daemon").hasPrefix("child"))
      #expect(try attacker("daemon").hasPrefix("child"))
      usleep(100_000)
      target.signal(SIGCONT)
      let connection = try attacker.connection()
      guard case .refused(let refused) = try attacker.ask(.open(Open(object: "registers")), on: connection) else {
        Issue.record("the grandchild of a revoked process opened")
        return
      }
      #expect(refused.refusal.reason == .revoked)
    }
  }

  @Test func `a process that opens and closes a thousand times leaves nothing`() throws {
    try Target.run { target in
      let attacker = try target.hostile()
      let connection = try attacker.connection()
      for _ in 0..<1000 {
        let channel = try attacker.open("registers", on: connection)
        try attacker("close \(channel.socket)")
      }
    }
  }
}
