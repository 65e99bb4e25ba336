import Instructions
import Linux
import Wire

/// What the broker told about a channel when it gave it out.
public struct ChannelFacts: Sendable, Hashable {
  /// The broker's number of the channel.
  public var channel: UInt64
  public var object: ObjectID
  public var kind: ObjectKind
  public var path: OperationPath
  /// What the association covers; may be less than the object knows.
  public var operations: OperationSet
  public var generation: UInt32
  /// nil in a forked child before it was revalidated.
  public var association: AssociationID?
  /// Boottime in nanoseconds; 0: never.
  public var expiry: UInt64
  /// Bytes of the object's range; 0 where it has none.
  public var rangeLength: UInt64
  /// The most bytes that one instruction carries either way.
  public var maximumPayload: Int
}

extension ChannelFacts {
  init(_ opened: Opened) {
    self.init(
      channel: opened.channel, object: opened.object, kind: opened.kind, path: opened.path,
      operations: opened.operations, generation: opened.generation, association: opened.association,
      expiry: opened.expiry, rangeLength: opened.rangeLength, maximumPayload: Int(opened.maximumPayload))
  }
}

struct FreshChannel: ~Copyable {
  let facts: ChannelFacts
  var descriptor: Descriptor?

  consuming func takeDescriptor() -> Descriptor? { descriptor.take() }
}

extension PosternConnection {
  /// Opens an object: the broker pins this process, evaluates, and gives out a channel.
  ///
  /// - Parameters:
  ///   - operations: what is needed; empty: all that the grant covers.
  /// - Throws: `refused` with the reason and the policy's message.
  public func open(
    _ object: String, _ operations: OperationSet = []
  ) throws(PosternError) -> Channel {
    let request = Open(object: object, operations: operations)
    var fresh = try withSession { (session: inout Session) throws(PosternError) -> FreshChannel in
      let answer = try session.confirmed(.open(request))
      guard case .opened(let opened) = answer.reply else { throw .violation(.unknownType) }
      return FreshChannel(facts: ChannelFacts(opened), descriptor: answer.takeDescriptor())
    }
    guard fresh.facts.path == .mediated else {
      throw .usage(
        errno: SystemError.notSupported, text: "this library cannot use the path \(fresh.facts.path.name)")
    }
    guard let descriptor = fresh.descriptor.take() else { throw .violation(.badCount) }
    return try Channel(self, object: object, facts: fresh.facts, descriptor: descriptor)
  }

  /// Presents a channel that was inherited through fork(2) and gets one of this process's own; it has no association yet.
  func adopt(_ inherited: Int32) throws(PosternError) -> FreshChannel {
    try withSession { (session: inout Session) throws(PosternError) -> FreshChannel in
      let answer = try session.ask(.adopt, descriptor: inherited)
      guard case .adopted(let adopted) = answer.reply else { throw .violation(.unknownType) }
      let facts = ChannelFacts(
        channel: adopted.channel, object: adopted.object, kind: adopted.kind, path: adopted.path,
        operations: adopted.operations, generation: adopted.generation, association: nil, expiry: 0,
        rangeLength: adopted.rangeLength, maximumPayload: Int(adopted.maximumPayload))
      return FreshChannel(facts: facts, descriptor: answer.takeDescriptor())
    }
  }

  func revalidate(channel: UInt64) throws(PosternError) -> Revalidated {
    try withSession { (session: inout Session) throws(PosternError) -> Revalidated in
      let answer = try session.confirmed(.revalidate(channel: channel))
      guard case .revalidated(let revalidated) = answer.reply else { throw .violation(.unknownType) }
      return revalidated
    }
  }
}

extension Session {
  /// The two messages of an open or a revalidation: what is asked, then the nonce by the same process.
  ///
  /// - Parameter descriptor: goes with the first one.
  mutating func confirmed(_ request: Request, descriptor: Int32? = nil) throws(PosternError) -> Answer {
    let first = try ask(request, descriptor: descriptor)
    guard case .challenge(let nonce) = first.reply else { throw .violation(.unknownType) }
    return try ask(.confirm(nonce))
  }
}
