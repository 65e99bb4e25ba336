import Instructions
import Linux
import Testing
import Wire

@testable import PosternCommands

/// Rows of a plan, as a broker would tell them.
func row(
  _ object: String, calls: NotifiedCalls = .bind, executable: String = "", refusal: Reason? = nil, why: String = ""
) -> PlanRow {
  PlanRow(
    object: object, kind: calls == .open ? .disk : .socket, specification: "listen: tcp://0.0.0.0:80",
    application: refusal == nil ? "shop" : "", operations: refusal == nil ? OperationSet([.bind, .listen]) : [],
    path: .handover, calls: refusal == nil ? calls : [], executable: executable, refusal: refusal, why: why)
}

@Suite struct RunTests {
  private func planning(_ rows: PlanRow...) throws -> FakeBroker { try FakeBroker(plan: rows) { _ in .letThrough } }

  @Test func `the program is run with the calls notified that all granted objects need`() throws {
    let broker = try planning(row("web"), row("disk", calls: .open), row("raw", calls: .socket, refusal: .operation))
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("run", "--socket", broker.path, "--", "/bin/true", "--socket", "-x", "") == .done)
    #expect(surroundings.supervised?.calls == [.bind, .open])
    #expect(surroundings.supervised?.socket == broker.path)
    #expect(surroundings.launch?.program.path == "/bin/true")
    #expect(surroundings.launch?.arguments == ["/bin/true", "--socket", "-x", ""])
    #expect(surroundings.launch?.variables == [:])
    #expect(surroundings.complained == "")
  }

  @Test func `only the calls of the named objects are notified`() throws {
    let broker = try planning(row("web"), row("disk", calls: .open))
    let surroundings = RecordedSurroundings()
    surroundings.run("run", "--object", "disk", "--object", "disk", "--socket", broker.path, "--", "/bin/true")
    #expect(surroundings.supervised?.calls == .open)
    #expect(broker.requests == [.plan(PlanQuery(object: "disk"))])
  }

  @Test func `a named object that is refused ends with 125 and why, and nothing is run`() throws {
    let broker = try planning(row("web"), row("disk", refusal: .refused, why: "the grant lacks `handover: true`"))
    let surroundings = RecordedSurroundings()
    let status = surroundings.run(
      "run", "--object", "web", "--object", "disk", "--socket", broker.path, "--", "/bin/true")
    #expect(status == .notStarted)
    #expect(status.rawValue == 125)
    #expect(surroundings.complained.contains("disk: refused: refused (EKEYREJECTED): the grant lacks `handover: true`"))
    #expect(surroundings.supervised == nil)
    #expect(surroundings.launch == nil)
  }

  @Test func `nothing granted ends with 125 and names all that was refused`() throws {
    let broker = try planning(row("a", refusal: .operation), row("b", refusal: .quota))
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("run", "--socket", broker.path, "--", "/bin/true") == .notStarted)
    #expect(surroundings.complained.contains("run: a: refused: operation"))
    #expect(surroundings.complained.contains("refused too: b"))
    #expect(surroundings.launch == nil)
  }

  @Test func `no object at all ends with 125`() throws {
    let broker = try planning()
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("run", "--socket", broker.path, "--", "/bin/true") == .notStarted)
    #expect(surroundings.complained.contains("hint: "))
  }

  @Test func `a broker's refusal to tell the plan ends with 125 and keeps the policy's message`() throws {
    let broker = try FakeBroker { _ in
      [.refused(RefusedReply(Refusal(.quota, message: "ask later\u{1B}[2J")))]
    }
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("run", "--socket", broker.path, "--", "/bin/true") == .notStarted)
    #expect(surroundings.complained.contains("policy: ask later"))
    #expect(!surroundings.complained.contains("\u{1B}"))
  }

  @Test func `without a broker nothing is run`() {
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("run", "--socket", "/nowhere", "--", "/bin/true") == .notStarted)
    #expect(surroundings.complained.contains("no broker at /nowhere"))
    #expect(surroundings.launch == nil)
  }

  @Test func `an old broker that knows no plan ends with 125`() throws {
    let broker = try FakeBroker { _ in [] }
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("run", "--socket", broker.path, "--", "/bin/true") == .notStarted)
  }

  @Test func `a program that is not there is found out before anybody is asked`() throws {
    let broker = try planning(row("web"))
    let surroundings = RecordedSurroundings()
    surroundings.variables["PATH"] = "/usr/bin"
    for name in ["no-such-program", "/no/such/file", "", "/etc/passwd/x"] {
      #expect(surroundings.run("run", "--socket", broker.path, "--", name) == .notFound, "\(name)")
    }
    #expect(CommandStatus.notFound.rawValue == 127)
    #expect(broker.requests == [])
  }

  @Test func `what is no program is found out before anybody is asked`() throws {
    let broker = try planning(row("web"))
    let surroundings = RecordedSurroundings()
    for name in ["/etc/passwd", "/etc", "/dev/null"] {
      #expect(surroundings.run("run", "--socket", broker.path, "--", name) == .cannotRun, "\(name)")
    }
    #expect(CommandStatus.cannotRun.rawValue == 126)
    #expect(broker.requests == [])
  }

  @Test func `a program without a slash is looked for in PATH`() throws {
    let broker = try planning(row("web"))
    let surroundings = RecordedSurroundings()
    surroundings.variables["PATH"] = "/nowhere:/usr/bin"
    #expect(surroundings.run("run", "--socket", broker.path, "--", "env", "a") == .done)
    #expect(surroundings.launch?.program.path == "/usr/bin/env")
    #expect(surroundings.launch?.arguments == ["env", "a"])
  }

  @Test func `a failure is told as JSON to who asked for it`() throws {
    let broker = try planning(row("web", refusal: .operation, why: "not \"bind\""))
    let surroundings = RecordedSurroundings()
    surroundings.run("run", "--format", "json", "--socket", broker.path, "--", "/bin/true")
    #expect(surroundings.complained.contains("\"exit\":125"))
    #expect(surroundings.complained.contains("\"reason\":\"operation\""))
  }
}

