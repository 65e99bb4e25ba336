/// What is done to one table with a batch of records.
public struct Plan: Sendable, Hashable {
  public struct Step: Sendable, Hashable {
    public var strategy: Strategy
    public var recordClass: RecordClass
    /// Which of the batch, by index; those between that do not concern the table are left out when it is done.
    public var entries: Range<Int>
  }

  public private(set) var steps: [Step] = []
  /// How many of the batch's records are behind the table when the steps are done; the rest waits for work at the table.
  public private(set) var taken: Int

  /// Cuts the batch into runs of one class, each as long as it can be.
  ///
  /// - Parameters:
  ///   - entries: in the order of their numbers.
  ///   - backlog: how many records wait for the table, the batch's among them.
  public init(_ entries: [Entry], for table: AnalysisTable, _ backlog: Backlog) {
    taken = entries.count
    // What a snapshot replaces need not be written first; where little waits, each run is.
    let isLoadedOnce =
      backlog != .below && entries.contains { $0.type.recordClass(in: table) == .structural }
    if isLoadedOnce {
      steps = [
        Step(
          strategy: .select(table, .structural, backlog), recordClass: .structural, entries: entries.indices)
      ]
      return
    }
    var open: (recordClass: RecordClass, first: Int)?
    func close(_ end: Int) {
      guard let run = open else { return }
      steps.append(
        Step(
          strategy: .select(table, run.recordClass, backlog), recordClass: run.recordClass,
          entries: run.first..<end))
      open = nil
    }
    for (index, entry) in entries.enumerated() {
      guard let recordClass = entry.type.recordClass(in: table) else { continue }
      if open?.recordClass != recordClass { close(index) }
      if open == nil { open = (recordClass, index) }
      if recordClass == .utility {
        // The table waits from here on, and the record is not behind it before the work is done.
        close(index + 1)
        taken = index
        return
      }
    }
    close(entries.count)
  }
}
