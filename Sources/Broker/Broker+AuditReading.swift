import Audit
import Instructions
import Linux
import Wire

extension Broker {
  func readAudit(_ query: AuditRead, id: UInt64, for caller: Caller, on connection: ControlConnection) {
    let counters = journal.counters
    let last = journal.last
    // Whoever asks for the newest gets what was recorded before; what is not on disk may be withdrawn, and is told to nobody.
    if query.mode == .newest, connection.following == nil, counters.durable < last, counters.failing == nil {
      journal.hurry()
      connection.following = ControlConnection.Following(id: id, request: query, caller: caller, until: last)
      return
    }
    answerAudit(query, id: id, for: caller, on: connection)
  }

  private func answerAudit(_ query: AuditRead, id: UInt64, for caller: Caller, on connection: ControlConnection) {
    guard let (page, isWhole) = auditPage(query, for: caller, on: connection) else {
      return answer(
        connection, id, .failed(Failure(errno: ErrorCode.inputOutput, text: "the audit journal cannot be read")))
    }
    if query.mode == .follow, page.rows.isEmpty, isWhole {
      var query = query
      // What has been looked at is not looked at again.
      query.after = max(query.after, page.next)
      connection.following = ControlConnection.Following(id: id, request: query, caller: caller)
      return
    }
    answer(connection, id, .records(page))
  }

  /// What one request may have looked at, whether it is shown or not: the thread that checks does not read a whole journal
  /// for anybody. A page without rows that leads on says that there is more. Of damage a stretch within one segment is gone
  /// over whole, since only its end tells where it leads, but once (`knownDamage`); what lies behind it is left to the next
  /// request.
  private static let auditSpan = (records: 1024, bytes: 256 << 10)

  /// Everybody sees what concerns their own uid; readers and administrators see all.
  private func auditPage(
    _ query: AuditRead, for caller: Caller, on connection: ControlConnection
  ) -> (page: Page<AuditRow>, isWhole: Bool)? {
    var filter = AuditFilter()
    if !caller.mayReadAudit { filter.uid = caller.uid }
    // More never fit into a reply.
    let limit = query.limit == 0 ? 1024 : min(Int(query.limit), 1024)
    var page = Page<AuditRow>(next: query.after)
    let durable = journal.counters.durable
    do {
      if query.mode == .newest {
        var rows: [AuditRow] = []
        // Where none matches, following goes on behind what is on disk now.
        var last = durable
        for item in try JournalReader.newest(
          limit, directory: configuration.stateDirectory, matching: filter, within: Self.auditSpan.bytes,
          upTo: durable)
        {
          guard case .record(let found) = item else { continue }
          let record = shown(found, to: caller)
          rows.append(AuditRow(bytes: record.encoded))
          last = record.nextSequence - 1
        }
        // The newest are wanted: where they do not all fit, the oldest of them give way.
        var kept = rows.count
        var size = 0
        while kept > 0, size + rows[kept - 1].bytes.count + 4 < Bounds.body - 64 {
          size += rows[kept - 1].bytes.count + 4
          kept -= 1
        }
        page.next = last
        for row in rows[kept...] { _ = try? page.append(row) }
        return (page, true)
      }
      guard query.after < .max else { return (page, true) }
      // Whoever reads page by page goes on where the page before ended, and has no place looked for.
      let isNext = connection.auditPosition == query.after
      connection.auditPosition = nil
      var cursor: AuditCursor
      if isNext, let kept = connection.auditCursor.take() {
        cursor = kept
      } else {
        connection.auditCursor = nil
        cursor = AuditCursor(
          reader: try JournalReader(
            directory: configuration.stateDirectory, from: query.after + 1, known: knownDamage))
      }
      var looked = 0
      var isWhole = false
      let start = cursor.reader.walked
      reading: while page.rows.count < limit, looked < Self.auditSpan.records,
        page.next == query.after || cursor.reader.walked - start < UInt64(Self.auditSpan.bytes)
      {
        guard let item = try cursor.next(upTo: durable) else {
          isWhole = true
          break reading
        }
        switch item {
        case .record(let record):
          looked += 1
          if filter.matches(record),
            (try? page.append(AuditRow(bytes: shown(record, to: caller).encoded))) != true
          {
            cursor.held = item
            break reading
          }
          page.next = record.nextSequence - 1
        case .unknown(let sequence, _):
          looked += 1
          page.next = sequence
        case .damaged: page.next = max(page.next, cursor.reader.passed)
        }
      }
      connection.auditCursor = consume cursor
      connection.auditPosition = page.next
      return (page, isWhole)
    } catch { return nil }
  }

  /// What a caller may see of a record: whoever was told that there is no such object is not told by the journal that
  /// there is, and which grant was nearest.
  private func shown(_ record: AuditRecord, to caller: Caller) -> AuditRecord {
    guard !caller.mayReadAudit, record.reason == .noSuchObject else { return record }
    var shown = record
    shown.application = nil
    shown.grant = nil
    shown.message = nil
    shown.generation = nil
    shown.circumstances = nil
    return shown
  }

  /// New records are on disk: whoever follows gets theirs.
  func feedFollowers() {
    for connection in Array(connections.values) {
      guard let following = connection.following else { continue }
      if let until = following.until {
        let counters = journal.counters
        guard counters.durable >= until || counters.failing != nil else { continue }
        connection.following = nil
        answerAudit(following.request, id: following.id, for: following.caller, on: connection)
        continue
      }
      guard let (page, isWhole) = auditPage(following.request, for: following.caller, on: connection) else { continue }
      guard !page.rows.isEmpty || !isWhole else {
        connection.following?.request.after = max(following.request.after, page.next)
        continue
      }
      connection.following = nil
      answer(connection, following.id, .records(page))
    }
  }
}
