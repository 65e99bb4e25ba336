import Foundation
import Instructions
import Testing
import Wire

@testable import PosternCommands

private let hostile = "x\u{1B}[2J\n\"\\\u{202E}y\u{7F}"

private func page<R: Row>(_ rows: [R], next: UInt64 = 0) -> Page<R> {
  var page = Page<R>(next: next)
  for row in rows { _ = try? page.append(row) }
  return page
}

private func association(_ id: UInt64, object: String = "web", pid: UInt32 = 77) -> AssociationRow {
  AssociationRow(
    association: AssociationID(rawValue: id), object: object, application: "shop",
    process: ProcessResource(tgid: pid, start: 4242), path: .mediated, operations: OperationSet([.bind, .accept]),
    generation: 1, since: 1_700_000_000_500_000_000, expiry: 0, state: .live)
}

@Suite struct QueryTests {
  @Test func `associations as JSON have the contract's keys and types`() throws {
    let broker = try FakeBroker { _ in [.associations(page([association(5)]))] }
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("association", "list", "--format", "json", "--socket", broker.path) == .done)
    let rows = try #require(try surroundings.json() as? [[String: Any]])
    let row = try #require(rows.first)
    #expect(row["id"] as? Int == 5)
    #expect(row["object"] as? String == "web")
    #expect(row["application"] as? String == "shop")
    #expect(row["pid"] as? Int == 77)
    #expect(row["start"] as? Int == 4242)
    #expect(row["path"] as? String == "mediated")
    #expect(row["operations"] as? [String] == ["bind", "accept"])
    #expect(row["since"] as? String == "2023-11-14T22:13:20.500000000Z")
    #expect(row["state"] as? String == "live")
  }

  @Test func `pages are asked for until there are no more, and shown as one table`() throws {
    let broker = try FakeBroker { request in
      guard case .associations(let query) = request else { return [] }
      return query.cursor == 0
        ? [.associations(page([association(1)], next: 2))] : [.associations(page([association(2)]))]
    }
    let surroundings = RecordedSurroundings()
    surroundings.run("association", "list", "--object", "web", "--pid", "77", "--socket", broker.path)
    let lines = surroundings.printed.split(separator: "\n")
    #expect(lines.count == 3)
    #expect(lines[0].hasPrefix("ID  OBJECT  APPLICATION  PID  PATH"))
    #expect(lines[2].hasPrefix(" 2  web "))
    #expect(broker.requests.first == .associations(AssociationQuery(object: "web", pid: 77)))
  }

  @Test func `an empty answer is an empty array, and a person is told why it is empty`() throws {
    let broker = try FakeBroker(admin: false) { _ in [.associations(page([]))] }
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("association", "list", "--format", "json", "--socket", broker.path) == .done)
    #expect(surroundings.printed == "[]\n")
    let person = RecordedSurroundings()
    #expect(person.run("association", "list", "--socket", broker.path) == .done)
    #expect(person.output == [])
    #expect(person.complained.contains("for admins"))
  }

  @Test func `a foreign pid without rights exits 77`() throws {
    let broker = try FakeBroker(admin: false) { _ in [.failed(Failure(errno: 1, text: "not your process"))] }
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("association", "list", "--pid", "1", "--socket", broker.path) == .notPermitted)
    #expect(surroundings.complained.contains("not your process (EPERM)"))
  }

  @Test func `names that try to act on the terminal are shown, not obeyed`() throws {
    let object = ObjectRow(
      object: ObjectID(rawValue: 1), name: hostile, kind: .disk, operations: OperationSet(.read), generation: 1,
      associations: 0, specification: hostile, unavailable: hostile)
    let broker = try FakeBroker { _ in [.objects(page([object]))] }
    for format in ["table", "json"] {
      let surroundings = RecordedSurroundings()
      surroundings.run("object", "list", "--format", format, "--socket", broker.path)
      #expect(!surroundings.output.contains(0x1B))
      #expect(!surroundings.output.contains(0x7F))
      #expect(!surroundings.printed.contains("\u{202E}"))
      #expect(surroundings.output.filter { $0 == 0x0A }.count == (format == "json" ? 1 : 2))
      if format == "json" {
        let rows = try #require(try surroundings.json() as? [[String: Any]])
        #expect(rows.first?["name"] as? String == hostile)
      }
    }
  }

  @Test func `an unknown object exits 1`() throws {
    let broker = try FakeBroker { _ in [.objects(page([]))] }
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("object", "show", "nothing", "--socket", broker.path) == .denied)
    #expect(surroundings.complained.contains("no-such-object (ENOENT)"))
  }

  @Test func `status as JSON has numbers where the values are, but a version is text`() throws {
    let broker = try FakeBroker { _ in
      [
        .status(
          page([
            StatusRow(key: "version", value: "2"), StatusRow(key: "associations", value: "12"),
            StatusRow(key: "policy", value: "/etc/postern/policy.yaml"),
          ]))
      ]
    }
    let surroundings = RecordedSurroundings()
    surroundings.run("status", "--format", "json", "--socket", broker.path)
    let status = try #require(try surroundings.json() as? [String: Any])
    #expect(status["version"] as? String == "2")
    #expect(status["associations"] as? Int == 12)
    #expect(status["policy"] as? String == "/etc/postern/policy.yaml")
  }

  @Test func `doctor shows each path with its state and why`() throws {
    let broker = try FakeBroker { _ in
      [.doctor(page([DoctorRow(subject: "path direct", state: .refused, why: "bpf: EPERM")]))]
    }
    let surroundings = RecordedSurroundings()
    surroundings.run("doctor", "--socket", broker.path)
    #expect(surroundings.printed == "SUBJECT      STATE    WHY\npath direct  refused  bpf: EPERM\n")
  }

  @Test func `a broker that goes away in the middle exits 69`() throws {
    let broker = try FakeBroker { _ in [] }
    #expect(RecordedSurroundings().run("status", "--socket", broker.path) == .unreachable)
  }

  @Test func `an answer of another kind exits 70`() throws {
    let broker = try FakeBroker { _ in [.done] }
    #expect(RecordedSurroundings().run("status", "--socket", broker.path) == .bug)
  }

  @Test func `colours are for terminals, and for nobody who sets NO_COLOR`() throws {
    let broker = try FakeBroker { _ in [.associations(page([association(1)]))] }
    func printed(terminal: Bool, _ variables: [String: String]) -> [UInt8] {
      let surroundings = RecordedSurroundings()
      surroundings.terminal = terminal
      surroundings.variables = variables
      surroundings.run("association", "list", "--socket", broker.path)
      return surroundings.output
    }
    #expect(printed(terminal: true, [:]).contains(0x1B))
    #expect(!printed(terminal: false, [:]).contains(0x1B))
    #expect(!printed(terminal: true, ["NO_COLOR": "1"]).contains(0x1B))
    #expect(!printed(terminal: true, ["TERM": "dumb"]).contains(0x1B))
  }
}

