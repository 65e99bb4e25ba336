import AuditViewer
import FlyingFox
import FlyingSocks
import Foundation
import Linux
import PosternCommands

/// The page of `postern audit serve`, which starts this: HTTP on the loopback interface and nothing else.
@main
struct Main {
  static func main() async {
    OwnProcess.ignoreBrokenPipes()
    guard let pages = AuditPages(arguments: Array(CommandLine.arguments.dropFirst())) else {
      end(64, "`postern audit serve` starts this; there is nothing to be done by hand")
    }
    if let why = pages.start() { end(why.status, why.text) }
    // Connections are closed a moment after there are too many of them.
    _ = try? Confinement.raiseDescriptorLimit()
    do {
      let site = Site(pages)
      let server = HTTPServer(config: try configuration(pages.place), handler: site)
      let running = Task { try await server.run() }
      try await server.waitUntilListening()
      let door: PageGuard
      switch (pages.place, await server.listeningAddress) {
      case (.socket, _): door = PageGuard(token: token(), place: .socket)
      case (.port, .ip4(_, let port)?): door = PageGuard(token: token(), place: .port(port))
      default: end(74, "there is no port")
      }
      site.open(door)
      say(pages.invitation(to: door.address) + "\n", to: .output)
      say("Whoever has this address sees what you may see. Ctrl-C ends it.\n", to: .error)
      try await running.value
    } catch { end(74, "the page cannot be served: \(error.localizedDescription)") }
  }

  private static func configuration(_ place: AuditPages.Place) throws -> HTTPServer.Configuration {
    let pool = PatientPool(HTTPServer.defaultPool())
    switch place {
    case .port(let port):
      return HTTPServer.Configuration(
        address: try .inet(ip4: "127.0.0.1", port: port), timeout: longestAnswer, pool: pool, logger: .disabled)
    case .socket(let path):
      // Takes away a socket that nobody answers at any more, and says no where somebody does.
      _ = try StreamSocket.listen(at: path, mode: 0o600)
      try removeFile(at: path)
      // The server's own bind(2) makes the file with what the umask leaves; nothing else is made here.
      OwnProcess.setFileMask(0o177)
      return HTTPServer.Configuration(
        address: .unix(path: path), timeout: longestAnswer, pool: pool, logger: .disabled)
    }
  }

  /// Seconds: to verify a journal is to read all of it.
  private static let longestAnswer: Double = 600

  /// 32 bytes of getrandom(2), in hexadecimal.
  private static func token() -> String {
    var generator = SystemRandomNumberGenerator()
    return (0..<32).map { _ in
      let byte = String(UInt8.random(in: 0...255, using: &generator), radix: 16)
      return byte.count == 1 ? "0" + byte : byte
    }.joined()
  }

  private static func say(_ text: String, to stream: StandardStream) { try? stream.write(Array(text.utf8)) }

  private static func end(_ status: Int32, _ text: String) -> Never {
    say("postern: audit serve: \(text)\n", to: .error)
    OwnProcess.exit(status)
  }
}
