import Authority
import Linux

/// How a journal is kept.
public struct JournalConfiguration: Sendable {
  /// Made with mode 0700 if it does not exist.
  public var directory: String
  public var boot: BootID
  /// Bytes after which a new segment begins; a record is never split, one longer than this has a segment of its own.
  public var segmentSize: UInt64
  /// Nanoseconds that records are kept; nil: for ever. Whole segments are removed: at start, when one begins, and from time
  /// to time.
  public var retention: UInt64?
  /// Records that may wait for the writer.
  public var capacity: Int
  /// Bytes that may wait for the writer.
  public var capacityBytes: Int
  /// Milliseconds until records that nobody waits for are on disk.
  public var syncInterval: Int64
  /// Milliseconds between attempts while writing fails.
  public var retryInterval: Int64
  /// Fields that are kept out of every record.
  public var redaction: Redaction
  /// Nanoseconds between signed checkpoints, while records come.
  public var checkpointInterval: UInt64
  /// Nanoseconds that a segment is written to at least, and that pass between looks for old ones, however short the
  /// retention is.
  var leastAge: UInt64 = 60_000_000_000
  /// Written bytes that may be not on disk, before a sync that nobody asked for.
  var unsynced = 8 << 20

  public init(
    directory: String, boot: BootID, segmentSize: UInt64 = 64 << 20, retention: UInt64? = nil, capacity: Int = 8192,
    capacityBytes: Int = 16 << 20, syncInterval: Int64 = 100, retryInterval: Int64 = 50, redaction: Redaction = [],
    checkpointInterval: UInt64 = 60_000_000_000
  ) {
    self.redaction = redaction
    self.checkpointInterval = checkpointInterval
    self.directory = directory
    self.boot = boot
    self.segmentSize = segmentSize
    self.retention = retention
    self.capacity = capacity
    self.capacityBytes = capacityBytes
    self.syncInterval = syncInterval
    self.retryInterval = retryInterval
  }
}

/// What may change while a journal is written; as in `JournalConfiguration`.
public struct JournalLimits: Sendable {
  public var segmentSize: UInt64
  public var retention: UInt64?

  public init(segmentSize: UInt64, retention: UInt64?) {
    self.segmentSize = segmentSize
    self.retention = retention
  }
}

/// Why a journal cannot be opened or read.
public enum JournalError: Error, Sendable, Hashable {
  case system(SystemError)
  /// Another writer has this directory's journal open.
  case locked(directory: String)
  /// Everybody may remove files from the directory.
  case writableByOthers(directory: String)
}

/// Whether a submitter waits until its record is on disk.
public enum Durability: Sendable, Hashable {
  /// The submitter is told by a completion that carries the token.
  case required(token: UInt64)
  case none
}

/// What became of a submitted record at once.
public enum Submission: Sendable, Hashable {
  /// Its number; it will be written.
  case queued(sequence: UInt64)
  /// There was no room: it took this number and is counted in a gap record. Never for required records.
  case counted(sequence: UInt64)
  /// There was no room for a required record: it has no number, and what it speaks of must be denied.
  case full
}
