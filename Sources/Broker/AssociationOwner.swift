import Authority
import Instructions

/// What the broker knows of a live association beside what the entity holds.
struct AssociationOwner {
  var id: AssociationID
  var process: ProcessResource
  var object: ObjectID
  var application: ApplicationID
  var uid: UInt32
  /// Channels whose instructions it authorizes; with the last one closed it ends.
  var channels: Set<UInt64>
  var authorization: Authorization
  var runtimeGrants: [UInt64]
  /// Unix nanoseconds, for people.
  var since: UInt64
  /// How many descriptors of the path direct, or rings, its process was given; with the last one given up it ends.
  var opens = 0
  /// A use was recorded; for `audit: first-use` of what is handed over.
  var isUsed = false
}

/// A grant whose reply waits until its record is on disk.
struct PendingGrant {
  enum Answer {
    case opened(AssociationID, channel: UInt64)
    case revalidated(AssociationID, channel: UInt64)
    /// No connection waits for it, but supervised calls.
    case handedOver(AssociationID)
    /// The object goes to the asker, which has no association before its exec.
    case given(UInt64)
    /// The object's own descriptor goes to the asker.
    case openedDirect(AssociationID)
    case revalidatedDirect(AssociationID)
    /// The object is put into this ring.
    case enrolled(AssociationID, ring: UInt64)

    var association: AssociationID? {
      switch self {
      case .opened(let id, _), .revalidated(let id, _), .handedOver(let id): id
      case .openedDirect(let id), .revalidatedDirect(let id), .enrolled(let id, _): id
      case .given: nil
      }
    }
  }

  var connection: UInt64
  var request: UInt64
  var answer: Answer
}

/// A token bucket for `requests-per-second`.
struct RateBucket {
  var tokens: Double
  /// Boottime nanoseconds.
  var filled: UInt64

  /// Takes one token, of `perSecond` that come each second and at most that many that lie ready.
  mutating func take(perSecond: UInt32, now: UInt64) -> Bool {
    tokens = min(Double(perSecond), tokens + Double(now - filled) * Double(perSecond) / 1e9)
    filled = now
    guard tokens >= 1 else { return false }
    tokens -= 1
    return true
  }
}
