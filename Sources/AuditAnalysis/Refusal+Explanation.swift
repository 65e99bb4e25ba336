import Instructions

extension Refusal {
  /// What the reason means, in a sentence's tail.
  public var explanation: String {
    if let text = detail.explanation { return text }
    return switch reason {
    case .undecidable: "the broker could not find out whether this is allowed, and undecidable means denied"
    case .noSuchObject: "there is no such object, or none that this process may know of"
    case .stale: "the object was replaced since it was opened"
    case .revoked: "it was taken back, and the revoke stands"
    case .notAssociated: "this process has no association with the object"
    case .expired: "the association has expired"
    case .operation: "the grant, or the object's kind, does not cover this operation"
    case .limit: "an operand is outside the limits (range, address, port, request number or length)"
    case .busy: "another process holds the object, which is exclusive"
    case .quota: "too many processes, requests or objects"
    case .refused: "the policy says no"
    }
  }

  /// What the person can do about it.
  public var hint: String {
    if let text = detail.hint { return text }
    return switch reason {
    case .undecidable:
      "Try again; if it stays, the journal (`postern audit list --reason undecidable`) says what failed."
    case .noSuchObject: "`postern object list` shows the objects that you may use; check the spelling and the grants."
    case .stale: "Open the object again."
    case .revoked: "Final until an admin gives it back with `postern grant` or `postern reload`."
    case .notAssociated: "Open the object in this process, or revalidate."
    case .expired: "Open the object again."
    case .operation:
      "An admin can add it with `postern grant`, or in the policy; `postern object show OBJECT` tells what the kind knows."
    case .limit: "Keep within the object's range and limits; `postern object show OBJECT` shows them."
    case .busy: "Wait until it is released; an admin sees the holder with `postern association list`."
    case .quota: "Close what is no longer needed, or have `processes:` or `limits:` raised in the policy."
    case .refused: "Ask whoever keeps the policy."
    }
  }
}

extension RefusalDetail {
  fileprivate var explanation: String? {
    switch self {
    case .none: nil
    case .namespace: "the process is in another pid namespace than the policy names"
    case .tracer: "the process has a tracer"
    case .forkDenied: "the grant allows no forked children"
    case .notDescended: "the process does not descend from one that held the object when it forked"
    case .execed: "the process changed its program since it asked or was associated"
    case .pathUnavailable: "the path that was demanded does not exist here"
    case .selector: "no application's selector matches this process"
    case .nonce: "the second message of the open was not the answer to the first"
    case .ancestorExpired: "the ancestor's association has expired"
    case .objectUnavailable: "the broker could not open the object"
    case .brokerOwn: "what belongs to the broker itself is never brokered"
    case .auditFull: "the audit journal cannot take the record, so nothing is granted"
    }
  }

  fileprivate var hint: String? {
    switch self {
    case .none, .selector: nil
    case .namespace: "Run it in the broker's pid namespace, or name its own with `namespace:` in the policy."
    case .tracer: "Detach the tracer, or set `traceable: true` for the application."
    case .forkDenied: "Open the object in the child itself, or set `on-fork: revalidate` in the grant."
    case .notDescended: "Open the object in this process instead of inheriting it."
    case .execed: "Open the object after the exec, or set `on-exec: keep` in the grant."
    case .pathUnavailable: "`postern doctor` shows which paths work here and why."
    case .nonce: "Try again; a client that does this repeatedly has a bug."
    case .ancestorExpired: "Open the object in this process."
    case .objectUnavailable: "`postern object show OBJECT` tells what is wrong with it."
    case .brokerOwn: "Name another object in the policy."
    case .auditFull: "Make room where the journal is kept, then try again."
    }
  }
}
