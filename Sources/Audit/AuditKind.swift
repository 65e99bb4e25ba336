import Instructions

/// What a record tells of; the raw value stands in the journal.
public enum AuditKind: UInt8, CaseIterable, Sendable, Hashable {
  case refusal = 1
  /// An association was made by open or associate.
  case grant = 2
  case revalidate = 3
  case revoke = 4
  /// An association ended; `cause` says why.
  case drop = 5
  case reload = 6
  /// An operation was performed (a grant's `audit: first-use` or `all`).
  case use = 7
  /// Records that were not kept, and how many.
  case gap = 8
  case start = 9
  case stop = 10
  /// The journal's own tail was damaged and has been cut.
  case repair = 11
  /// `postern grant`: a grant until it expires, is revoked, or the policy is read again.
  case runtimeGrant = 12
  /// A privileged request that is none of the others.
  case privileged = 13
  /// Something is about to be done that leaves the broker's hands (handover, filter installed).
  case intent = 14
  /// The retention is about to remove segments: `removal` says which numbers.
  case removal = 15
  /// The key that continues the chain was gone or unreadable: another chain with another first key begins here.
  case rekey = 16
  /// A runtime grant has expired or was revoked; those that a reload ends have no record but the reload's.
  case runtimeGrantEnd = 17

  public var name: String {
    switch self {
    case .refusal: "refusal"
    case .grant: "grant"
    case .revalidate: "revalidate"
    case .revoke: "revoke"
    case .drop: "drop"
    case .reload: "reload"
    case .use: "use"
    case .gap: "gap"
    case .start: "start"
    case .stop: "stop"
    case .repair: "repair"
    case .runtimeGrant: "runtime-grant"
    case .privileged: "privileged"
    case .intent: "intent"
    case .removal: "removal"
    case .rekey: "rekey"
    case .runtimeGrantEnd: "runtime-grant-end"
    }
  }

  public init?(name: some StringProtocol) {
    guard let kind = AuditKind.allCases.first(where: { $0.name == name }) else { return nil }
    self = kind
  }
}

/// Why an association, or a runtime grant, has ended; the raw value stands in the journal.
public enum DropCause: UInt8, CaseIterable, Sendable, Hashable {
  case exit = 1
  case exec = 2
  case expiry = 3
  case reload = 4
  /// The object behind the name was replaced.
  case replaced = 5
  case revoke = 6
  /// The channel was closed.
  case closed = 7

  public var name: String {
    switch self {
    case .exit: "exit"
    case .exec: "exec"
    case .expiry: "expiry"
    case .reload: "reload"
    case .replaced: "replaced"
    case .revoke: "revoke"
    case .closed: "closed"
    }
  }
}

/// One moment on both clocks.
public struct AuditTime: Sendable, Hashable {
  /// CLOCK_REALTIME, nanoseconds since 1970.
  public var wall: UInt64
  /// CLOCK_BOOTTIME, nanoseconds.
  public var boottime: UInt64

  public init(wall: UInt64, boottime: UInt64) {
    self.wall = wall
    self.boottime = boottime
  }

  /// Another moment of the same boot, by a wall clock that nobody has set since.
  public func at(boottime: UInt64) -> AuditTime {
    AuditTime(wall: wall &+ (boottime &- self.boottime), boottime: boottime)
  }
}

