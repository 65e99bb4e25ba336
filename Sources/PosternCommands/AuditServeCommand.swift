import ArgumentParser
import Audit
import Linux

struct AuditServeCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve",
    abstract: "Show the journal on a web page of this machine, while it is written.",
    discussion: """
      Prints the page's address, with a token that is made for this run, and serves it on 127.0.0.1, or on a unix socket \
      of yours alone, until interrupted. Whoever has the address sees what you may see. The page says whether the \
      journal is whole, and with --key also whether it is what was written.
      """)

  @Option(help: ArgumentHelp("The port (default: any that is free).", valueName: "port"))
  var port: UInt16?

  @Option(
    help: ArgumentHelp("Listen on a unix socket there, mode 0600, in place of a port.", valueName: "path"),
    completion: .file())
  var listen: String?

  @Option(
    help: ArgumentHelp("Keep the last so many records.", valueName: "count"), transform: ArgumentReading.count)
  var newest: UInt32 = 20_000

  @OptionGroup var source: PolicyOption
  @OptionGroup var means: VerificationOptions
  @OptionGroup var place: JournalPlace
  @OptionGroup var global: GlobalOptions

  func validate() throws {
    if port != nil, listen != nil { throw ValidationError("--port and --listen exclude each other.") }
    // sockaddr_un, less what the server's own library leaves of it (unix(7)).
    if let listen, listen.isEmpty || listen.utf8.count > 100 {
      throw ValidationError("--listen: expected a path of at most 100 bytes")
    }
  }

  func perform(_ session: Session) throws(CommandFailure) {
    guard newest > 0, newest <= AuditUICommand.most else {
      throw CommandFailure(.usage, "\(session.command): --newest is from 1 to \(AuditUICommand.most)")
    }
    _ = try session.connect()
    let arguments = [
      StandardPath.pageServer, session.socketPath, listen ?? "\(port ?? 0)", source.policy ?? "",
      place.directory(session), "\(newest)", listen == nil ? "port" : "socket",
    ]
    try session.surroundings.become(try Launch(arguments + means.arguments, searchPath: nil))
  }
}
