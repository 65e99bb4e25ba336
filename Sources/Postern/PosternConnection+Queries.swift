import Instructions
import Linux
import Wire

/// What `postern` commands ask. Each waits for the broker's answer; `failed(EPERM)` where the asker may not.
extension PosternConnection {
  public func status() throws(PosternError) -> [StatusRow] {
    try only(.status) { if case .status(let page) = $0 { page.rows } else { nil } }
  }

  public func doctor() throws(PosternError) -> [DoctorRow] {
    try only(.doctor) { if case .doctor(let page) = $0 { page.rows } else { nil } }
  }

  /// The objects that the asker may know of; with a name, that one or none.
  public func objects(named name: String = "") throws(PosternError) -> [ObjectRow] {
    try pages({ .objects(ObjectQuery(name: name, cursor: $0)) }) {
      if case .objects(let page) = $0 { page } else { nil }
    }
  }

  /// Every association that matches the query, whatever its cursor says.
  public func associations(_ query: AssociationQuery = AssociationQuery()) throws(PosternError) -> [AssociationRow] {
    try pages({
      var query = query
      query.cursor = $0
      return .associations(query)
    }) {
      if case .associations(let page) = $0 { page } else { nil }
    }
  }

  /// The verdict on an open, without an audit record.
  public func canI(_ question: CanI) throws(PosternError) -> CanIVerdict {
    try only(.canI(question)) { if case .verdict(let verdict) = $0 { verdict } else { nil } }
  }

  /// What became of each association that matched; empty: none did.
  public func revoke(_ order: Revoke) throws(PosternError) -> [RevocationRow] {
    try stream(.revoke(order)) { if case .revocations(let page) = $0 { page } else { nil } }
  }

  public func grant(_ order: GrantOrder) throws(PosternError) {
    try only(.grant(order)) { if case .done = $0 { () } else { nil } }
  }

  /// The policy's mistakes; without errors among them the new policy is in force.
  public func reload() throws(PosternError) -> [MistakeRow] {
    try withSession { (session: inout Session) throws(PosternError) -> [MistakeRow] in
      var reply = try session.ask(.reload).reply
      var rows: [MistakeRow] = []
      while true {
        switch reply {
        case .done: return rows
        case .mistakes(let page):
          rows += page.rows
          guard page.next != 0 else { return rows }
        default: throw .violation(.unknownType)
        }
        reply = try session.nextReply().reply
      }
    }
  }

  /// Some records of the audit journal, and the sequence number to pass as `after` for the next ones.
  ///
  /// With `follow` it waits until there is at least one record; the connection serves no other request meanwhile.
  public func auditRead(_ request: AuditRead) throws(PosternError) -> (records: [AuditRow], next: UInt64) {
    let page = try only(.auditRead(request)) { if case .records(let page) = $0 { page } else { nil } }
    return (page.rows, page.next)
  }

  /// One request, one reply.
  private func only<Result>(_ request: Request, _ take: (Reply) -> Result?) throws(PosternError) -> Result {
    try withSession { (session: inout Session) throws(PosternError) -> Result in
      guard let result = take(try session.ask(request).reply) else { throw .violation(.unknownType) }
      return result
    }
  }

  /// One request for each page.
  func pages<R: Row>(
    _ request: (UInt64) -> Request, _ take: (Reply) -> Page<R>?
  ) throws(PosternError) -> [R] {
    var rows: [R] = []
    var cursor: UInt64 = 0
    repeat {
      let page = try only(request(cursor), take)
      // A cursor that stands still would never end.
      guard page.next == 0 || !page.rows.isEmpty && page.next != cursor else { throw .violation(.badValue(.identity)) }
      rows += page.rows
      cursor = page.next
    } while cursor != 0
    return rows
  }

  /// One request whose pages follow by themselves.
  private func stream<R: Row>(_ request: Request, _ take: (Reply) -> Page<R>?) throws(PosternError) -> [R] {
    try withSession { (session: inout Session) throws(PosternError) -> [R] in
      var reply = try session.ask(request).reply
      var rows: [R] = []
      while true {
        guard let page = take(reply) else { throw .violation(.unknownType) }
        rows += page.rows
        guard page.next != 0 else { return rows }
        reply = try session.nextReply().reply
      }
    }
  }
}