@Suite struct DryRunTests {
  private let rows = [
    row("web", executable: "/usr/sbin/nginx", why: "nobody checks"),
    row("disk", calls: .open, refusal: .refused, why: "the grant lacks `handover: true`"),
  ]

  @Test func `everything granted exits 0 and runs nothing`() throws {
    let broker = try FakeBroker(plan: rows) { _ in .letThrough }
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("run", "--dry-run", "--object", "web", "--socket", broker.path) == .done)
    #expect(surroundings.printed.contains("the broker binds the program's socket"))
    #expect(surroundings.printed.contains("only when /usr/sbin/nginx asks; nobody checks"))
    #expect(surroundings.printed.contains("bind,listen"))
    #expect(surroundings.supervised == nil)
    #expect(surroundings.launch == nil)
  }

  @Test func `anything refused exits 1 and says why`() throws {
    let broker = try FakeBroker(plan: rows) { _ in .letThrough }
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("run", "--dry-run", "--socket", broker.path, "--", "/bin/true") == .denied)
    #expect(surroundings.printed.contains("refused: refused"))
    #expect(surroundings.printed.contains("the grant lacks `handover: true`"))
    #expect(surroundings.launch == nil)
  }

  @Test func `nothing granted exits 1`() throws {
    let broker = try FakeBroker(plan: []) { _ in .letThrough }
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("run", "--dry-run", "--socket", broker.path) == .denied)
    #expect(surroundings.complained.contains("no object is granted"))
  }

  @Test func `programs get JSON`() throws {
    let broker = try FakeBroker(plan: rows) { _ in .letThrough }
    let surroundings = RecordedSurroundings()
    surroundings.run("run", "--dry-run", "--format", "json", "--socket", broker.path)
    let rows = try #require(try surroundings.json() as? [[String: Any]])
    #expect(rows.map { $0["object"] as? String } == ["web", "disk"])
    #expect(rows.map { $0["granted"] as? Bool } == [true, false])
    #expect(rows[0]["calls"] as? [String] == ["bind"])
    #expect(rows[1]["reason"] as? String == "refused")
  }

  @Test func `without a broker it exits 125`() {
    #expect(RecordedSurroundings().run("run", "--dry-run", "--socket", "/nowhere") == .notStarted)
  }
}

