import Testing

@testable import Analysis

/// Which record is of which class in which table, and what that and the backlog select.
@Suite struct ClassTests {
  @Test func `every record gets a row and is counted`() {
    for type in RecordType.allCases {
      #expect(type.recordClass(in: .record) != nil)
      #expect(type.recordClass(in: .counter) == .regular)
    }
  }

  @Test(arguments: [RecordType.repair, .removal, .rekey])
  func `the journal's own housekeeping is work at the table of records`(_ type: RecordType) {
    #expect(type.recordClass(in: .record) == .utility)
    #expect(type.recordClass(in: .association) == nil && type.recordClass(in: .runtimeGrant) == nil)
  }

  @Test(arguments: [RecordType.start, .stop, .gapOfChanges])
  func `another broker, or lost changes, load what is now again`(_ type: RecordType) {
    #expect(type.recordClass(in: .association) == .structural)
    #expect(type.recordClass(in: .runtimeGrant) == .structural)
    #expect(type.recordClass(in: .record) == .regular)
  }

  @Test func `another policy loads runtime grants again, and a reload that failed does not`() {
    #expect(RecordType.reload.recordClass(in: .runtimeGrant) == .structural)
    #expect(RecordType.failedReload.recordClass(in: .runtimeGrant) == nil)
    #expect(RecordType.reload.recordClass(in: .association) == nil)
  }

  @Test func `a runtime grant and its end are rows of what is now, and nothing to associations`() {
    for type in [RecordType.runtimeGrant, .runtimeGrantEnd] {
      #expect(type.recordClass(in: .runtimeGrant) == .regular && type.recordClass(in: .record) == .regular)
      #expect(type.recordClass(in: .association) == nil)
    }
  }

  @Test func `associating, dropping and beginning are rows of what is now`() {
    for type in [RecordType.grant, .revalidate, .intent, .drop, .revoke] {
      #expect(type.recordClass(in: .association) == .regular)
    }
    for type in [RecordType.refusal, .use, .privileged, .gap] { #expect(type.recordClass(in: .association) == nil) }
  }

  @Test func `the backlog is below, at or above the threshold`() {
    #expect(Backlog(9, threshold: 10) == .below)
    #expect(Backlog(10, threshold: 10) == .at)
    #expect(Backlog(11, threshold: 10) == .above)
  }

  @Test func `at the threshold the way for many is taken`() {
    for table in AnalysisTable.allCases {
      for recordClass in RecordClass.allCases {
        #expect(Strategy.select(table, recordClass, .at) == Strategy.select(table, recordClass, .above))
      }
    }
  }

  @Test func `class and backlog select the strategy`() {
    #expect(Strategy.select(.record, .regular, .below) == .append)
    #expect(Strategy.select(.record, .regular, .above) == .bulkAppend)
    #expect(Strategy.select(.association, .regular, .below) == .rowByRow)
    #expect(Strategy.select(.association, .regular, .above) == .netEffect)
    #expect(Strategy.select(.counter, .regular, .below) == .mergeEach)
    #expect(Strategy.select(.counter, .regular, .above) == .mergeTogether)
    for backlog in Backlog.allCases { #expect(Strategy.select(.association, .structural, backlog) == .reload) }
    #expect(Strategy.select(.record, .utility, .below) == .workInSmallParts)
    #expect(Strategy.select(.record, .utility, .above) == .workInLargeParts)
  }

  @Test func `no strategy replaces itself, and none is tried twice`() {
    for strategy in Strategy.allCases {
      #expect(!strategy.replacements.contains(strategy))
      #expect(Set(strategy.replacements).count == strategy.replacements.count)
    }
  }

  @Test func `each strategy is a sequence of operations`() {
    for strategy in Strategy.allCases { #expect(!strategy.operations.isEmpty) }
  }
}
