import Linux

/// `run --learn`: a program that runs with nothing granted, and the policy that it would have needed.
struct Learning {
  private let session: Session
  private let output: String?

  init(_ session: Session, output: String?) {
    self.session = session
    self.output = output
  }

  /// Ends as the program did, by throwing its exit code where that is not 0.
  func run(_ command: [String]) throws(CommandFailure) {
    let launch = try Launch(command, searchPath: session.surroundings.variable("PATH"))
    // Before anything is run: who asked for a file does not want to learn at the end that there is none.
    let file = try output.map { (path) throws(CommandFailure) in try Learning.create(path) }
    if let lost = launch.lostPrivileges() { session.warn(lost) }
    let observed = try session.surroundings.observe(launch)
    try report(observed, name: command[0], to: file)
    if observed.status != 0 { throw .silent(CommandStatus(rawValue: observed.status)) }
  }

  private func report(_ observed: Observed, name: String, to file: SharedDescriptor?) throws(CommandFailure) {
    let policy = LearnedPolicy(observed.refused, interface: Learning.likelyInterface())
    var text = ""
    if !policy.isEmpty {
      text +=
        "# What \(name.escapedForTerminal) was refused, as a policy (postern.yaml(5)); check it before you use it.\n"
    }
    text += policy.text
    if observed.unseen > 0 {
      text +=
        "# \(observed.unseen) calls could not be looked at (a program may forbid that, prctl(2) PR_SET_DUMPABLE)\n"
    }
    if observed.goesOn {
      text += "# processes that it started are still running; what they do from now on is not seen\n"
    }
    if policy.isEmpty {
      session.warn(
        observed.refused.isEmpty
          ? "nothing was refused for want of a privilege: no policy is needed"
          : "nothing that was refused could be granted to an unmodified program")
    }
    guard let file = file?.take() else { return session.complain(text) }
    do { try file.writeAll(Array(text.utf8)) } catch { throw .output(error) }
  }

  private static func create(_ path: String) throws(CommandFailure) -> SharedDescriptor {
    do { return SharedDescriptor(try Descriptor.create(path)) } catch {
      throw CommandFailure(.notStarted, "--output \(path): \(error)".escapedForTerminal, errno: error.errno)
    }
  }

  /// The interface of the default route, else the loopback one (proc_net_route in proc(5)).
  private static func likelyInterface() -> String {
    let text = (try? ProcFile.read("/proc/net/route")) ?? []
    for line in String(decoding: text, as: UTF8.self).split(separator: "\n").dropFirst() {
      let words = line.split(separator: "\t")
      if words.count > 1, words[1] == "00000000" { return String(words[0]) }
    }
    return "lo"
  }
}