@Suite struct OpenTests {
  private func opening(_ answer: @escaping FakeBroker.Answer = { _ in [] }) throws -> FakeBroker {
    try FakeBroker(answer: answer)
  }

  @Test func `each object is handed over in turn and the program is told`() throws {
    let broker = try opening()
    let surroundings = RecordedSurroundings()
    let status = surroundings.run(
      "open", "web,dns", "--operations", "bind,accept", "--socket", broker.path, "--", "/bin/true", "-d")
    #expect(status == .done)
    let operations = OperationSet([.bind, .accept])
    let asked = broker.requests.filter { if case .handOver = $0 { true } else { false } }
    #expect(
      asked == [
        .handOver(HandOver(object: "web", operations: operations)),
        .handOver(HandOver(object: "dns", operations: operations)),
      ])
    let launch = try #require(surroundings.launch)
    #expect(launch.arguments == ["/bin/true", "-d"])
    #expect(launch.descriptors.count == 2)
    #expect(launch.variables["LISTEN_FDS"] == "2")
    #expect(launch.variables["LISTEN_FDNAMES"] == "web:dns")
    #expect(launch.variables["LISTEN_PID"] == "\(Confinement.processID)")
    #expect(surroundings.supervised == nil)
  }

  @Test func `a refused object ends with 125, the reason and the policy's message`() throws {
    let broker = try opening { request in
      if case .handOver(let asked) = request, asked.object == "dns" {
        return [.refused(RefusedReply(Refusal(.noSuchObject, message: "ask the network team")))]
      }
      return []
    }
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("open", "web,dns", "--socket", broker.path, "--", "/bin/true") == .notStarted)
    #expect(surroundings.complained.contains("open dns: refused: no-such-object (ENOENT)"))
    #expect(surroundings.complained.contains("policy: ask the network team"))
    #expect(surroundings.launch == nil)
  }

  @Test func `a refusal for want of a path names the key that is missing`() throws {
    let broker = try opening { request in
      switch request {
      case .handOver: return [.refused(RefusedReply(Refusal(.refused, detail: .pathUnavailable)))]
      case .plan:
        var page = Page<PlanRow>()
        _ = try? page.append(row("web", refusal: .refused, why: "the grant lacks `handover: true`"))
        return [.plan(page)]
      default: return []
      }
    }
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("open", "web", "--socket", broker.path, "--", "/bin/true") == .notStarted)
    #expect(surroundings.complained.contains("path-unavailable): the grant lacks `handover: true`"))
  }

  @Test func `a descriptor that is in the way is named before anything is asked`() throws {
    let broker = try opening()
    let surroundings = RecordedSurroundings()
    surroundings.kept = 4
    #expect(surroundings.run("open", "web,dns", "--socket", broker.path, "--", "/bin/true") == .notStarted)
    #expect(surroundings.complained.contains("descriptor 4 is open already"))
    #expect(surroundings.complained.contains("dns"))
    #expect(broker.requests == [])
    surroundings.kept = 5
    #expect(surroundings.run("open", "web,dns", "--socket", broker.path, "--", "/bin/true") == .done)
  }

  @Test func `a program that is not there, and a missing broker, have their codes`() {
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("open", "web", "--socket", "/nowhere", "--", "/no/such") == .notFound)
    #expect(surroundings.run("open", "web", "--socket", "/nowhere", "--", "/etc/passwd") == .cannotRun)
    #expect(surroundings.run("open", "web", "--socket", "/nowhere", "--", "/bin/true") == .notStarted)
  }
}
