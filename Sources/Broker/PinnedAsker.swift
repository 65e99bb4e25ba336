import Authority
import Instructions
import Linux

/// A sender, pinned and looked at.
struct PinnedAsker: ~Copyable {
  let pin: ProcessPin
  var subject: Subject
  let executablePath: String

  consuming func takePin() -> ProcessPin { pin }

  /// nil where the process cannot be looked at: undecidable, and so denied.
  init?(_ pid: Int32) {
    guard let pin = try? ProcessPin(pid: pid) else { return nil }
    let facts = ProcessFacts(of: pid)
    subject = Broker.subject(facts, process: ProcessResource(tgid: UInt32(pid), start: pin.start))
    executablePath = facts.executablePath ?? ""
    self.pin = pin
  }
}
