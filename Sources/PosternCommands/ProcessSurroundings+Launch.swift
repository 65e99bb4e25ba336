import Instructions
import Linux
import Postern

extension ProcessSurroundings {
  /// Has the broker at `socket`, and a keeper where that is gone, answer the notified calls of this thread from now on.
  ///
  /// From the filter on this process must not open, bind or make raw sockets before a keeper has the listener: nobody
  /// would answer. Sending a message is never notified.
  func supervise(_ calls: NotifiedCalls, socket: String) throws(CommandFailure) {
    do {
      let pair = try MessageSocket.pair()
      // The keeper's working directory is another one.
      let path = socket.hasPrefix("/") ? socket : try ProcFile.readLink("/proc/self/cwd") + "/" + socket
      try OwnProcess.spawnDetached(["postern", "keep", "--socket", path], pair.second)
      // The other end is the keeper's alone: when it ends, ours has to say so.
      let keeper = pair.takeFirst()
      let listener = try ProcessSurroundings.installFilter(calls)
      switch try ListenerKeeper.submit(listener, calls, to: keeper) {
      case .supervised: return
      case .unsupervised(let why):
        throw CommandFailure(
          .notStarted, "the broker does not take over: \(why.escapedForTerminal)",
          hint: "`postern doctor` shows what it can do here; posternd's own messages say more.")
      }
    } catch let failure as CommandFailure {
      throw failure
    } catch let error as SystemError {
      throw CommandFailure(
        .notStarted, "the process that keeps the program going without a broker: \(error)".escapedForTerminal,
        errno: error.errno)
    } catch {
      throw CommandFailure(.bug, "\(error)")
    }
  }

  static func installFilter(_ calls: NotifiedCalls) throws(CommandFailure) -> Descriptor {
    do { return try NotificationFilter.install(calls) } catch {
      switch SystemError.symbol(of: error.errno) {
      case "EBUSY":
        throw CommandFailure(
          .notStarted, "this process has a seccomp filter with a listener already, and the kernel allows one",
          errno: error.errno,
          hint: "Another `postern run`, or a container's seccomp agent, is around it: run the program without that one."
        )
      case "EINVAL", "ENOSYS":
        throw CommandFailure(
          .notStarted, "this kernel has no seccomp user notification: \(error)".escapedForTerminal, errno: error.errno,
          hint: "It needs CONFIG_SECCOMP_FILTER and Linux 5.14; a container may forbid seccomp(2).")
      default:
        throw CommandFailure(
          .notStarted, "the seccomp filter cannot be installed: \(error)".escapedForTerminal, errno: error.errno)
      }
    }
  }

  /// Becomes the program, with everything that this process was started with; returns only by throwing.
  func become(_ launch: Launch) throws(CommandFailure) {
    for (name, value) in launch.variables { OwnProcess.set(variable: name, to: value) }
    do { try OwnProcess.place(launch.descriptors, from: 3) } catch {
      throw CommandFailure(
        .notStarted, "the descriptors cannot be put in place: \(error)".escapedForTerminal, errno: error.errno)
    }
    OwnProcess.restoreBrokenPipes()
    let error = OwnProcess.become(
      launch.program.path, launch.arguments, tail: launch.arguments.count - 1)
    // What is neither a binary nor says what runs it is a shell script (execvp(3)).
    guard SystemError.symbol(of: error.errno) == "ENOEXEC", launch.descriptors.isEmpty else { throw .cannotRun(error) }
    let shell = ["/bin/sh", launch.program.path] + launch.arguments.dropFirst()
    throw .cannotRun(OwnProcess.become("/bin/sh", shell, tail: launch.arguments.count - 1))
  }
}
