import ArgumentParser
import Instructions
import Linux
import Postern
import Wire

struct RunCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Run an unmodified program with the objects that the policy grants it.",
    discussion: """
      The program binds, opens and makes sockets as ever; where the kernel would refuse and the policy grants the object, \
      the broker does it in its place. Everything else is as without Postern: postern becomes the program.

      Exit code: the program's own; 125 Postern failed and nothing was run, 126 the program cannot be run, 127 there is \
      no such program.
      """)

  @Option(
    name: .customLong("object"),
    help: ArgumentHelp(
      "Nothing is run unless this object is granted, and only calls for such objects are looked at; may be repeated.",
      valueName: "name"), transform: ArgumentReading.name)
  var objects: [String] = []

  @Flag(help: "Show what the program would get, and run nothing.")
  var dryRun = false

  @Flag(help: "Grant nothing; print the policy that the program would have needed. Needs no broker.")
  var learn = false

  @Option(help: ArgumentHelp("Where --learn puts the policy (default: the error stream).", valueName: "file"))
  var output: String?

  @Argument(parsing: .postTerminator, help: ArgumentHelp("The program and its arguments.", valueName: "command"))
  var command: [String] = []

  @OptionGroup var global: GlobalOptions

  func validate() throws {
    guard !command.isEmpty || dryRun else { throw ValidationError("Say what to run: postern run -- COMMAND ...") }
    guard !learn || !dryRun else { throw ValidationError("--learn runs the program, --dry-run does not.") }
    guard !learn || objects.isEmpty else {
      throw ValidationError("--learn looks for every object; leave --object out.")
    }
    guard output == nil || learn else { throw ValidationError("--output belongs to --learn.") }
    guard output?.isEmpty != true else { throw ValidationError("--output: expected a path") }
  }

  func perform(_ session: Session) throws(CommandFailure) {
    do throws(CommandFailure) {
      if learn { return try Learning(session, output: output).run(command) }
      if dryRun { return try show(session) }
      try start(session)
    } catch { throw error.preventingStart }
  }

  // MARK: Running

  private func start(_ session: Session) throws(CommandFailure) {
    let launch = try Launch(command, searchPath: session.surroundings.variable("PATH"))
    let plan = try Plan(session, objects: objects)
    let calls = try plan.callsToNotify()
    if let lost = launch.lostPrivileges() { session.warn(lost) }
    try session.surroundings.supervise(calls, socket: session.socketPath)
    try session.surroundings.become(launch)
  }

  // MARK: Showing

  private func show(_ session: Session) throws(CommandFailure) {
    // The program need not be named; if it is, it has to be there.
    if !command.isEmpty { _ = try Launch(command, searchPath: session.surroundings.variable("PATH")) }
    let plan = try Plan(session, objects: objects)
    try session.print(
      plan.table, json: plan.rows.map(\.json), empty: "no object is granted to this user: nothing would be given")
    if !plan.isGranted { throw .silent(.denied) }
  }
}
