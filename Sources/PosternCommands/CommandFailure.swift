import AuditAnalysis
import Instructions
import Linux
import Postern

/// Why a command ends with another code than 0, and what the person is told.
struct CommandFailure: Error, Sendable, Hashable {
  var status: CommandStatus
  /// One line, escaped already; empty: nothing is said (what there is to say has been printed).
  var text: String
  var refusal: Refusal?
  var errno: Int32?
  /// What to do; may be empty.
  var hint: String

  init(_ status: CommandStatus, _ text: String, refusal: Refusal? = nil, errno: Int32? = nil, hint: String = "") {
    self.status = status
    self.text = text
    self.refusal = refusal
    self.errno = errno
    self.hint = hint
  }

  /// Ends with `status`; everything has been said.
  static func silent(_ status: CommandStatus) -> CommandFailure { CommandFailure(status, "") }

  /// The broker said no.
  ///
  /// - Parameter action: what was asked, `read scratch`.
  static func refused(_ action: String, _ refusal: Refusal, errno: Int32? = nil) -> CommandFailure {
    let reason = refusal.reason
    let code = errno ?? reason.errno
    let detail = refusal.detail == .none ? "" : ", \(refusal.detail.name)"
    return CommandFailure(
      .denied,
      "\(action.escapedForTerminal): refused: \(reason.name) (\(SystemError.symbol(of: code))\(detail)): "
        + refusal.explanation,
      refusal: refusal, errno: code, hint: refusal.hint)
  }

  /// It was allowed, or needed no leave, and did not work.
  static func failed(_ action: String, errno: Int32, _ text: String = "") -> CommandFailure {
    let why = text.isEmpty ? SystemError.message(of: errno) : text.escapedForTerminal
    let status = CommandStatus(failure: errno)
    return CommandFailure(
      status, "\(action.escapedForTerminal): \(status.verb): \(why) (\(SystemError.symbol(of: errno)))", errno: errno,
      hint: status == .notPermitted ? "Ask as root, as the broker's own user, or as a member of its admins group." : "")
  }

  /// A failed operation on an object; the check had allowed it.
  static func failedOperation(_ action: String, errno: Int32, _ text: String) -> CommandFailure {
    let why = text.isEmpty ? SystemError.message(of: errno) : text.escapedForTerminal
    return CommandFailure(
      .failed, "\(action.escapedForTerminal): allowed, but it failed: \(why) (\(SystemError.symbol(of: errno)))",
      errno: errno)
  }

  /// What the client library threw.
  init(_ error: PosternError, during action: String) {
    let name = action.escapedForTerminal
    switch error {
    case .refused(let refusal, let errno): self = .refused(action, refusal, errno: errno)
    case .failed(let errno, let text): self = .failed(action, errno: errno, text)
    case .unreachable(let error):
      let path = error.path.isEmpty ? "" : " at \(error.path.escapedForTerminal)"
      self.init(
        .unreachable,
        "\(name): no broker\(path): \(SystemError.message(of: error.errno)) (\(SystemError.symbol(of: error.errno)))",
        errno: error.errno, hint: "Start posternd, or name its socket with --socket or $POSTERN_SOCKET.")
    case .disconnected(let error):
      self.init(
        .unreachable, "\(name): the broker has gone away", errno: error.errno,
        hint: "`postern status` shows whether it is back; posternd's own messages say why it went.")
    case .violation(let error):
      self.init(
        .bug, "\(name): the broker's answer makes no sense: \(error)",
        hint: "`postern --version` and `postern status` show whether both are of one version; if so, it is a bug.")
    case .usage(let errno, let text):
      self.init(
        .usage, "\(name): \(text.escapedForTerminal) (\(SystemError.symbol(of: errno)))", errno: errno)
    }
  }

  /// Our own output could not be written. Nobody reading any more is nothing to complain about.
  static func output(_ error: SystemError) -> CommandFailure {
    error.errno == ErrorCode.brokenPipe
      ? .silent(.failed) : CommandFailure(.failed, "\(error)".escapedForTerminal, errno: error.errno)
  }
}

extension CommandStatus {
  /// For a request, not an operation, that the broker could not fulfil.
  init(failure errno: Int32) {
    switch SystemError.symbol(of: errno) {
    case "EPERM", "EACCES": self = .notPermitted
    case "ENOENT", "ESRCH": self = .denied
    // The broker understood the request, but not what it names: operations that the object does not know.
    case "EINVAL": self = .usage
    case "EPROTO", "EBADMSG", "ENOSYS", "EOPNOTSUPP": self = .bug
    default: self = .failed
    }
  }

  fileprivate var verb: String {
    switch self {
    case .notPermitted: "not permitted"
    case .denied: "denied"
    default: "failed"
    }
  }
}

extension CommandFailure {
  /// For programs that asked for JSON.
  func json(command: String) -> JSON {
    .object([
      "command": .string(command),
      "exit": .number(Int64(status.rawValue)),
      "error": .string(text),
      "reason": refusal.map { .string($0.reason.name) } ?? .null,
      "detail": refusal.flatMap { $0.detail == .none ? nil : .string($0.detail.name) } ?? .null,
      "errno": errno.map { .string(SystemError.symbol(of: $0)) } ?? .null,
      "message": .text(refusal?.message ?? ""),
      "hint": .text(hint),
    ])
  }

  /// For people: what, the policy's own words, what to do.
  func lines(prefix: String) -> String {
    var result = "\(prefix): \(text)\n"
    if let message = refusal?.message, !message.isEmpty { result += "  policy: \(message.escapedForTerminal)\n" }
    if !hint.isEmpty { result += "  hint: \(hint)\n" }
    return result
  }
}

extension CommandFailure {
  /// The same, told after what had been done before it.
  func after(_ progress: String) -> CommandFailure {
    var copy = self
    if !copy.text.isEmpty { copy.text = progress + copy.text }
    return copy
  }
}
