import Audit
import AuditAnalysis
import Authority
import Entity
import Foundation
import Instructions
import Policy
import Testing

/// A machine with a policy, on which requests are judged and refusals recorded as a broker records them.
struct Scene {
  static let boot = BootID(high: 1, low: 2)
  static let pidNamespace = FileIdentity(device: 4, inode: 1)
  static let networkNamespace = FileIdentity(device: 4, inode: 2)

  var files: [PolicyFile]
  var policy: PolicyModel

  init(_ text: String, fragments: [String] = []) throws {
    try self.init(
      files: ([text] + fragments).enumerated().map {
        PolicyFile(name: "p\($0.offset).yaml", bytes: Array($0.element.utf8))
      })
  }

  init(files: [PolicyFile]) throws {
    self.files = files
    policy = try PolicyReader.read(files: files, directory: Names()).get().model
  }

  /// Users and groups by name; the number is what the machine makes of it.
  struct Names: AccountDirectory {
    func userID(named name: String) -> UInt32? {
      UInt32(name) ?? ["root": 0, "www": 33, "ann": 1000, "bob": 1001][name]
    }
    func groupID(named name: String) -> UInt32? { UInt32(name) ?? ["www": 33, "disk": 6][name] }
  }

  static func userName(_ uid: UInt32) -> String? { [0: "root", 33: "www", 1000: "ann", 1001: "bob"][uid] }

  /// Every path is a file of its own.
  static func identity(_ path: String) -> FileIdentity? {
    FileIdentity(device: 1, inode: UInt64(path.utf8.reduce(7) { ($0 &* 31 &+ UInt32($1)) & 0xFFFF_FFFF }))
  }

  static func facts(paths: Set<OperationPath> = [.mediated, .handover]) -> MachineFacts {
    MachineFacts(
      pidNamespace: pidNamespace, networkNamespace: networkNamespace, availablePaths: paths, now: 1,
      isBlockDevice: { _ in true }, identity: identity)
  }

  static func subject(
    _ uid: UInt32, _ program: String, gid: UInt32? = nil, groups: [UInt32] = [], cgroup: String? = nil,
    traced: Bool? = false, pidNamespace: FileIdentity? = pidNamespace
  ) -> Subject {
    Subject(
      process: ProcessResource(tgid: 77, start: 5), effectiveUID: uid, effectiveGID: gid ?? uid,
      supplementaryGIDs: groups, executable: identity(program), cgroup: cgroup, pidNamespace: pidNamespace,
      networkNamespace: networkNamespace, traced: traced)
  }

  func judge(_ request: OpenRequest) -> Judgement {
    policy.judge(open: request, authority: RuntimeAuthority(), facts: Self.facts())
  }

  /// The record that a broker writes of an open, refused or granted.
  func record(_ request: OpenRequest, program: String, sequence: UInt64 = 1) -> AuditRecord {
    let facts = Self.facts()
    let time = AuditTime(wall: 1_700_000_000_000_000_000, boottime: 10_000_000_000)
    let question: Circumstances.Question = request.door == .run ? .run : .open
    var record: AuditRecord
    switch policy.judge(open: request, authority: RuntimeAuthority(), facts: facts) {
    case .refused(let refusal):
      record = AuditRecord(refusal: refusal.told, time: time, boot: Self.boot)
      record.application = refusal.nearest.map { ByteString($0.application) }
      record.circumstances = Circumstances(
        question, request.operations, subject: request.subject, facts: facts, refusal: refusal)
    case .authorized(let authorization):
      record = AuditRecord(.grant, time: time, boot: Self.boot)
      record.application = ByteString(authorization.application)
      record.operations = authorization.operations
      record.association = AssociationID(rawValue: sequence)
      record.circumstances = Circumstances(question, request.operations, subject: request.subject, facts: facts)
    }
    record.describe(request.subject, executablePath: ByteString(program))
    record.object = ByteString(request.object)
    record.path = .mediated
    record.sequence = sequence
    return record
  }

