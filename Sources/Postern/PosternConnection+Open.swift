import Instructions
import Linux
import Wire

/// What the broker told about an object when it gave it out.
public struct ChannelFacts: Sendable, Hashable {
  /// The broker's number of the channel; 0 where the object's own descriptor was given out.
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

extension ChannelFacts {
  init(_ enrolled: Enrolled) {
    self.init(
      channel: 0, object: enrolled.object, kind: enrolled.kind, path: .ring, operations: enrolled.operations,
      generation: enrolled.generation, association: enrolled.association, expiry: enrolled.expiry,
      rangeLength: enrolled.rangeLength, maximumPayload: Bounds.payload)
  }
}

extension Enrolled {
  /// The grant allows one destination: the socket is connected to it, and takes no request that could name another.
  var isConnected: Bool {
    kind == .socket && operations.contains(.send) && !RingOpcodes(rawValue: opcodes).contains(.sendMessage)
  }
}

/// A ring that has an object in it.
struct EnrolledRing: Sendable {
  var ring: ClientRing
  var facts: Enrolled
}

struct FreshChannel: ~Copyable {
  let facts: ChannelFacts
  var descriptor: Descriptor?

  consuming func takeDescriptor() -> Descriptor? { descriptor.take() }
}

extension PosternConnection {
  /// Opens an object: the broker pins this process, evaluates, and gives out a channel or the object's own descriptor.
  ///
  /// - Parameters:
  ///   - operations: what is needed; empty: all that the grant covers.
  ///   - path: a demand, refused where it is not available; nil: what the grant names; where it names none, direct where
  ///     object and machine allow it, else mediated.
  /// - Throws: `refused` with the reason and the policy's message.
  public func open(
    _ object: String, _ operations: OperationSet = [], path: OperationPath? = nil
  ) throws(PosternError) -> any OpenedObject {
    let request = Open(object: object, operations: operations, path: path, accepts: [.direct, .ring])
    var ring: EnrolledRing?
    var answered = try withSession { (session: inout Session) throws(PosternError) -> FreshChannel? in
      let answer = try session.confirmed(.open(request))
      if case .ringWanted(let nonce) = answer.reply {
        ring = try Self.enrolOwn(nonce, &session)
        return nil
      }
      guard case .opened(let opened) = answer.reply else { throw .violation(.unknownType) }
      return FreshChannel(facts: ChannelFacts(opened), descriptor: answer.takeDescriptor())
    }
    if let ring {
      do { return try RingObject(self, object: object, enrolled: proven(ring)) } catch {
        release(ring.facts.association, ring: ring.facts.ring)
        throw error
      }
    }
    guard var fresh = answered.take() else { throw .violation(.unknownType) }
    guard let descriptor = fresh.descriptor.take() else { throw .violation(.badCount) }
    switch fresh.facts.path {
    case .mediated: return try Channel(self, object: object, facts: fresh.facts, descriptor: descriptor)
    case .direct:
      let facts = fresh.facts
      do {
        return try DirectObject(self, object: object, facts: facts, descriptor: descriptor)
      } catch {
        if let association = facts.association { release(association) }
        throw error
      }
    case .ring, .handover:
      throw .usage(errno: SystemError.notSupported, text: "this library cannot use the path \(fresh.facts.path.name)")
    }
  }

  /// Puts an object into a ring of the application's own: made with IORING_SETUP_R_DISABLED, and with its buffers registered.
  ///
  /// - Parameter ring: its descriptor, which stays the caller's. It cannot be used for anything else afterwards, also where
  ///   this fails. `release` the association when the ring is closed.
  /// - Throws: `refused` where the grant does not say `path: ring`, or the ring is not as it has to be.
  public func enrol(
    _ object: String, _ operations: OperationSet = [], ring: Int32
  ) throws(PosternError) -> Enrolled {
    guard let number = UInt32(exactly: ring) else {
      throw .usage(errno: SystemError.badDescriptor, text: "not a descriptor")
    }
    return try withSession { (session: inout Session) throws(PosternError) -> Enrolled in
      let answer = try session.confirmed(.open(Open(object: object, operations: operations, path: .ring)))
      guard case .ringWanted(let nonce) = answer.reply else { throw .violation(.unknownType) }
      return try Self.enrol(nonce, number, &session)
    }
  }