@Suite struct CanITests {
  private func verdict(_ reason: Reason?, message: String = "") -> CanIVerdict {
    CanIVerdict(
      reason: reason, errno: reason?.errno ?? 0, application: "shop", object: "web", operations: OperationSet(.accept),
      path: reason == nil ? .mediated : nil, message: message)
  }

  @Test func `yes exits 0 with the contract's keys`() throws {
    let verdict = verdict(nil)
    let broker = try FakeBroker { _ in [.verdict(verdict)] }
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("can-i", "accept", "web", "--format", "json", "--socket", broker.path) == .done)
    let json = try #require(try surroundings.json() as? [String: Any])
    #expect(json["allowed"] as? Bool == true)
    for key in ["reason", "errno", "message"] { #expect(json[key] is NSNull, "\(key)") }
    #expect(json["application"] as? String == "shop")
    #expect(json["object"] as? String == "web")
    #expect(json["operation"] as? String == "accept")
    #expect(json["path"] as? String == "mediated")
  }

  @Test func `no exits 1 with the reason, the errno's symbol and the policy's message`() throws {
    let verdict = verdict(.operation, message: "ask the platform team for port 80")
    let broker = try FakeBroker { _ in [.verdict(verdict)] }
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("can-i", "accept", "web", "--format", "json", "--socket", broker.path) == .denied)
    let json = try #require(try surroundings.json() as? [String: Any])
    #expect(json["allowed"] as? Bool == false)
    #expect(json["reason"] as? String == "operation")
    #expect(json["errno"] as? String == "EACCES")
    #expect(json["message"] as? String == "ask the platform team for port 80")
    #expect(surroundings.error == [])
    let person = RecordedSurroundings()
    #expect(person.run("can-i", "accept", "web", "--socket", broker.path) == .denied)
    #expect(person.complained.contains("refused: operation (EACCES)"))
    #expect(person.complained.contains("policy: ask the platform team for port 80"))
  }

  @Test func `a user is named or numbered; an unknown one exits 64`() throws {
    let verdict = verdict(nil)
    let broker = try FakeBroker { _ in [.verdict(verdict)] }
    let path = broker.path
    #expect(RecordedSurroundings().run("can-i", "accept", "web", "--user", "root", "--socket", path) == .done)
    #expect(RecordedSurroundings().run("can-i", "accept", "web", "--user", "1234", "--socket", path) == .done)
    #expect(
      RecordedSurroundings().run("can-i", "accept", "web", "--user", "no such user", "--socket", path) == .usage)
    let asked = broker.requests.compactMap { request -> UInt32? in
      if case .canI(let question) = request { question.uid } else { nil }
    }
    #expect(asked == [0, 1234])
  }
}
