import AuditViewer
import FlyingFox
import Foundation
import Linux
import PosternCommands
import Synchronization

/// What is answered to which request, once the guard has admitted it.
final class Site: HTTPHandler {
  private let pages: AuditPages
  /// nil: nobody can come in yet.
  private let door = Mutex<PageGuard?>(nil)
  private let streams = Mutex<Int>(0)

  /// Pages that are open at a time.
  private static let mostStreams = 16
  /// Bytes.
  private static let longestFilter = 2000

  init(_ pages: AuditPages) { self.pages = pages }

  func open(_ guarding: PageGuard) { door.withLock { $0 = guarding } }

  func handleRequest(_ request: HTTPRequest) async throws -> HTTPResponse {
    guard let door = door.withLock({ $0 }) else { return Self.text(503, "not yet") }
    let asked = PageGuard.Request(
      method: request.method.rawValue, path: request.path, host: request.headers[.host],
      origin: request.headers[HTTPHeader("Origin")], cookie: request.headers[.cookie],
      authorization: request.headers[.authorization], token: request.query["token"])
    switch door.judge(asked) {
    case .admitted: return await answer(request)
    case .welcomed(let cookie):
      return Self.response(303, "", "text/plain", [("Location", "/"), ("Set-Cookie", cookie)])
    case .wrongMethod: return Self.text(405, "GET only")
    case .wrongHost: return Self.text(421, "this is not the host that was asked for")
    case .stranger: return Self.text(403, "open the address that `postern audit serve` printed")
    }
  }

  private func answer(_ request: HTTPRequest) async -> HTTPResponse {
    let pages = pages
    switch request.path {
    case "/": return Self.response(200, AuditPage.html, "text/html; charset=utf-8")
    case "/page.css": return Self.response(200, AuditPage.style, "text/css; charset=utf-8")
    case "/page.js": return Self.response(200, AuditPage.script, "text/javascript; charset=utf-8")
    case "/grants": return Self.json(await Self.onThread { pages.grants() })
    case "/verify": return Self.json(await Self.onThread { pages.verification() })
    case "/why":
      guard let id = request.query["id"].flatMap({ UInt64($0) }), id > 0 else { return Self.text(400, "no id") }
      return Self.json(await Self.onThread { pages.why(id) })
    case "/older":
      guard let before = request.query["before"].flatMap({ UInt64($0) }), before > 0 else {
        return Self.text(400, "no number")
      }
      let filter = request.query["filter"] ?? ""
      guard filter.utf8.count <= Self.longestFilter else { return Self.text(400, "the filter is too long") }
      return Self.json(await Self.onThread { pages.older(filter: filter, before: before) })
    case "/live": return live(request.query["filter"] ?? "")
    default: return Self.text(404, "there is no such page")
    }
  }

  private func live(_ filter: String) -> HTTPResponse {
    guard filter.utf8.count <= Self.longestFilter else { return Self.text(400, "the filter is too long") }
    let isRoom = streams.withLock { count in
      guard count < Self.mostStreams else { return false }
      count += 1
      return true
    }
    guard isRoom else { return Self.text(503, "too many pages are open") }
    let place = StreamPlace { [self] in streams.withLock { $0 -= 1 } }
    let stream = LiveStream(pages: pages, view: pages.view(filter: filter), place: place)
    return HTTPResponse(
      statusCode: HTTPStatusCode(200, phrase: "OK"), headers: Self.headers("text/event-stream", []),
      body: HTTPBodySequence(from: stream))
  }

  /// What blocks does so on a thread of its own: the pool's few are for requests.
  private static func onThread(_ body: @escaping @Sendable () -> String) async -> String {
    await withCheckedContinuation { continuation in
      do {
        _ = try Thread("page-answer", stackSize: 8 << 20) { continuation.resume(returning: body()) }
      } catch { continuation.resume(returning: "{\"obstacle\":\"no thread can be started\"}") }
    }
  }

  private static func headers(_ type: String, _ more: [(String, String)]) -> HTTPHeaders {
    var headers = HTTPHeaders()
    for (name, value) in [("Content-Type", type)] + PageGuard.headers + more {
      headers.setValues([value], for: HTTPHeader(name))
    }
    return headers
  }

  private static func response(
    _ code: Int, _ text: String, _ type: String, _ more: [(String, String)] = []
  ) -> HTTPResponse {
    HTTPResponse(
      statusCode: HTTPStatusCode(code, phrase: ""), headers: headers(type, more), body: Data(text.utf8))
  }

  private static func json(_ text: String) -> HTTPResponse { response(200, text, "application/json") }
  private static func text(_ code: Int, _ text: String) -> HTTPResponse {
    response(code, text + "\n", "text/plain; charset=utf-8")
  }
}