  /// The record of a refused instruction on something that `application` holds.
  func refusal(
    _ reason: Reason, _ application: String, _ object: String, _ opcode: Opcode, _ operands: Operands = Operands(),
    holding operations: OperationSet? = nil, subject: Subject = Scene.subject(33, "/bin/shop"), sequence: UInt64 = 1
  ) -> AuditRecord {
    var record = AuditRecord(
      refusal: Refusal(reason), time: AuditTime(wall: 1_700_000_000_000_000_000, boottime: 10_000_000_000),
      boot: Self.boot)
    record.describe(subject, executablePath: "/bin/shop")
    record.describe(Instruction(opcode: opcode, object: ObjectID(rawValue: 1), operands: operands))
    record.application = ByteString(application)
    record.object = ByteString(object)
    record.operations =
      operations ?? policy.grants.first { $0.application == application && $0.object == object }?.operations
    record.path = .mediated
    record.sequence = sequence
    return record
  }

  func evaluator() throws -> Evaluator {
    let rehearsal = try Rehearsal()
    return Evaluator(
      policy: policy, identity: Self.identity, isBlockDevice: { _ in true },
      check: {
        rehearsal.reason(of: $0.opcode, $0.operands, on: $0.kind, having: $0.operations, within: $0.limits)
      })
  }

  /// The suggestion for one record, and the scene after its diff was applied.
  func suggest(_ record: AuditRecord) throws -> (suggestion: Suggestion, after: Scene, diff: String) {
    var suggester = Suggester(try evaluator(), files: files, directory: Names(), userName: Self.userName)
    let suggestion = suggester.suggest(for: History(of: record))
    let diff = suggester.diff
    return (suggestion, try Scene(files: try patched(diff)), diff)
  }

  /// The files with a diff applied.
  func patched(_ diff: String) throws -> [PolicyFile] {
    let parts = diff.lines.split { $0.hasPrefix("--- ") }.filter { !$0.isEmpty }
    let names = diff.lines.filter { $0.hasPrefix("--- ") }.map { $0.dropFirst(4).dropLast() }
    try #require(parts.count == names.count)
    return try files.map { file in
      guard let index = names.firstIndex(where: { $0 == file.name }) else { return file }
      let text = try #require(applied(parts[index].dropFirst(), to: String(decoding: file.bytes, as: UTF8.self)))
      return PolicyFile(name: file.name, bytes: Array(text.utf8))
    }
  }
}

extension String {
  /// Each with its line end, if it has one.
  var lines: [String] {
    var lines = split(separator: "\n", omittingEmptySubsequences: false).map { String($0) + "\n" }
    if let last = lines.popLast(), last != "\n" { lines.append(String(last.dropLast())) }
    return lines
  }
}

/// Applies the hunks of a unified diff, and takes its line numbers and its context at their word; nil: they do not fit.
func applied(_ hunks: some Sequence<String>, to text: String) -> String? {
  let old = text.lines
  var result: [String] = []
  var position = 0
  func keep(_ line: String) -> Bool {
    guard position < old.count, old[position] == line else { return false }
    position += 1
    return true
  }
  let lines = Array(hunks)
  for (index, line) in lines.enumerated() {
    // What has no line end is told by the line behind it.
    let isCut = index + 1 < lines.count && lines[index + 1].hasPrefix("\\")
    let content = String(isCut ? line.dropFirst().dropLast() : line.dropFirst())
    switch line.first {
    case "@":
      let numbers = line.split(separator: " ")[1].dropFirst().split(separator: ",").compactMap { Int($0) }
      let start = numbers[1] == 0 ? numbers[0] : numbers[0] - 1
      guard start >= position, start <= old.count else { return nil }
      result += old[position..<start]
      position = start
    case "-": guard keep(content) else { return nil }
    case "+": result.append(content)
    case " ":
      guard keep(content) else { return nil }
      result.append(content)
    default: continue
    }
  }
  return (result + old[position...]).joined()
}

extension Judgement {
  var authorization: Authorization? { if case .authorized(let authorization) = self { authorization } else { nil } }
}
