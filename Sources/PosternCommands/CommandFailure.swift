import Instructions
import Linux
import Wire

/// Why a command ends with another code than 0, and what the person is told.
struct CommandFailure: Error, Sendable, Hashable {
  var status: ExitStatus
  /// One line, escaped already; empty: nothing is said (what there is to say has been printed).
  var text: String
  var refusal: Refusal?
  var errno: Int32?
  /// What to do; may be empty.
  var hint: String

  init(_ status: ExitStatus, _ text: String, refusal: Refusal? = nil, errno: Int32? = nil, hint: String = "") {
    self.status = status
    self.text = text
    self.refusal = refusal
    self.errno = errno
    self.hint = hint
  }

  /// Ends with `status`; everything has been said.
  static func silent(_ status: ExitStatus) -> CommandFailure { CommandFailure(status, "") }

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
    let status = ExitStatus(failure: errno)
    return CommandFailure(
      status, "\(action.escapedForTerminal): \(status.verb): \(why) (\(SystemError.symbol(of: errno)))", errno: errno,
      hint: status == .notPermitted ? "Ask as root, as the broker's own user, or as a member of its admins group." : "")
  }

  static func unreachable(_ path: String, _ error: SystemError) -> CommandFailure {
    CommandFailure(
      .unreachable,
      "no broker at \(path.escapedForTerminal): \(SystemError.message(of: error.errno)) (\(SystemError.symbol(of: error.errno)))",
      errno: error.errno, hint: "Start posternd, or name its socket with --socket or $POSTERN_SOCKET.")
  }

  /// The broker, or this program, does not keep to the protocol.
  static func protocolViolation(_ text: String) -> CommandFailure {
    CommandFailure(
      .bug, "the broker's answer makes no sense: \(text.escapedForTerminal)",
      hint: "`postern --version` and `postern status` show whether both are of one version; else it is a bug.")
  }

  static func unexpectedReply(_ request: String) -> CommandFailure {
    .protocolViolation("another kind of answer than \(request) has")
  }

  static func disconnected(_ action: String) -> CommandFailure {
    CommandFailure(
      .unreachable, "\(action.escapedForTerminal): the broker closed the connection",
      hint: "Look at the broker's own messages; `postern status` shows whether it is back.")
  }

  /// Our own output could not be written. Nobody reading any more is nothing to complain about.
  static func output(_ error: SystemError) -> CommandFailure {
    error.errno == 32 ? .silent(.failed) : CommandFailure(.failed, "\(error)".escapedForTerminal, errno: error.errno)
  }
}

extension ExitStatus {
  /// For a request, not an operation, that the broker could not fulfil.
  init(failure errno: Int32) {
    switch SystemError.symbol(of: errno) {
    case "EPERM", "EACCES": self = .notPermitted
    case "ENOENT", "ESRCH": self = .denied
    case "EINVAL", "EPROTO", "EBADMSG", "ENOSYS", "EOPNOTSUPP": self = .bug
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
