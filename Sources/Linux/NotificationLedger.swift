import CLinux
import Glibc

/// Which notifications the broker has received and not answered, in a memory file that outlives it.
///
/// The kernel does not deliver a notification twice. Who holds the listener and this file can answer what a broker that
/// died has left; without it those callers would wait for ever.
@safe public struct NotificationLedger: ~Copyable, Sendable {
  /// Notifications that can be under way at the same time, besides the last that was received.
  public static let capacity = Int(CLINUX_LEDGER_SLOTS)

  private let address: UInt
  private let file: Descriptor

  /// A new, empty ledger.
  public init() throws(SystemError) {
    var number: Int32 = -1
    // SAFETY: the number is written by the call; on success mapping and number are ours.
    guard let ledger = unsafe clinux_ledger_create(&number) else {
      throw SystemError(errno: errno, operation: "memfd_create", path: "ledger")
    }
    address = UInt(bitPattern: ledger)
    file = Descriptor(adopting: number)
  }

  deinit {
    // SAFETY: mapped in init, unmapped once.
    unsafe clinux_ledger_unmap(memory)
  }

  var memory: OpaquePointer? {
    // SAFETY: the address is a mapping's that lives as long as self.
    unsafe OpaquePointer(bitPattern: address)
  }

  /// Enters a notification; to be called right after it was received.
  ///
  /// - Returns: false where no slot is free: the caller has to let it through before it receives another one.
  public borrowing func begin(_ id: UInt64) -> Bool {
    // SAFETY: see `memory`. Any number of threads may call.
    unsafe clinux_ledger_begin(memory, id) != 0
  }

  /// Removes a notification that has been answered, or is gone.
  public borrowing func end(_ id: UInt64) {
    // SAFETY: as above.
    unsafe clinux_ledger_end(memory, id)
  }

  /// The file for a `NotificationLedgerReader`, opened for reading: whoever gets it cannot write (its seals) nor open it anew
  /// for writing.
  public borrowing func duplicate() throws(SystemError) -> Descriptor { try file.reopen(.readOnly) }
}

/// A ledger that another process writes, or wrote until it died.
@safe public struct NotificationLedgerReader: ~Copyable, Sendable {
  private let address: UInt

  /// Maps a ledger; the descriptor is closed.
  ///
  /// - Throws: EINVAL for what is no ledger of this version: another size, seals or beginning.
  public init(_ descriptor: consuming Descriptor) throws(SystemError) {
    // SAFETY: on success the mapping is ours.
    guard let ledger = unsafe clinux_ledger_attach(descriptor.rawValue) else {
      throw SystemError(errno: errno, operation: "mmap", path: "ledger")
    }
    address = UInt(bitPattern: ledger)
  }

  deinit {
    // SAFETY: mapped in init, unmapped once.
    unsafe clinux_ledger_unmap(OpaquePointer(bitPattern: address))
  }

  /// What may wait for an answer; complete where the writer has ended.
  ///
  /// - Returns: `ids`: an id may be there twice, and the last one received may have been answered already. `highest`: the
  ///   latest that was entered; nil before the first.
  public borrowing func unanswered() -> (ids: [UInt64], highest: UInt64?) {
    var ids = [UInt64](repeating: 0, count: NotificationLedger.capacity + 1)
    var highest: UInt64 = 0
    var any: Int32 = 0
    // SAFETY: the mapping lives as long as self, and the array has room for all that the call writes.
    let count = unsafe clinux_ledger_read(OpaquePointer(bitPattern: address), &ids, &highest, &any)
    return (Array(ids.prefix(Int(count))), any == 0 ? nil : highest)
  }
}
