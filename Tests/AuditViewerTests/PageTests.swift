import Audit
import AuditViewer
import Foundation
import Instructions
import Testing

private let token = String(repeating: "0a", count: 32)

private func request(
  _ path: String = "/", method: String = "GET", host: String? = "127.0.0.1:4711", origin: String? = nil,
  cookie: String? = nil, authorization: String? = nil, token: String? = nil
) -> PageGuard.Request {
  PageGuard.Request(
    method: method, path: path, host: host, origin: origin, cookie: cookie, authorization: authorization, token: token)
}

@Suite struct PageGuardTests {
  private let door = PageGuard(token: token, place: .port(4711))

  @Test func `the token opens the door once, as a cookie that no script and no other site sends`() {
    #expect(door.address == "http://127.0.0.1:4711/?token=\(token)")
    #expect(
      door.judge(request(token: token))
        == .welcomed(cookie: "postern_audit_4711=\(token); Path=/; HttpOnly; SameSite=Strict"))
    #expect(door.judge(request("/live", cookie: "a=b; postern_audit_4711=\(token)")) == .admitted)
    #expect(door.judge(request("/live", authorization: "Bearer \(token)")) == .admitted)
  }

  @Test func `nobody comes in without the token, or with nearly that token`() {
    let nearly = String(token.dropLast()) + "b"
    for wrong in ["", nearly, token + "0", String(token.dropLast()), token.uppercased()] {
      #expect(door.judge(request(token: wrong)) == .stranger)
      #expect(door.judge(request("/live", cookie: "postern_audit_4711=\(wrong)")) == .stranger)
      #expect(door.judge(request("/live", authorization: "Bearer \(wrong)")) == .stranger)
    }
    #expect(door.judge(request("/live")) == .stranger)
    // In the address it counts for the first visit only, and another server's cookie for nothing.
    #expect(door.judge(request("/live", token: token)) == .stranger)
    #expect(door.judge(request("/live", cookie: "postern_audit_4712=\(token)")) == .stranger)
  }

  @Test func `another host's name, another page's request and another method are refused, token or not`() {
    for host in [
      nil, "", "evil.example", "evil.example:4711", "127.0.0.1", "127.0.0.1:80", "localhost.evil.example:4711",
    ] {
      #expect(door.judge(request("/live", host: host, authorization: "Bearer \(token)")) == .wrongHost)
      #expect(door.judge(request(host: host, token: token)) == .wrongHost)
    }
    #expect(door.judge(request("/live", host: "LocalHost:4711", authorization: "Bearer \(token)")) == .admitted)
    for origin in ["http://evil.example", "null", "https://127.0.0.1:4711", "http://localhost:4711"] {
      #expect(door.judge(request("/live", origin: origin, authorization: "Bearer \(token)")) == .wrongHost)
    }
    #expect(
      door.judge(request("/live", origin: "http://127.0.0.1:4711", authorization: "Bearer \(token)")) == .admitted)
    for method in ["POST", "HEAD", "OPTIONS", "DELETE", "get"] {
      #expect(door.judge(request("/live", method: method, authorization: "Bearer \(token)")) == .wrongMethod)
    }
  }
}

@Suite struct SocketGuardTests {
  private let door = PageGuard(token: token, place: .socket)

  @Test func `behind a unix socket this machine is the host on any port, and no other machine is`() {
    for host in ["localhost", "127.0.0.1", "localhost:8080", "127.0.0.1:1"] {
      #expect(door.judge(request("/live", host: host, authorization: "Bearer \(token)")) == .admitted)
      #expect(
        door.judge(request("/live", host: host, origin: "http://\(host)", authorization: "Bearer \(token)"))
          == .admitted)
      #expect(door.judge(request("/live", host: host)) == .stranger)
    }
    for host in [nil, "", ":80", "localhost:", "localhost:x", "localhost:1:2", "evil.example", "evil.example:80"] {
      #expect(door.judge(request("/live", host: host, authorization: "Bearer \(token)")) == .wrongHost, "\(host ?? "")")
    }
    #expect(door.address == "http://localhost/?token=\(token)")
  }
}

@Suite struct LiveViewTests {
  private func told(_ message: String?) throws -> [String: Any] {
    let text = try #require(message)
    #expect(!text.contains("\n") && !text.unicodeScalars.contains { $0.actsOnTerminals })
    return try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
  }

  private func sequences(_ message: [String: Any]) -> [Int] {
    (message["rows"] as? [[String: Any]] ?? []).compactMap { $0["sequence"] as? Int }
  }

