import Foundation
import Instructions
import Testing
import Wire

@testable import PosternCommands

private func revocation(_ id: UInt64, _ outcome: RevocationRow.Outcome) -> RevocationRow {
  RevocationRow(
    association: AssociationID(rawValue: id), object: "web", application: "shop", pid: 77, path: .mediated,
    outcome: outcome)
}

private func page<R: Row>(_ rows: [R], next: UInt64 = 0) -> Page<R> {
  var page = Page<R>(next: next)
  for row in rows { _ = try? page.append(row) }
  return page
}

@Suite struct RevokeTests {
  @Test func `all recalled exits 0, over several messages`() throws {
    let broker = try FakeBroker { _ in
      [
        .revocations(page([revocation(1, .recalled)], next: 2)), .revocations(page([revocation(2, .recalled)])),
      ]
    }
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("revoke", "--object", "web", "--timeout", "2.5", "--socket", broker.path) == .done)
    #expect(surroundings.printed.split(separator: "\n").count == 3)
    #expect(broker.requests == [.revoke(Revoke(object: "web", timeout: 2500))])
  }

  @Test(arguments: [
    (RevocationRow.Outcome.running(3), "recalled, 3 operations still running"),
    (.cannotRecall(why: "handed over"), "cannot recall: handed over"),
  ])
  func `what is not wholly recalled exits 1 and is said in the contract's words`(
    outcome: RevocationRow.Outcome, words: String
  ) throws {
    let rows = [revocation(1, .recalled), revocation(2, outcome)]
    let broker = try FakeBroker { _ in [.revocations(page(rows))] }
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("revoke", "--all", "--socket", broker.path) == .denied)
    #expect(surroundings.printed.contains("recalled\n"))
    #expect(surroundings.printed.contains("\(words)\n"))
    let program = RecordedSurroundings()
    #expect(program.run("revoke", "--all", "--format", "json", "--socket", broker.path) == .denied)
    let json = try #require(try program.json() as? [[String: Any]])
    #expect(json.map { $0["verdict"] as? String } == ["recalled", words])
    #expect(json.map { $0["id"] as? Int } == [1, 2])
  }

  @Test func `no match exits 0`() throws {
    let broker = try FakeBroker { _ in [.revocations(page([]))] }
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("revoke", "--association", "9", "--socket", broker.path) == .done)
    #expect(broker.requests == [.revoke(Revoke(association: AssociationID(rawValue: 9)))])
  }

  @Test func `without rights it exits 77`() throws {
    let broker = try FakeBroker(admin: false) { _ in [.failed(Failure(errno: 1, text: "for admins"))] }
    #expect(RecordedSurroundings().run("revoke", "--all", "--socket", broker.path) == .notPermitted)
  }
}

@Suite struct GrantTests {
  @Test func `a grant is ordered as written and shown as ending with the next reload`() throws {
    let broker = try FakeBroker { _ in [.done] }
    let surroundings = RecordedSurroundings()
    let status = surroundings.run(
      "grant", "--application", "shop", "--object", "web", "--operations", "accept,bind", "--expires", "2h",
      "--socket", broker.path)
    #expect(status == .done)
    #expect(surroundings.printed.contains("until the next reload"))
    let order = GrantOrder(
      application: "shop", object: "web", operations: OperationSet([.bind, .accept]), expires: 7200)
    #expect(broker.requests == [.grant(order)])
  }

  @Test func `a grant of what does not exist exits 1`() throws {
    let broker = try FakeBroker { _ in [.refused(RefusedReply(Refusal(.noSuchObject)))] }
    let status = RecordedSurroundings().run(
      "grant", "--application", "shop", "--object", "no", "--operations", "read", "--socket", broker.path)
    #expect(status == .denied)
  }
}

@Suite struct ReloadTests {
  private let mistake = MistakeRow(
    file: "/etc/postern/policy.yaml", line: 3, column: 7, severity: .error, text: "unknown key \u{1B}[31m")

