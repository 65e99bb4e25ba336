import Instructions
import Linux
import Wire

/// Why a call did not do what it was asked to.
public enum PosternError: Error, Sendable, Hashable {
  /// The authorization check, or an open or revalidation, said no. `errno` is what C callers see.
  case refused(Refusal, errno: Int32)
  /// Allowed, but it failed: the errno of the kernel, the device or the broker, and the broker's words where it has any.
  case failed(errno: Int32, text: String)
  /// The broker's socket cannot be reached (connect(2), or this process has no descriptor left).
  case unreachable(SystemError)
  /// The broker has gone away, or has closed this channel. Nothing is known of what was under way.
  case disconnected(SystemError)
  /// The broker's bytes make no sense. The channel or connection is not used any more.
  case violation(WireError)
  /// The call itself is wrong (EINVAL, EBADF, EMSGSIZE, EOPNOTSUPP); nothing was sent.
  case usage(errno: Int32, text: String)

  /// What a C caller sees, positive: ENOTCONN where the broker has gone away, EPROTO where it talks nonsense.
  public var errno: Int32 {
    switch self {
    case .refused(_, let errno), .failed(let errno, _), .usage(let errno, _): errno
    case .unreachable(let error): error.errno
    case .disconnected: SystemError.notConnected
    case .violation: SystemError.protocolViolated
    }
  }

  /// The refusal, if it was one.
  public var refusal: Refusal? {
    if case .refused(let refusal, _) = self { refusal } else { nil }
  }

  /// Whether the channel or connection is of no further use.
  var isFinal: Bool {
    switch self {
    case .disconnected, .violation: true
    case .refused, .failed, .unreachable, .usage: false
    }
  }
}

extension PosternError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .refused(let refusal, _):
      let detail = refusal.detail == .none ? "" : " (\(refusal.detail.name))"
      let message = refusal.message.isEmpty ? "" : ": \(refusal.message)"
      return "refused: \(refusal.reason.name)\(detail)\(message)"
    case .failed(let errno, let text): return text.isEmpty ? SystemError.message(of: errno) : text
    case .unreachable(let error): return "the broker cannot be reached: \(error)"
    case .disconnected(let error): return "the broker has gone away: \(error)"
    case .violation(let error): return "the broker sent what cannot be read: \(error)"
    case .usage(_, let text): return text
    }
  }
}