/// /proc/sys/kernel/random/boot_id (random(4)): says which boot a boottime belongs to.
public struct BootID: Sendable, Hashable {
  /// The 16 bytes in the order they are written.
  public var high: UInt64
  public var low: UInt64

  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// The UUID text, with or without a newline at its end; nil: not a UUID.
  public init?(text: some StringProtocol) {
    var digits: [UInt8] = []
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): digits.append(byte - UInt8(ascii: "0"))
      case UInt8(ascii: "a")...UInt8(ascii: "f"): digits.append(byte - UInt8(ascii: "a") + 10)
      case UInt8(ascii: "A")...UInt8(ascii: "F"): digits.append(byte - UInt8(ascii: "A") + 10)
      case UInt8(ascii: "-"), UInt8(ascii: "\n"): continue
      default: return nil
      }
    }
    guard digits.count == 32 else { return nil }
    high = digits[..<16].reduce(0) { $0 << 4 | UInt64($1) }
    low = digits[16...].reduce(0) { $0 << 4 | UInt64($1) }
  }

  /// As the kernel writes it.
  public var text: String {
    var out: [UInt8] = []
    for index in 0..<32 {
      if index == 8 || index == 12 || index == 16 || index == 20 { out.append(UInt8(ascii: "-")) }
      let word = index < 16 ? high : low
      out.append(hexDigit(UInt8(truncatingIfNeeded: word >> UInt64(60 - 4 * (index % 16)))))
    }
    return String(decoding: out, as: UTF8.self)
  }
}

/// Records that were not kept, counted by reason. They took the sequence numbers `first...last`; where they are more than
/// these, the others were lost before they had one: the kernel tells of refusals through a buffer that can be full.
public struct Gap: Sendable, Hashable {
  public struct Count: Sendable, Hashable {
    /// nil: records without a reason.
    public var reason: Reason?
    public var count: UInt64

    public init(reason: Reason?, count: UInt64) {
      self.reason = reason
      self.count = count
    }
  }

  public var first: UInt64
  public var last: UInt64
  /// In order of the reasons' codes, those without a reason last; each stands once.
  public var counts: [Count]

  public init(first: UInt64, last: UInt64, counts: [Count]) {
    self.first = first
    self.last = last
    self.counts = counts
  }

  /// How many there were.
  public var lost: UInt64 {
    var lost: UInt64 = 0
    addLost(to: &lost)
    return lost
  }

  /// Adds how many there were to a figure. Counts come from files, where anything may stand: a sum that no number holds is
  /// the highest one, and never one that looks harmless.
  public func addLost(to figure: inout UInt64) {
    for count in counts {
      let (sum, overflow) = figure.addingReportingOverflow(count.count)
      figure = overflow ? .max : sum
    }
  }

  /// Takes up the records of `other`, which follows directly.
  mutating func extend(by other: Gap) {
    last = other.last
    for count in other.counts { add(count.reason, count.count) }
  }

  mutating func add(_ reason: Reason?, _ count: UInt64) {
    let code = Gap.order(reason)
    let index = counts.firstIndex { Gap.order($0.reason) >= code } ?? counts.endIndex
    if index < counts.endIndex, counts[index].reason == reason {
      counts[index].count += count
    } else {
      counts.insert(Count(reason: reason, count: count), at: index)
    }
  }

  private static func order(_ reason: Reason?) -> UInt16 { reason?.rawValue ?? UInt16.max }
}

/// Which runtime grant a record is about.
public struct RuntimeGrantTerm: Sendable, Hashable {
  /// The broker's number of it, given once in a run.
  public var id: UInt64
  /// Boottime nanoseconds; nil: until the next reload.
  public var expiry: UInt64?

  public init(id: UInt64, expiry: UInt64? = nil) {
    self.id = id
    self.expiry = expiry
  }
}

/// Where a segment's tail was cut.
public struct Repair: Sendable, Hashable {
  /// The first sequence number of the segment, as its name has it.
  public var segment: UInt64
  /// Bytes from the segment's start where the cut was made.
  public var offset: UInt64
  /// How many bytes were cut.
  public var lost: UInt64

  public init(segment: UInt64, offset: UInt64, lost: UInt64) {
    self.segment = segment
    self.offset = offset
    self.lost = lost
  }
}

/// The sequence numbers of segments that the retention removes.
public struct Removal: Sendable, Hashable {
  /// 1 where everything before has been removed in the same way.
  public var first: UInt64
  public var last: UInt64

  public init(first: UInt64, last: UInt64) {
    self.first = first
    self.last = last
  }
}

/// A hexadecimal digit, small letters; only the low four bits count.
func hexDigit(_ value: UInt8) -> UInt8 {
  let digit = value & 15
  return digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
}
