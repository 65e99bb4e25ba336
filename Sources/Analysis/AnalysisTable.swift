/// A table of the analysis database that follows the journal; each on its own, in the order of the sequence numbers.
public enum AnalysisTable: String, CaseIterable, Sendable, Hashable {
  /// One row for each record.
  case record
  /// What is held now, and what was begun and not acknowledged.
  case association
  /// What `postern grant` has given and has not ended.
  case runtimeGrant = "runtime_grant"
  /// How many records there were in each hour, by what people ask for.
  case counter
}