  @Test func `the first message has what is kept and matches, the next ones what has come, and nothing is nothing`()
    throws
  {
    var kept = KeptRecords(capacity: 100)
    for sequence in 1...10 { kept.append(refusal(UInt64(sequence))) }
    var view = LiveView(filter: "reason:limit") { _ in nil }
    let first = try told(view.message(from: kept, obstacle: nil))
    #expect(sequences(first) == [1, 3, 5, 7, 9])
    #expect(first["first"] as? Bool == true && first["matched"] as? Int == 5 && first["kept"] as? Int == 10)
    #expect((first["bars"] as? [[String: Any]])?.compactMap { $0["count"] as? Int } == [1, 0, 1, 0, 1, 0, 1, 0, 1])
    #expect(view.message(from: kept, obstacle: nil) == nil)
    kept.append(refusal(11))
    kept.append(refusal(12))
    let second = try told(view.message(from: kept, obstacle: nil))
    #expect(sequences(second) == [11] && second["first"] as? Bool == false)
    let third = try told(view.message(from: kept, obstacle: "no broker"))
    #expect(third["obstacle"] as? String == "no broker")
    let pair = try #require((third["pairs"] as? [[String: Any]])?.first)
    #expect(
      pair["refused"] as? Int == 6 && pair["application"] as? String == "shop" && pair["object"] as? String == "disk")
  }

  @Test func `a flood gives the newest rows of it, and counts all`() throws {
    var kept = KeptRecords(capacity: 5000)
    var view = LiveView(filter: "") { _ in nil }
    _ = view.message(from: kept, obstacle: nil)
    for sequence in 1...4000 { kept.append(refusal(UInt64(sequence))) }
    let message = try told(view.message(from: kept, obstacle: nil))
    #expect(sequences(message) == Array(3701...4000))
    #expect(message["matched"] as? Int == 4000)
  }

  @Test func `what was passed over, dropped by the journal and repeated is counted`() throws {
    var kept = KeptRecords(capacity: 4)
    var gap = AuditRecord(
      .gap, time: AuditTime(wall: 1, boottime: 1), boot: BootID(high: 1, low: 2))
    gap.sequence = 3
    gap.gap = Gap(
      first: 3, last: 9, counts: [Gap.Count(reason: .limit, count: 5), Gap.Count(reason: nil, count: 2)])
    kept.append(refusal(1))
    kept.append(gap)
    for sequence in [11, 13, 15, 16] { kept.append(refusal(UInt64(sequence))) }
    var view = LiveView(filter: "") { _ in nil }
    let first = try told(view.message(from: kept, skipped: 70, obstacle: nil))
    #expect(first["skipped"] as? Int == 70 && first["dropped"] as? Int == 0, "the gap is not kept any more")
    // 16 refuses for another reason.
    #expect(first["repeats"] as? Int == 2)
    #expect(first["from"] as? Int == 11 && first["last"] as? Int == 16)
    gap.sequence = 17
    kept.append(gap)
    let second = try told(view.message(from: kept, skipped: 70, obstacle: nil))
    #expect(second["dropped"] as? Int == 7)
  }

  @Test func `a text that is no filter is said, and shows nothing`() throws {
    var kept = KeptRecords(capacity: 5)
    kept.append(refusal(1))
    var view = LiveView(filter: "reson:limit") { _ in nil }
    let message = try told(view.message(from: kept, obstacle: nil))
    #expect((message["mistake"] as? String)?.contains("there is no key") == true)
    #expect(sequences(message) == [])
  }

  @Test func `any number of names makes no message larger than its bounds`() throws {
    var kept = KeptRecords(capacity: 20_000)
    for sequence in 1...6000 { kept.append(refusal(UInt64(sequence), object: ByteString("object \(sequence)"))) }
    var view = LiveView(filter: "") { _ in nil }
    let message = try told(view.message(from: kept, obstacle: nil))
    #expect((message["pairs"] as? [Any])?.count == LiveView.mostPairs)
    #expect(message["hiddenPairs"] as? Int == 5000 - LiveView.mostPairs)
    #expect((message["rows"] as? [Any])?.count == LiveView.mostRows)
  }

  @Test func `the page has nothing inline and nothing from elsewhere`() {
    #expect(!AuditPage.html.contains("style=") && !AuditPage.html.contains("onclick"))
    for text in [AuditPage.html, AuditPage.style, AuditPage.script] {
      #expect(!text.replacing("http://www.w3.org/2000/svg", with: "").contains("://"))
      #expect(!text.contains("innerHTML") && !text.contains("eval("))
    }
  }
}
