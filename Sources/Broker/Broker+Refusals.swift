import Audit
import Authority
import Entity
import Instructions
import Linux
import Mediation
import Objects
import Supervision
import Wire

extension Broker {
  /// Records a refusal at the door, in the place that refused, and tells the asker.
  func refuseOpen(
    _ connection: ControlConnection, _ id: UInt64, _ refusal: Refusal, object: String, cause: String,
    nearest: NearestGrant? = nil, subject: Subject? = nil, executablePath: String = "",
    sender: SenderCredentials? = nil, operations: OperationSet = [], path: OperationPath = .mediated,
    application: String? = nil, judged: Circumstances? = nil
  ) {
    var refused = refusalRecord(refusal, object: object, cause: cause, nearest: nearest, path: path)
    if let application, refused.application == nil { refused.application = ByteString(application) }
    refused.circumstances = judged
    if let subject {
      refused.describe(subject, executablePath: ByteString(executablePath))
    } else if let sender {
      refused.pid = UInt32(bitPattern: sender.pid)
      refused.uid = sender.uid
    }
    refused.operations = operations.isEmpty ? nil : operations
    _ = journal.submit(refused, durability: .none)
    answer(connection, id, .refused(RefusedReply(refusal)))
  }

  /// A refusal with its true reason, without who was refused.
  func refusalRecord(
    _ refusal: Refusal, object: String, cause: String, nearest: NearestGrant?, path: OperationPath
  ) -> AuditRecord {
    refusals += 1
    var refused = AuditRecord(refusal: refusal, time: Broker.auditTime(), boot: boot)
    refused.object = ByteString(object)
    refused.path = path
    if let nearest {
      refused.application = ByteString(nearest.application)
      refused.grant = ByteString(
        "\(nearest.application)\(nearest.mismatch.map { ": \($0.rawValue) does not match" } ?? "")")
    }
    refused.message = ByteString(refusal.message.isEmpty ? cause : "\(cause); \(refusal.message)")
    return refused
  }
}
