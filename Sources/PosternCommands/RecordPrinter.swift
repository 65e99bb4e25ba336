import Audit

/// Prints records in the format asked for: JSON lines, or rows.
struct RecordPrinter {
  private let session: Session
  private var hasPrinted = false
  private var unreadable = 0
  /// The columns' widths until now, within reason: what comes later stands below what was printed, as far as it fits.
  private var widths: [Int] = []

  /// One long name does not move all rows behind it.
  private static let mostReserved = 60

  init(_ session: Session) { self.session = session }

  /// Rows go out at once: a journal has more of them than are kept, and of those that follow nobody knows how wide they are.
  mutating func print(_ items: [RecordItem]) throws(CommandFailure) {
    var records: [AuditRecord] = []
    for item in items {
      switch item {
      case .record(let record): records.append(record)
      case .unreadable(let error):
        unreadable += 1
        session.warn("a record cannot be read: \(error)")
      }
    }
    if records.isEmpty { return }
    switch session.format {
    case .json: try session.print(records.map { $0.json + "\n" }.joined())
    case .table:
      let table = table(records)
      let all = table.widths(least: widths)
      widths = all.map { min($0, Self.mostReserved) }
      try session.print(table.text(coloured: session.isColoured, withTitles: !hasPrinted, widths: all))
    }
    hasPrinted = true
  }

  /// Says why there was nothing, and fails if something could not be read.
  func finish(empty: @autoclosure () -> [String]) throws(CommandFailure) {
    if unreadable > 0 {
      throw CommandFailure(
        .bug, "\(session.command): \(unreadable) records cannot be read",
        hint: "A newer broker writes what an older `postern` does not know.")
    }
    if !hasPrinted { for line in empty() { session.warn(line) } }
  }

  private func table(_ records: [AuditRecord]) -> Table {
    var table = Table(columns: AuditRecord.tableHead.map { Table.Column($0, $0 == "SEQUENCE" ? .right : .left) })
    table.rows = records.map { record in
      zip(AuditRecord.tableHead, record.tableRow).map { head, cell in
        switch head {
        case "TIME": Table.Cell(Timestamp.short(record.time.wall))
        case "VERDICT": Table.Cell(escaped: cell, record.kind == .refusal ? .bad : .plain)
        default: Table.Cell(escaped: cell)
        }
      }
    }
    return table
  }
}
