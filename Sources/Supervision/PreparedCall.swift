import Authority
import Instructions
import Linux

/// An intercepted call with everything that was copied and fetched for it, while it waits for its verdict. Confined to
/// its supervisor's thread.
final class PreparedCall {
  /// An object that it could be about.
  struct Candidate {
    enum Suffices { case all, any }

    var entry: InterceptTable.Entry
    /// What performing it takes.
    var needed: OperationSet
    var suffices: Suffices
  }

  enum Work {
    case bind(BindWork)
    case socket(SocketCall)
    case open(OpenWork)
  }

  let caller: Caller
  let candidates: [Candidate]
  let told: SupervisedCall
  let work: Work
  /// By whose association it is performed.
  var process: ProcessResource?

  init(caller: Caller, candidates: [Candidate], told: SupervisedCall, work: Work) {
    self.caller = caller
    self.candidates = candidates
    self.told = told
    self.work = work
  }

  /// Closes what is the program's own, before it goes on without us.
  func letGo() {
    if case .bind(let work) = work { _ = work.takeSocket() }
  }
}

/// The process and thread that issued a call. Confined to a supervisor's thread.
final class Caller {
  let thread: NotifyingThread
  private var process: ProcessPin?
  /// Its identity in the entity, for each object that it has an association with.
  var associated: [ObjectID: ProcessResource] = [:]
  /// Objects whose grants want uses recorded.
  var recordsUses: [ObjectID: Bool] = [:]

  private var lastBind: (name: SocketName, text: String)?

  init(_ thread: consuming NotifyingThread) { self.thread = thread }

  /// For people; a program that binds again mostly binds to the same.
  func text(ofBind name: SocketName) -> String {
    if let lastBind, lastBind.name == name { return lastBind.text }
    let text = "bind \(name.text)"
    lastBind = (name, text)
    return text
  }

  /// Holds its program image from now on; false: it cannot be looked at.
  func pin() -> Bool {
    if isPinned { return true }
    process = try? ProcessPin(pid: thread.tgid)
    return isPinned
  }

  /// After an exec it is another program: what the former had does not count.
  func forgetFormerProgram() {
    guard isPinned, !isCurrent else { return }
    process = nil
    associated = [:]
    recordsUses = [:]
  }

  private var isPinned: Bool {
    switch process {
    case .some: true
    case .none: false
    }
  }

  /// Pinned, alive and running the same program.
  var isCurrent: Bool {
    switch process {
    case .some(let pin): pin.state() == .current
    case .none: false
    }
  }
}

/// Proof that what a call needs was granted. The effect consumes it.
struct GrantedOperations: ~Copyable {
  private var first: Grant?
  private var second: Grant?
  private var count = 0

  init() {}

  var isEmpty: Bool { count == 0 }

  /// At most two: no call needs more.
  mutating func add(_ grant: consuming Grant) {
    if count == 0 { first = consume grant } else { second = consume grant }
    count += 1
  }
}
