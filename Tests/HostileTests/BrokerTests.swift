import Foundation
import Glibc
import Instructions
import Testing
import Wire

@Suite(.serialized) struct BrokerTests {
  @Test func `a wrong policy does not replace the one that is served`() throws {
    try Target.run { target in
      let contradictory = Target.policy.replacing("scratch: {", with: "registers: { kind: bus }\n  scratch: {")
      let mistakes = ["", "\u{0}\u{1}\u{ff}", contradictory, String(repeating: "# long\n", count: 400_000)]
      for text in mistakes {
        try target.write("policy.yaml", text)
        let written = target.errors.count
        target.signal(SIGHUP)
        #expect(Target.eventually { target.errors.count > written }, "the mistake is not told")
        try target.expectWellServed()
        let other = target.folder + "/other"
        let refused = try target.rival(socket: other, state: target.folder + "/other-state")
        #expect(refused.status == 65, "\(refused.errors)")
        #expect(refused.errors.contains("policy.yaml:"), "\(refused.errors)")
      }
    }
  }

  @Test func `a second broker on the same socket or state folder says so and changes nothing`() throws {
    try Target.run { target in
      let socket = try target.rival(state: target.folder + "/other-state")
      #expect(socket.status == 69)
      #expect(socket.errors.contains("another broker answers there"), "\(socket.errors)")
      let state = try target.rival(socket: target.folder + "/other")
      #expect(state.status == 69)
      #expect(state.errors.contains("audit journal"), "\(state.errors)")
      try target.expectWellServed()
    }
  }

  @Test func `a killed broker starts again on the same socket and its journal goes on`() throws {
    try Target.run { target in
      let attacker = try target.hostile()
      let channel = try attacker.open("registers", on: try attacker.connection())
      for round in 0..<3 {
        let before = try sequences(target)
        #expect(!before.isEmpty, "round \(round)")
        target.killBroker()
        guard case .closed = try attacker.receive(on: channel.socket) else {
          if round == 0 { Issue.record("the channel outlives its broker") }
          return
        }
        try target.start()
        try target.expectWellServed()
        let after = try sequences(target)
        #expect(Array(after.prefix(before.count)) == before, "records are lost")
        #expect(after == Array(after[0]..<(after[0] + UInt64(after.count))), "the numbers have gaps")
      }
    }
  }

  @Test func `commands of a program of a thousand threads take no longer than those of any other`() throws {
    try Target.run { target in
      let attacker = try target.hostile()
      #expect(try attacker("threads 1000") == "1000")
      let socket = try attacker.connection()
      func ask() throws {
        for request in [Request.status, .objects(ObjectQuery()), .plan(PlanQuery())] {
          if case .failed(let failure) = try attacker.ask(request, on: socket) { Issue.record("\(failure)") }
        }
      }
      try ask()
      let before = try processorTime(of: target.pid)
      for _ in 0..<50 { try ask() }
      let used = try processorTime(of: target.pid) - before
      #expect(used < 2, "\(used) s for 150 commands")
    }
  }

  /// Seconds, of all its threads.
  private func processorTime(of pid: Int32) throws -> Double {
    let text = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
    let fields = try #require(text.split(separator: ")").last).split(separator: " ")
    return fields[11...12].reduce(0) { $0 + (Double($1) ?? 0) } / Double(sysconf(Int32(_SC_CLK_TCK)))
  }

  @Test func `a plan does not depend on how many threads the asker has`() throws {
    try Target.run { target in
      let attacker = try target.hostile()
      let socket = try attacker.connection()
      let before = try attacker.ask(.plan(PlanQuery()), on: socket)
      // Of so many nobody looks for tracers.
      #expect(try attacker("threads 1100") == "1100")
      let after = try attacker.ask(.plan(PlanQuery()), on: socket)
      #expect("\(after)" == "\(before)")
    }
  }

  private func sequences(_ target: Target) throws -> [UInt64] {
    let listed = try Programs.run([
      try Programs.path("postern"), "--socket", target.socket, "audit", "list", "--format", "json",
    ])
    return listed.errors.split(separator: "\n").compactMap { line in
      guard let range = line.firstRange(of: "\"sequence\":") else { return nil }
      return UInt64(line[range.upperBound...].drop { $0 == " " }.prefix { $0.isNumber })
    }
  }

