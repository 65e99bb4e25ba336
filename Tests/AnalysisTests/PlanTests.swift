import Testing

@testable import Analysis

@Suite struct PlanTests {
  private func entries(_ types: [RecordType]) -> [Entry] {
    types.enumerated().map { Entry(sequence: UInt64($0 + 1), last: UInt64($0 + 1), type: $1, row: []) }
  }

  @Test func `records of one class are one run, past those that are none of the table's business`() {
    let plan = Plan(entries([.grant, .refusal, .drop, .use]), for: .association, .below)
    #expect(plan.steps.map(\.strategy) == [.rowByRow])
    #expect(plan.taken == 4)
  }

  @Test func `with little waiting rows are written and then the table is loaded again`() {
    let plan = Plan(entries([.grant, .start, .grant]), for: .association, .below)
    #expect(plan.steps.map(\.strategy) == [.rowByRow, .reload, .rowByRow])
    #expect(plan.steps.map(\.entries) == [0..<1, 1..<2, 2..<3])
  }

  @Test func `with much waiting what a snapshot replaces is not written first`() {
    let plan = Plan(entries([.grant, .start, .grant]), for: .association, .at)
    #expect(plan.steps.map(\.strategy) == [.reload])
    #expect(plan.steps.map(\.entries) == [0..<3])
  }

  @Test(arguments: Backlog.allCases)
  func `a table waits at the record that asks for work, and the others go on`(_ backlog: Backlog) {
    let batch = entries([.refusal, .removal, .refusal])
    let plan = Plan(batch, for: .record, backlog)
    #expect(plan.steps.map(\.recordClass) == [.regular, .utility])
    #expect(plan.taken == 1)
    for table in AnalysisTable.allCases where table != .record {
      #expect(Plan(batch, for: table, backlog).taken == 3)
    }
  }

  @Test func `nothing of the table's business is no step`() {
    #expect(Plan(entries([.refusal, .use]), for: .runtimeGrant, .above).steps.isEmpty)
    #expect(Plan([], for: .record, .below).taken == 0)
  }
}
