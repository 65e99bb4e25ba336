import Linux

/// What a journal says of itself: which one it is, and how far it is certain.
public struct JournalExtent: Sendable, Hashable {
  public var source: JournalID
  /// Records up to this number are on disk; later ones may still be withdrawn, and were told to nobody.
  public var durable: UInt64
  /// The retention has removed everything up to this number; 0: nothing is known to be removed.
  public var removed: UInt64

  /// nil: there is no journal in the directory.
  ///
  /// Beside a writer the numbers are a second old at most: its key file says them with every epoch.
  public init?(directory path: String) throws(JournalError) {
    do {
      let directory = try JournalDirectory(path: path)
      // Read before the segments: what was on disk by then is in those that are found after.
      let state = try KeyFile.read(directory)
      let checkpoint = try Checkpoint.newest(directory: path)
      var last: (first: UInt64, source: JournalID)?
      for first in SegmentName.sorted(try directory.names()).reversed() {
        guard let file = try directory.openToRead(SegmentName.name(first: first)),
          let cursor = try SegmentCursor(file)
        else { continue }
        last = (first, cursor.header.source)
        break
      }
      guard let last else { return nil }
      source = last.source
      // A segment is begun when everything before it is on disk.
      durable = last.first - min(last.first, 1)
      removed = 0
      if let state, state.source == source {
        durable = max(durable, state.durable)
        removed = state.removed
      }
      // A copy of a journal comes without its key.
      if let position = checkpoint?.position, position.source == source { durable = max(durable, position.sequence) }
    } catch let error as JournalError {
      throw error
    } catch let error as SystemError {
      throw .system(error)
    } catch {
      throw .system(SystemError(errno: 0, operation: "journal"))
    }
  }
}