  /// The same for a process that descends from one that holds the object: a forked child.
  public func enrolInherited(_ object: String, ring: Int32) throws(PosternError) -> Enrolled {
    guard let number = UInt32(exactly: ring) else {
      throw .usage(errno: SystemError.badDescriptor, text: "not a descriptor")
    }
    return try withSession { (session: inout Session) throws(PosternError) -> Enrolled in
      let answer = try session.confirmed(.revalidateObject(object))
      guard case .ringWanted(let nonce) = answer.reply else { throw .violation(.unknownType) }
      return try Self.enrol(nonce, number, &session)
    }
  }

  /// A ring of this process's own for an object that an ancestor holds.
  func enrolAgain(_ object: String) throws(PosternError) -> EnrolledRing {
    let ring = try withSession { (session: inout Session) throws(PosternError) -> EnrolledRing in
      let answer = try session.confirmed(.revalidateObject(object))
      guard case .ringWanted(let nonce) = answer.reply else { throw .violation(.unknownType) }
      return try Self.enrolOwn(nonce, &session)
    }
    do { return try proven(ring) } catch {
      release(ring.facts.association, ring: ring.facts.ring)
      throw error
    }
  }

  /// Requests that one ring has room for before they are handed over.
  private static let ringEntries: UInt32 = 256

  private static func enrolOwn(_ nonce: Nonce, _ session: inout Session) throws(PosternError) -> EnrolledRing {
    // The memory that says which rings there are belongs to the parent.
    guard !ForkHandlers.missedFork else {
      throw .usage(errno: SystemError.notSupported, text: "a child of vfork(2) has no ring")
    }
    let ring: ClientRing
    do { ring = try ClientRing(entries: ringEntries) } catch { throw .failed(errno: error.errno, text: "\(error)") }
    return EnrolledRing(ring: ring, facts: try enrol(nonce, UInt32(bitPattern: ring.number), &session))
  }

  private static func enrol(
    _ nonce: Nonce, _ number: UInt32, _ session: inout Session
  ) throws(PosternError) -> Enrolled {
    guard case .enrolled(let enrolled) = try session.ask(.enrol(Enrol(nonce: nonce, ring: number))).reply else {
      throw .violation(.unknownType)
    }
    return enrolled
  }

  /// The ring takes what we submit: seen by trying.
  private func proven(_ enrolled: EnrolledRing) throws(PosternError) -> EnrolledRing {
    do {
      guard enrolled.facts.slot == 0, try enrolled.ring.push(ClientRing.Request(.nop, userData: 0)) else {
        throw PosternError.violation(.badValue(.identity))
      }
      try enrolled.ring.submit()
      try enrolled.ring.wait(nanoseconds: 1_000_000_000)
      guard enrolled.ring.take()?.result == 0 else { throw PosternError.violation(.badValue(.identity)) }
      return enrolled
    } catch let error as PosternError { throw error } catch {
      throw .failed(errno: (error as? SystemError)?.errno ?? SystemError.notSupported, text: "\(error)")
    }
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

  /// Asks for an association of this process's own for an object whose own descriptor it has.
  func revalidate(object: String) throws(PosternError) -> Revalidated {
    try withSession { (session: inout Session) throws(PosternError) -> Revalidated in
      let answer = try session.confirmed(.revalidateObject(object))
      guard case .revalidated(let revalidated) = answer.reply else { throw .violation(.unknownType) }
      return revalidated
    }
  }

  /// Gives up an association on the path direct or ring, as well as that can be done at once.
  ///
  /// Over a connection of its own with a deadline: neither another thread's request nor a broker that does not answer
  /// holds up whoever closes a descriptor.
  ///
  /// - Parameter ring: which of the association's rings, as `Enrolled` names it; 0: the path direct.
  public func release(_ association: AssociationID, ring: UInt64 = 0) {
    guard
      var session = try? Session(
        path: path, client: client, requestID: 0, timeoutMilliseconds: PosternConnection.releasePatience)
    else { return }
    _ = try? session.ask(.release(association, ring: ring))
  }

  /// Milliseconds for one message of a release.
  private static var releasePatience: Int32 { 100 }
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