  @Test func `a good policy is reloaded`() throws {
    let broker = try FakeBroker { _ in [.done] }
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("reload", "--socket", broker.path) == .done)
    #expect(surroundings.printed == "reloaded\n")
  }

  @Test func `a wrong policy exits 65 with every mistake's place`() throws {
    let rows = [mistake, mistake]
    let broker = try FakeBroker { _ in [.mistakes(page(rows))] }
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("reload", "--socket", broker.path) == .badInput)
    let lines = surroundings.complained.split(separator: "\n")
    #expect(lines[1].hasPrefix("/etc/postern/policy.yaml:3:7: error: unknown key "))
    #expect(!surroundings.error.contains(0x1B))
    let program = RecordedSurroundings()
    #expect(program.run("reload", "--format", "json", "--socket", broker.path) == .badInput)
    let json = try #require(try program.json() as? [String: Any])
    #expect(json["reloaded"] as? Bool == false)
    #expect((json["mistakes"] as? [[String: Any]])?.count == 2)
  }

  @Test func `warnings alone are printed and the policy is in force`() throws {
    var row = mistake
    row.severity = .warning
    let warning = row
    let broker = try FakeBroker { _ in [.mistakes(page([warning]))] }
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("reload", "--socket", broker.path) == .done)
    #expect(surroundings.complained.contains(": warning: "))
  }
}

@Suite struct PolicyCheckTests {
  private func check(_ text: String, _ arguments: [String] = []) throws -> (RecordedSurroundings, CommandStatus, String)
  {
    let path = FileManager.default.temporaryDirectory.path + "/postern-\(UUID().uuidString.prefix(8)).yaml"
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
    defer { try? FileManager.default.removeItem(atPath: path) }
    let surroundings = RecordedSurroundings()
    let status = Invocation.run(["policy", "check", path] + arguments, in: surroundings)
    return (surroundings, status, path)
  }

  private let good = """
    version: 1
    objects:
      eeprom: { kind: bus, bus: simulated, device: 24c02 }
    applications:
      shop: { user: root }
    grants:
      - { application: shop, object: eeprom, operations: [transfer] }

    """

  @Test func `a good policy passes without a broker`() throws {
    let (surroundings, status, _) = try check(good)
    #expect(status == .done)
    #expect(!surroundings.complained.contains(": error: "))
  }

  @Test func `every mistake is told with file, line and column, and exits 65`() throws {
    let (surroundings, status, path) = try check(
      good.replacingOccurrences(of: "24c02", with: "nothing").replacingOccurrences(of: "[transfer]", with: "[fly]"))
    #expect(status == .badInput)
    let lines = surroundings.complained.split(separator: "\n")
    #expect(lines.contains { $0.hasPrefix("\(path):3:") && $0.contains(": error: ") })
    #expect(lines.contains { $0.hasPrefix("\(path):7:") && $0.contains(": error: ") })
    #expect(surroundings.output == [])
  }

  @Test func `mistakes as JSON are the same ones`() throws {
    let (surroundings, status, path) = try check("version: 2\n", ["--format", "json"])
    #expect(status == .badInput)
    let json = try #require(try surroundings.json() as? [String: Any])
    #expect(json["valid"] as? Bool == false)
    let mistakes = try #require(json["mistakes"] as? [[String: Any]])
    #expect(mistakes.first?["file"] as? String == path)
    #expect(mistakes.first?["line"] as? Int == 1)
    #expect(mistakes.contains { $0["severity"] as? String == "error" })
  }

  @Test func `a file that cannot be read exits 65`() {
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("policy", "check", "/nowhere/policy.yaml") == .badInput)
    #expect(surroundings.complained.contains("/nowhere/policy.yaml"))
  }

  @Test func `an empty file and a binary one exit 65`() throws {
    for text in ["", "\u{0}\u{1}\u{2}"] {
      let (_, status, _) = try check(text)
      #expect(status == .badInput)
    }
  }
}
