import Linux
import Synchronization

/// Keeps what revokes block in the state directory. A thread of its own writes, so that the one that checks never waits for
/// the disk; the file is replaced whole, so that one is there whenever a process or a machine ends.
final class RevokeStore: Sendable {
  enum Outcome: Sendable, Equatable {
    case waiting
    case stored
    case failed(SystemError)
  }

  private struct State {
    var waiting: [UInt8]?
    /// Of what was given last, was tried last, and is on disk.
    var given: UInt64 = 0
    var tried: UInt64 = 0
    var stored: UInt64 = 0
    var failure: SystemError?
    var isStopping = false
  }

  static let name = "revokes"
  private static let unfinished = "revokes.new"

  private let directory: JournalDirectory
  private let state = Mutex(State())
  private let work: EventDescriptor
  private let thread = Mutex<Thread?>(nil)
  /// Open beforehand: a broker that has no descriptor left is to be able to revoke. Empty.
  private let prepared = Mutex<JournalFile?>(nil)
  /// Readable when something was written, or could not be.
  let changed: EventDescriptor

  init(_ path: String) throws(SystemError) {
    directory = try JournalDirectory(path: path)
    work = try EventDescriptor()
    changed = try EventDescriptor()
  }

  /// The file's bytes, one more than its limit where there are more; nil: there is none.
  func read() throws(SystemError) -> [UInt8]? {
    guard let file = try directory.openToRead(Self.name) else { return nil }
    var bytes: [UInt8] = []
    while bytes.count <= RevokeFile.limit {
      let count = try file.read(into: &bytes, count: 65536, at: UInt64(bytes.count))
      if count == 0 { break }
    }
    return bytes
  }

  /// Starts the thread; it holds the store until `stop`.
  func start() throws(SystemError) {
    try prepared.withLock { (prepared) throws(SystemError) in prepared = try create() }
    try thread.withLock { (thread) throws(SystemError) in thread = try Thread("revokes") { [self] in run() } }
  }

  /// Has this written in place of what was there. What was given before and is not written yet never is.
  ///
  /// - Returns: a number to ask with for what became of it.
  func put(_ file: RevokeFile) -> UInt64 {
    let bytes = file.encoded()
    let number = state.withLock { state in
      state.given += 1
      state.waiting = bytes
      return state.given
    }
    work.signal()
    return number
  }

  func outcome(of number: UInt64) -> Outcome {
    state.withLock { state in
      if state.stored >= number { return .stored }
      guard state.tried >= number, let failure = state.failure else { return .waiting }
      return .failed(failure)
    }
  }

  /// Ends the thread when everything that was given is written.
  func stop() {
    state.withLock { $0.isStopping = true }
    work.signal()
    if let thread = thread.withLock({ $0.take() }) { thread.join() }
  }

  private func run() {
    while true {
      let (bytes, number, isStopping) = state.withLock { state in
        defer { state.waiting = nil }
        return (state.waiting, state.given, state.isStopping)
      }
      guard let bytes else {
        guard !isStopping else {
          try? directory.remove(Self.unfinished)
          return
        }
        work.wait(milliseconds: nil)
        continue
      }
      var failure: SystemError?
      do throws(SystemError) { try write(bytes) } catch { failure = error }
      state.withLock { state in
        state.tried = number
        state.failure = failure
        if failure == nil { state.stored = number }
      }
      changed.signal()
    }
  }

  private func write(_ bytes: [UInt8]) throws(SystemError) {
    guard bytes.count <= RevokeFile.limit else {
      throw SystemError(errno: ErrorCode.noSpace, operation: "too many processes to note", path: Self.name)
    }
    if let ready = prepared.withLock({ $0.take() }) {
      try replace(by: ready, bytes)
    } else {
      try replace(by: create(), bytes)
    }
    prepared.withLock { $0 = try? create() }
  }

  /// Closes it too.
  private func replace(by file: consuming JournalFile, _ bytes: [UInt8]) throws(SystemError) {
    var written = 0
    while written < bytes.count {
      written += try file.write(bytes.span.extracting(written...), at: UInt64(written))
    }
    try file.synchronize()
    try directory.rename(Self.unfinished, to: Self.name)
    try directory.synchronize()
  }

  private func create() throws(SystemError) -> JournalFile {
    // That of a broker which was killed meanwhile, or of an attempt that failed.
    try? directory.remove(Self.unfinished)
    return try directory.create(Self.unfinished)
  }
}
