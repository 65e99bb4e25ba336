import Instructions
import Linux
import Wire

/// An object that was handed over: its own descriptor, close-on-exec, and what the broker told of it.
public struct HandedObject: Sendable {
  public let facts: ChannelFacts
  public let descriptor: SharedDescriptor
}

/// What programs that do not know Postern need (PROTOCOL, "plan, supervise, hand over").
extension PosternConnection {
  /// What `postern run` would get; a preview, the verdict comes when the program asks.
  ///
  /// - Parameter object: this one, which gives one row; empty: every object that the asker's user has a grant of.
  public func plan(object: String = "") throws(PosternError) -> [PlanRow] {
    try pages({ .plan(PlanQuery(object: object, cursor: $0)) }) { if case .plan(let page) = $0 { page } else { nil } }
  }

  /// Has the broker answer the notifications of a listener, also after this connection has ended.
  ///
  /// - Parameters:
  ///   - listener: stays open here.
  ///   - calls: what its filter notifies of.
  /// - Returns: the ledger, for a `NotificationLedgerReader`.
  public func supervise(_ listener: borrowing NotificationListener, _ calls: NotifiedCalls) throws(PosternError)
    -> Descriptor
  {
    let number = listener.descriptor.rawValue
    return try withSession { (session: inout Session) throws(PosternError) -> Descriptor in
      try session.supervise(number, calls)
    }
  }

  /// Has an object handed over for the program that this process is about to become (execve(2)); it is judged as if that
  /// program asked. Without that exec it is taken back after 10 seconds.
  ///
  /// - Parameters:
  ///   - operations: what is needed; empty: all that the grant covers.
  ///   - image: pins the file that the exec will map, see `Program.image`.
  public func handOver(
    _ object: String, _ operations: OperationSet = [], image: borrowing Descriptor
  ) throws(PosternError) -> HandedObject {
    let request = Request.handOver(HandOver(object: object, operations: operations))
    let number = image.rawValue
    return try withSession { (session: inout Session) throws(PosternError) -> HandedObject in
      let answer = try session.confirmed(request, descriptor: number)
      guard case .opened(let opened) = answer.reply else { throw .violation(.unknownType) }
      guard let descriptor = answer.takeDescriptor() else { throw .violation(.badCount) }
      return HandedObject(facts: ChannelFacts(opened), descriptor: SharedDescriptor(descriptor))
    }
  }
}

extension Session {
  /// - Parameter listener: the number of a listener, which stays open here.
  mutating func supervise(_ listener: Int32, _ calls: NotifiedCalls) throws(PosternError) -> Descriptor {
    let answer = try ask(.supervise(calls), descriptor: listener)
    guard case .supervised = answer.reply else { throw .violation(.unknownType) }
    guard let ledger = answer.takeDescriptor() else { throw .violation(.badCount) }
    return ledger
  }
}
