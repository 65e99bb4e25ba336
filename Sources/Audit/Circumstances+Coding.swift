import Authority
import Instructions

/// In the journal: a length, so that a later version can add at the end, then the fields in this order. A list or text
/// begins with its own length; what may be missing begins with whether it is there.
extension Circumstances {
  func encode(into bytes: inout [UInt8]) {
    var body: [UInt8] = [question.rawValue, availablePaths.rawValue]
    body.append(isTraced.map { $0 ? 2 : 1 } ?? 0)
    body.append(descendsFromHolder ? 1 : 0)
    body.append(mismatch.map { SelectorKeys($0).rawValue } ?? 0)
    body.appendLittleEndian(asked.rawValue)
    put(effectiveGID, into: &body)
    let groups = supplementaryGIDs.prefix(Circumstances.maximumGroups)
    body.appendLittleEndian(UInt16(groups.count))
    for group in groups { body.appendLittleEndian(group) }
    for file in [program, pidNamespace, networkNamespace, brokerPIDNamespace, brokerNetworkNamespace] {
      body.append(file == nil ? 0 : 1)
      guard let file else { continue }
      body.appendLittleEndian(file.device)
      body.appendLittleEndian(file.inode)
    }
    let (code, number, text) = cause?.fields ?? (0, 0, "")
    body.append(code)
    body.appendLittleEndian(number)
    let kept = Array(text.utf8.prefix(Circumstances.maximumText))
    body.appendLittleEndian(UInt16(kept.count))
    body.append(contentsOf: kept)
    bytes.appendLittleEndian(UInt16(body.count))
    bytes.append(contentsOf: body)
  }

  /// Of setgroups(2) 65,536 are possible; a record that lacks some says that it was cut.
  static let maximumGroups = 1024
  private static let maximumText = 1024

  private func put(_ number: UInt32?, into bytes: inout [UInt8]) {
    bytes.append(number == nil ? 0 : 1)
    if let number { bytes.appendLittleEndian(number) }
  }
}

extension FieldReader {
  mutating func circumstances() throws(AuditFormatError) -> Circumstances {
    let length = Int(try number() as UInt16)
    var body = try part(length)
    let question = try body.code { Circumstances.Question(rawValue: $0) }
    let paths = PathSet(rawValue: try body.number())
    let traced: UInt8 = try body.number()
    let descends: UInt8 = try body.number()
    let mismatch = SelectorKeys(rawValue: try body.number()).keys.first
    let asked = OperationSet(rawValue: try body.number())
    let gid: UInt32? = try body.flag() ? try body.number() : nil
    let count: UInt16 = try body.number()
    var groups: [UInt32] = []
    for _ in 0..<count { groups.append(try body.number()) }
    let program = try body.file()
    let pidNamespace = try body.file()
    let networkNamespace = try body.file()
    let brokerPIDNamespace = try body.file()
    let brokerNetworkNamespace = try body.file()
    let code: UInt8 = try body.number()
    let number: UInt64 = try body.number()
    let text = String(decoding: try body.text().bytes, as: UTF8.self)
    let cause = code == 0 ? nil : RefusalCause(code: code, number: number, text: text)
    if code != 0, cause == nil { throw .unknownCode(UInt32(code)) }
    return Circumstances(
      question, asked,
      subject: Subject(
        process: ProcessResource(tgid: 0, start: 0), effectiveGID: gid, supplementaryGIDs: groups,
        pidNamespace: pidNamespace, networkNamespace: networkNamespace, traced: traced == 0 ? nil : traced == 2),
      program: program, brokerPIDNamespace: brokerPIDNamespace, brokerNetworkNamespace: brokerNetworkNamespace,
      descendsFromHolder: descends != 0, availablePaths: paths, cause: cause, mismatch: mismatch)
  }

  private mutating func flag() throws(AuditFormatError) -> Bool { try number() as UInt8 != 0 }

  private mutating func file() throws(AuditFormatError) -> FileIdentity? {
    try flag() ? FileIdentity(device: try number(), inode: try number()) : nil
  }
}

extension RefusalCause {
  /// The code stands in the journal.
  fileprivate var fields: (code: UInt8, number: UInt64, text: String) {
    switch self {
    case .unknownObject: (1, 0, "")
    case .noGrant: (2, 0, "")
    case .noMatchingApplication: (3, 0, "")
    case .unknownFact(let fact): (4, 0, fact)
    case .standingRevoke(let id): (5, id, "")
    case .operationsMissing(let missing): (6, UInt64(missing.rawValue), "")
    case .namespaceRule: (7, 0, "")
    case .tracerRule: (8, 0, "")
    case .forkRule: (9, 0, "")
    case .pathRule(let why): (10, 0, why)
    case .recallRule(let why): (11, 0, why)
    }
  }

  fileprivate init?(code: UInt8, number: UInt64, text: String) {
    switch code {
    case 1: self = .unknownObject
    case 2: self = .noGrant
    case 3: self = .noMatchingApplication
    case 4: self = .unknownFact(text)
    case 5: self = .standingRevoke(number)
    case 6: self = .operationsMissing(OperationSet(rawValue: UInt32(truncatingIfNeeded: number)))
    case 7: self = .namespaceRule
    case 8: self = .tracerRule
    case 9: self = .forkRule
    case 10: self = .pathRule(text)
    case 11: self = .recallRule(text)
    default: return nil
    }
  }

  /// A word for programs.
  public var name: String {
    switch self {
    case .unknownObject: "unknown-object"
    case .noGrant: "no-grant"
    case .noMatchingApplication: "no-matching-application"
    case .unknownFact: "unknown-fact"
    case .standingRevoke: "standing-revoke"
    case .operationsMissing: "operations-missing"
    case .namespaceRule: "namespace"
    case .tracerRule: "tracer"
    case .forkRule: "on-fork"
    case .pathRule: "path"
    case .recallRule: "accepted"
    }
  }
}
