import Audit
import Authority
import Instructions

/// A record retold: who, what, why, on which path, and what came before.
///
/// Why it was refused is what the record's own judge wrote down. How the grants stand to it *now* is asked of the same
/// judge, under the policy of now.
public struct Explanation {
  public struct Part: Sendable, Hashable {
    public var title: String
    /// Escaped: nothing in them acts on a terminal.
    public var lines: [String]

    public init(title: String, lines: [String]) {
      self.title = title
      self.lines = lines
    }
  }

  public let record: AuditRecord
  public let history: History
  /// Under the policy of now; nil: the policy is not known, or the record does not tell what the judge saw.
  public let examination: Examination?
  public let replayed: Replayed?
  let policy: PolicyModel?
  /// What the grant that an instruction rests on gives under the policy of now.
  private let held: String?

  /// - Parameter evaluator: nil: the policy cannot be read.
  public init(_ history: History, evaluator: Evaluator?) {
    record = history.record
    self.history = history
    policy = evaluator?.policy
    held = evaluator.flatMap { Self.held($0, history.record) }
    examination = evaluator.flatMap { $0.examine(history.record) }
    if let evaluator {
      var replay = Replay(evaluator)
      if let granted = history.granted { _ = replay.take(granted) }
      replayed = replay.take(history.record)
    } else {
      replayed = nil
    }
  }

  public var parts: [Part] {
    [
      Part(title: "record", lines: [headline]), Part(title: "who", lines: who), Part(title: "what", lines: [what]),
      Part(title: "why", lines: why), Part(title: "path", lines: path), Part(title: "before", lines: before),
      Part(title: "now", lines: now),
    ].filter { !$0.lines.isEmpty }
  }

  /// The record in one line.
  public var headline: String {
    var text = "\(record.sequence), \(record.time.text): \(record.kind.name)"
    if let reason = record.reason { text += ", \(reason.name)" }
    if let detail = record.detail { text += " (\(detail.name))" }
    if let errno = record.errnoSymbol { text += ", \(errno)" }
    return text
  }

  private var who: [String] {
    var lines: [String] = []
    var process: [String] = []
    if let pid = record.pid { process.append("process \(pid)") }
    if let tid = record.tid, tid != record.pid { process.append("thread \(tid)") }
    if let start = record.processStart, start != 0 { process.append("started at tick \(start)") }
    if let uid = record.uid { process.append("uid \(uid)") }
    if let gid = record.circumstances?.effectiveGID { process.append("gid \(gid)") }
    if let groups = record.circumstances?.supplementaryGIDs, !groups.isEmpty {
      process.append("groups \(groups.map { "\($0)" }.joined(separator: ", "))")
    }
    if !process.isEmpty { lines.append(process.joined(separator: ", ")) }
    if let program = record.executablePath, !program.bytes.isEmpty {
      let identity = record.executable.map { " (device \($0.device), inode \($0.inode))" } ?? ""
      lines.append("program \(program.escaped)\(identity)")
    }
    if let program = record.circumstances?.program {
      lines.append("about to run the file with device \(program.device), inode \(program.inode)")
    }
    if let cgroup = record.cgroup { lines.append("cgroup \(cgroup.escaped)") }
    if let traced = record.circumstances?.isTraced, traced { lines.append("with a tracer") }
    return lines
  }

  /// What was asked for.
  var what: String {
    let object = record.object.map(\.escaped) ?? "no object"
    guard record.operation == nil else { return "\(instructionText) on \(object)" }
    let asked = record.circumstances?.asked ?? (record.kind == .refusal ? record.operations : nil) ?? []
    let operations = asked.isEmpty ? "all that is granted" : asked.names.joined(separator: ", ")
    return switch record.circumstances?.question {
    case .open: "open of \(object) for \(operations)"
    case .run: "open of \(object) for \(operations), by a program that holds the object's own descriptor"
    case .revalidation: "revalidation for \(object): \(operations), as its ancestor has"
    case nil where record.kind == .refusal && record.operations != nil: "open of \(object) for \(operations)"
    case nil: record.object.map { "\(record.kind.name) of \($0.escaped)" } ?? record.kind.name
    }
  }

  /// An instruction with its operands.
  var instructionText: String {
    guard let operation = record.operation else { return "" }
    guard let operands = record.operands else { return operation.name }
    var parts = [operation.name]
    switch operation {
    case .read, .write, .discard: parts.append("of \(operands.length) bytes at \(operands.offset)")
    case .send, .connect:
      if let address = operands.address { parts.append("to \(address.text)") }
      if operands.length != 0 { parts.append("of \(operands.length) bytes") }
    case .setoption, .getoption:
      parts.append(SocketOption(request: operands.request)?.name ?? "number 0x" + String(operands.request, radix: 16))
    case .control:
      parts.append(
        BusControl(request: operands.request)?.name ?? "request 0x" + String(operands.request, radix: 16))
    case .bind: if let address = operands.address { parts.append("to \(address.text)") }
    default: break
    }
    return parts.joined(separator: " ")
  }

  private var path: [String] {
    guard let path = record.path else { return [] }
    let place =
      switch path {
      case .mediated:
        record.isOfDoor ? "the broker refused at the door" : "the broker's interpreter refused the instruction"
      case .ring: "the kernel's restricted ring"
      case .direct: record.isOfDoor ? "the broker refused at the door" : "the kernel's programs refused the system call"
      case .handover:
        "the intercepted call was left to the kernel's own checks, or the broker refused at the door"
      }
    return [record.kind == .refusal ? "\(path.name): \(place)" : path.name]
  }

  private var before: [String] {
    guard record.pid != nil else { return [] }
    guard history.ownCount > 0 else { return ["nothing of this process is in the records that were read"] }
    let hidden = history.ownCount - history.own.count
    let first = hidden > 0 ? ["\(hidden) earlier records of this process"] : []
    return first
      + history.own.map { earlier in
        let cells = zip(AuditRecord.tableHead, earlier.tableRow).filter { $0.0 != "WHO" && !$0.1.isEmpty }
        return cells.map(\.1).joined(separator: "  ")
      }
  }

  private var now: [String] {
    guard let replayed else { return [] }
    let verdict =
      switch replayed {
      case .same: record.kind == .refusal ? "the policy of now refuses it too" : "the policy of now allows it too"
      case .nowAllowed: "the policy of now allows it"
      case .nowRefused(let reason, let detail):
        "the policy of now refuses it: \(reason.name)\(detail == .none ? "" : " (\(detail.name))")"
      case .undecidable(let why): "whether the policy of now allows it cannot be told: \(why)"
      }
    return [verdict] + grantLines + [held].compactMap { $0 }
  }

  private static func held(_ evaluator: Evaluator, _ record: AuditRecord) -> String? {
    guard record.circumstances == nil, let opcode = record.operation,
      let (rule, object, limits) = evaluator.rule(of: record)
    else { return nil }
    let operations = limits.effective(rule.operations.intersection(object.kind.operations))
    let limit = limits.text(for: opcode).map { ", \($0)" } ?? ""
    return "grant of \(rule.application) [\(operations.names.joined(separator: ", "))]\(limit)".escapedForPeople
  }
}

extension SocketOption {
  /// By the operand `level << 16 | name`; nil: none that is passed on.
  init?(request: UInt32) {
    let (level, option) = (UInt16(request >> 16), UInt16(truncatingIfNeeded: request))
    guard let known = SocketOption.passedOn.first(where: { $0.level == level && $0.option == option }) else {
      return nil
    }
    self = known
  }
}
