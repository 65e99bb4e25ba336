import ArgumentParser
import AuditAnalysis
import Instructions
import Linux
import Postern
import Wire

struct OpenCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "open", abstract: "Run a program that takes its sockets and files from whoever starts it.",
    discussion: """
      The objects are descriptors 3, 4, ... of the program, in the order they are named, as sd_listen_fds(3) expects: \
      LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES are set. Postern becomes the program.

      Exit code: the program's own; 125 Postern failed or an object was refused, and nothing was run, 126 the program \
      cannot be run, 127 there is no such program.
      """)

  @Argument(help: "The objects' names, with commas between.", transform: OpenCommand.names)
  var objects: [String]

  @Option(
    help: ArgumentHelp("What is needed, with commas between (default: all that is granted).", valueName: "list"),
    transform: ArgumentReading.operations)
  var operations: OperationSet = []

  @Argument(parsing: .postTerminator, help: ArgumentHelp("The program and its arguments.", valueName: "command"))
  var command: [String] = []

  @OptionGroup var global: GlobalOptions

  static func names(_ text: String) throws -> [String] {
    let names = try text.split(separator: ",", omittingEmptySubsequences: false).map {
      try ArgumentReading.name(String($0))
    }
    guard Set(names).count == names.count else { throw ValidationError("an object is named twice") }
    // It separates the names in LISTEN_FDNAMES; no object of a policy has one.
    guard names.allSatisfy({ !$0.contains(":") }) else { throw ValidationError("an object's name has no colon") }
    return names
  }

  func validate() throws {
    guard !command.isEmpty else { throw ValidationError("Say what to run: postern open OBJECT -- COMMAND ...") }
  }

  private static let firstDescriptor: Int32 = 3

  func perform(_ session: Session) throws(CommandFailure) {
    do throws(CommandFailure) { try start(session) } catch { throw error.preventingStart }
  }

  private func start(_ session: Session) throws(CommandFailure) {
    var launch = try Launch(command, searchPath: session.surroundings.variable("PATH"))
    if let taken = session.surroundings.firstKept(from: Self.firstDescriptor, count: objects.count) {
      throw CommandFailure(
        .notStarted,
        "descriptor \(taken) is open already and would be passed on to the program, but that number is needed for "
          + "\(objects[Int(taken - Self.firstDescriptor)].escapedForTerminal)",
        hint: "Close it before (in a shell: `postern open ... \(taken)>&-`), or pass it on as another number.")
    }
    let image = try launch.image()
    let broker = try session.connect()
    for object in objects {
      do throws(PosternError) {
        launch.descriptors.append(try broker.handOver(object, operations, image: image).descriptor)
      } catch { throw OpenCommand.failure(error, object, broker) }
    }
    launch.variables = [
      "LISTEN_FDS": "\(objects.count)", "LISTEN_PID": "\(Confinement.processID)",
      "LISTEN_FDNAMES": objects.joined(separator: ":"),
    ]
    try session.surroundings.become(launch)
  }

  /// A refusal for want of a path is told with what the plan says about it: which key of the policy is missing.
  private static func failure(_ error: PosternError, _ object: String, _ broker: PosternConnection) -> CommandFailure {
    let failure = CommandFailure(error, during: "open \(object)")
    guard let refusal = error.refusal, refusal.detail == .pathUnavailable,
      let row = try? broker.plan(object: object).first, row.refusal != nil, !row.why.isEmpty
    else { return failure }
    var told = failure
    told.text =
      "open \(object.escapedForTerminal): refused: \(refusal.reason.name) "
      + "(\(SystemError.symbol(of: error.errno)), \(refusal.detail.name)): \(row.why.escapedForTerminal)"
    told.hint = Refusal(refusal.reason).hint
    return told
  }
}
