import Authority
import Instructions
import Linux

/// A process resource with at least one association, tombstone or channel, held by its pin. Confined to the broker's thread.
final class ProcessEntry {
  let pid: Int32
  var pin: ProcessPin
  var resource: ProcessResource
  var subject: Subject
  var executablePath: String
  /// Its pidfd is among those that `Broker.observeProcesses` looks at.
  var isWitnessed = false
  /// Live associations, by object.
  var associations: [ObjectID: AssociationID] = [:]
  var channels: Set<UInt64> = []

  init(pid: Int32, pin: consuming ProcessPin, subject: Subject, executablePath: String) {
    self.pid = pid
    self.pin = pin
    self.resource = subject.process
    self.subject = subject
    self.executablePath = executablePath
  }
}
