import Instructions
import Linux

/// A program that the process is to become.
struct Launch: Sendable {
  var program: Program
  /// What it is told, with the name it was called by first.
  var arguments: [String]
  /// Variables that are set beside the environment there is.
  var variables: [String: String] = [:]
  /// What it finds from descriptor 3 on.
  var descriptors: [SharedDescriptor] = []

  /// - Parameters:
  ///   - command: the program's name and its arguments; at least the name.
  ///   - searchPath: $PATH.
  init(_ command: [String], searchPath: String?) throws(CommandFailure) {
    let name = command.first ?? ""
    do { program = try Program(named: name, searching: searchPath) } catch {
      throw Launch.failure(error, name)
    }
    arguments = command
  }

  private static func failure(_ mistake: Program.Mistake, _ name: String) -> CommandFailure {
    switch mistake {
    case .notFound:
      CommandFailure(
        .notFound,
        name.contains("/")
          ? "\(name.escapedForTerminal): there is no such file"
          : "\(name.escapedForTerminal): there is no such program in $PATH")
    case .notExecutable(let error): .cannotRun(error)
    }
  }

  /// Pins what the exec will map; see `Program.image`.
  func image() throws(CommandFailure) -> Descriptor {
    do { return try program.image() } catch { throw .cannotRun(error) }
  }

  /// What the program would be allowed by its file, and is not under no_new_privs; nil: nothing.
  func lostPrivileges() -> String? {
    // What cannot be looked at is not warned of; the exec itself will say more.
    guard let image = try? program.image(), let found = try? Program.privileges(of: image), !found.isEmpty else {
      return nil
    }
    let words = found.map { privilege in
      switch privilege {
      case .user(let uid): "set-user-ID to \(Launch.userName(uid))"
      case .group(let gid): "set-group-ID to group \(gid)"
      case .capabilities: "given capabilities by its file"
      }
    }
    return "\(arguments[0].escapedForTerminal) is \(words.joined(separator: " and ")); it runs without that here, "
      + "because a program whose calls are notified cannot gain privileges (no_new_privs)"
  }

  private static func userName(_ uid: UInt32) -> String {
    ((try? Accounts().user(id: uid)) ?? nil)?.name.escapedForTerminal ?? "user \(uid)"
  }
}

extension CommandFailure {
  /// The file is there and cannot be run (execve(2)).
  static func cannotRun(_ error: SystemError) -> CommandFailure {
    CommandFailure(
      error.errno == ErrorCode.noSuchEntry ? .notFound : .cannotRun,
      "\(error.path): \(SystemError.message(of: error.errno)) (\(SystemError.symbol(of: error.errno)))"
        .escapedForTerminal, errno: error.errno,
      hint: error.errno == ErrorCode.noSuchEntry
        ? "The file is there: what is missing is the interpreter that its first line, or its ELF header, names." : "")
  }

  /// The same, as the reason why a program was not started.
  var preventingStart: CommandFailure {
    // Without a text it is an answer that was given, not a failure.
    guard !text.isEmpty, status != .cannotRun, status != .notFound else { return self }
    var copy = self
    copy.status = .notStarted
    return copy
  }
}
