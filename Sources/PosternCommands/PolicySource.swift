import ArgumentParser
import Audit
import AuditAnalysis
import Authority
import Broker
import Entity
import Instructions
import Linux
import Policy
import Postern
import Wire

/// The policy files that records are held against, as they are now.
struct PolicySource {
  let files: [PolicyFile]
  let model: PolicyModel

  /// - Parameter path: nil: the running broker's.
  init(_ path: String?, _ session: Session, _ broker: PosternConnection) throws(CommandFailure) {
    let place: String
    if let path {
      place = path
    } else {
      let rows = try session.asking(session.command) { () throws(PosternError) in try broker.status() }
      place = rows.first { $0.key == "policy" }?.value ?? ""
      guard place.hasPrefix("/") else {
        throw CommandFailure(
          .badInput,
          "\(session.command): the broker's policy is \(place.escapedForTerminal), from where it was started",
          hint: "Name it with --policy.")
      }
    }
    do { files = try PolicyFiles.read(place) } catch {
      let status: CommandStatus = error.isNotPermitted ? .notPermitted : .badInput
      throw CommandFailure(
        status, "\(session.command): the policy: \(error)".escapedForTerminal, errno: error.errno,
        hint: status == .notPermitted ? "Ask as somebody who may read the policy." : "")
    }
    switch PolicyReader.read(files: files, directory: SystemAccounts()) {
    case .success(let read): model = read.model
    case .failure(let mistakes):
      session.complain(mistakes.mistakes.map { $0.line + "\n" }.joined())
      throw CommandFailure(.badInput, "\(session.command): the policy has mistakes")
    }
  }

  /// What judges on this machine as the broker does.
  func evaluator() throws(CommandFailure) -> Evaluator {
    let rehearsal: Rehearsal
    do { rehearsal = try Rehearsal() } catch {
      throw CommandFailure(.failed, "\(error)".escapedForTerminal, errno: error.errno)
    }
    return Evaluator(
      policy: model,
      identity: { path in ProcessFacts.identity(path).map { FileIdentity(device: $0.device, inode: $0.inode) } },
      isBlockDevice: { path in DeviceIdentity(path: path).map { $0.kind == .blockDevice } },
      check: { held in
        rehearsal.reason(
          of: held.opcode, held.operands, on: held.kind, having: held.operations, within: held.limits)
      })
  }
}

/// Whose policy is asked.
struct PolicyOption: ParsableArguments {
  @Option(
    help: ArgumentHelp("The policy (default: the running broker's).", valueName: "file"),
    completion: .file(extensions: ["yaml"]))
  var policy: String?
}