  @Test(arguments: ["gone", "folder", "fifo"])
  func `an object whose file is gone or something else is told to who opens it and to nobody else`(now: String) throws {
    try Target.run { target in
      try FileManager.default.removeItem(atPath: target.image)
      switch now {
      case "folder": try FileManager.default.createDirectory(atPath: target.image, withIntermediateDirectories: false)
      case "fifo": #expect(try Programs.run(["/usr/bin/mkfifo", target.image]).status == 0)
      default: break
      }
      let attacker = try target.hostile()
      let connection = try attacker.connection()
      let (reply, _) = try attacker.tryOpen("scratch", on: connection)
      guard case .failed(let failure) = reply else {
        Issue.record("\(reply)")
        return
      }
      #expect(failure.errno == (now == "gone" ? ENOENT : EINVAL))
      #expect(failure.text.contains("scratch"))
      _ = try attacker.open("registers", on: connection)
    }
  }

  @Test(.enabled(if: Tier.root))
  func `a broker without descriptors left says so, serves its holders, and lets root end it`() throws {
    try Target.run(launcher: ["/usr/bin/prlimit", "--nofile=96:96"]) { target in
      let holder = try target.hostile()
      let connection = try holder.connection()
      let channel = try holder.open("registers", on: connection)
      let attacker = try target.hostile()
      let many = Int(try attacker("many 1000 \(target.socket)")) ?? 0
      #expect(many < 1000)
      let opener = try target.hostile()
      if let other = try? opener.connection() {
        for _ in 0..<64 { guard case .opened = (try? opener.tryOpen("registers", on: other))?.reply else { break } }
      }
      #expect(try holder.transfer(on: channel.socket).result == 1)
      let revoked = try target.postern("revoke", "--object", "registers")
      #expect(revoked.status == 0, "\(revoked.output)")
      #expect(try holder.transfer(on: channel.socket).reason == .revoked)
      attacker.end()
      opener.end()
      holder.end()
      _ = Target.eventually { target.usage.descriptors < 60 }
      #expect(try target.postern("reload").status == 0)
    }
  }

  @Test(.enabled(if: Tier.root)) func `grants are denied while the journal has no room and again given when it has`()
    throws
  {
    let state = FileManager.default.temporaryDirectory.path + "/postern-full-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(atPath: state, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: state) }
    let mounted = try Programs.run(["/usr/bin/mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", state])
    try #require(mounted.status == 0, "\(mounted.errors)")
    defer { _ = try? Programs.run(["/usr/bin/umount", "-l", state]) }
    try Target.run { target in
      target.stop()
      target.state = state + "/journal"
      try target.start()
      let ballast = state + "/ballast"
      let dd = try Programs.run(["/usr/bin/dd", "if=/dev/zero", "of=\(ballast)", "bs=4k"])
      #expect(dd.status != 0, "there was room for everything")
      let client = try target.hostile()
      let connection = try client.connection()
      // Refusals fill what the last page of the segment still takes; those that do not fit are counted.
      for _ in 0..<200 {
        let reply = try client.ask(.open(Open(object: "nothing")), on: connection)
        guard case .refused(let refused) = reply, refused.refusal.reason == .noSuchObject else {
          Issue.record("\(reply)")
          return
        }
      }
      let other = try target.hostile()
      guard case .refused(let refused) = try other.tryOpen("registers", on: try other.connection()).reply else {
        Issue.record("granted without a record")
        return
      }
      #expect(refused.refusal.reason == .undecidable)
      #expect(refused.refusal.detail == .auditFull)
      client.end()
      other.end()
      try FileManager.default.removeItem(atPath: ballast)
      #expect(
        Target.eventually { (try? target.expectGrant()) != nil }, "the broker does not recover")
      #expect(try target.postern("status").output.contains("audit-dropped"))
      let verified = try target.postern("audit", "verify", "--format", "json")
      #expect(verified.status != 65 && verified.output.contains(#""missing":[]"#), "\(verified)")
    }
  }
}

extension Target {
  /// Throws where an open is not granted now.
  func expectGrant() throws {
    let client = try Hostile(socket: socket)
    defer { client.end() }
    _ = try client.open("registers", on: try client.connection())
  }
}
