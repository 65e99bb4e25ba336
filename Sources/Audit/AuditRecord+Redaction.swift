import Authority
import Instructions

extension AuditRecord {
  /// Takes out what the policy wants kept out, and notes what was there.
  mutating func redact(_ fields: Redaction) {
    guard !fields.isEmpty else { return }
    if fields.contains(.operands), operands != nil {
      operands = nil
      redacted.insert(.operands)
    }
    if fields.contains(.address), operands?.address != nil {
      operands?.address = nil
      redacted.insert(.address)
    }
    if fields.contains(.executable), executable != nil || executablePath != nil || circumstances?.program != nil {
      executable = nil
      executablePath = nil
      circumstances?.program = nil
      redacted.insert(.executable)
    }
    if fields.contains(.cgroup), cgroup != nil {
      cgroup = nil
      redacted.insert(.cgroup)
    }
    if fields.contains(.message), message != nil {
      message = nil
      redacted.insert(.message)
    }
    if fields.contains(.grant), grant != nil || circumstances?.cause != nil || circumstances?.mismatch != nil {
      grant = nil
      // They tell which rule it was, and what it asks for.
      circumstances?.cause = nil
      circumstances?.mismatch = nil
      redacted.insert(.grant)
    }
  }
}
