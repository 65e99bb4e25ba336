import Instructions
import Linux
import Postern
import Synchronization
import Testing
import Wire

/// Revalidation as one process sees it: after expiry. After fork: the programs in Tests/Programs.
@Suite struct RevalidationTests {
  /// A disk that refuses with `first` until it was revalidated, which itself may be refused.
  final class Expiring: Sendable {
    let valid = Atomic<Bool>(false)
    let attempts = Atomic<Int>(0)
    let revalidations = Atomic<Int>(0)
    let first: Reason
    let second: Refusal?

    init(_ first: Reason, second: Refusal? = nil) {
      self.first = first
      self.second = second
    }

    func broker() throws -> FakeBroker {
      try FakeBroker(
        intercept: { [self] broker, request, id, socket in
          switch request {
          case .revalidate:
            revalidations.add(1, ordering: .relaxed)
            if let second {
              broker.send(.refused(RefusedReply(second)), id, socket)
              return true
            }
            return false
          case .confirm where revalidations.load(ordering: .relaxed) > 0:
            valid.store(true, ordering: .relaxed)
            let reply = Revalidated(
              association: AssociationID(rawValue: 8), operations: OperationSet(.read), generation: 1, expiry: 0)
            broker.send(.revalidated(reply), id, socket)
            return true
          default: return false
          }
        },
        answer: { [self] frames, channel in
          for frame in frames {
            attempts.add(1, ordering: .relaxed)
            if valid.load(ordering: .relaxed) {
              channel.complete([frame.done([5])])
            } else {
              channel.complete(CompletionFrame(cookie: frame.frame.cookie, refused: first))
            }
          }
        })
    }
  }

  @Test(arguments: [Reason.notAssociated, .expired])
  func `the first error is answered with one revalidation and one repetition`(reason: Reason) throws {
    let expiring = Expiring(reason)
    let broker = try expiring.broker()
    try broker.serving {
      let channel = try PosternConnection(path: broker.path).open("disk")
      #expect(try read(channel, 1) == [5])
      #expect(expiring.revalidations.load(ordering: .relaxed) == 1)
      #expect(expiring.attempts.load(ordering: .relaxed) == 2)
      #expect(channel.facts.association == AssociationID(rawValue: 8))
    }
  }

  @Test func `the second error carries the policy's message`() throws {
    let refusal = Refusal(.refused, detail: .forkDenied, message: "no children here")
    let expiring = Expiring(.notAssociated, second: refusal)
    let broker = try expiring.broker()
    try broker.serving {
      let channel = try PosternConnection(path: broker.path).open("disk")
      #expect(failure { _ = try read(channel, 1) } == .refused(refusal, errno: Reason.refused.errno))
      #expect(expiring.attempts.load(ordering: .relaxed) == 1)
    }
  }

  @Test func `switched off, the caller gets the first error and revalidates by hand`() throws {
    let expiring = Expiring(.expired)
    let broker = try expiring.broker()
    try broker.serving {
      let connection = try PosternConnection(path: broker.path)
      connection.revalidatesAutomatically = false
      let channel = try connection.open("disk")
      #expect(failure { _ = try read(channel, 1) } == .refused(Refusal(.expired), errno: Reason.expired.errno))
      #expect(expiring.revalidations.load(ordering: .relaxed) == 0)
      try channel.revalidate()
      #expect(try read(channel, 1) == [5])
    }
  }

  @Test(arguments: [Reason.revoked, .stale, .operation, .limit, .undecidable])
  func `no other reason is revalidated`(reason: Reason) throws {
    let expiring = Expiring(reason)
    let broker = try expiring.broker()
    try broker.serving {
      let channel = try PosternConnection(path: broker.path).open("disk")
      #expect(failure { _ = try read(channel, 1) } == .refused(Refusal(reason), errno: reason.errno))
      #expect(expiring.revalidations.load(ordering: .relaxed) == 0)
    }
  }

  @Test func `a broker that goes on refusing after a revalidation is not asked a third time`() throws {
    let revalidations = Atomic<Int>(0)
    let broker = try FakeBroker(
      intercept: { broker, request, id, socket in
        switch request {
        case .revalidate: revalidations.add(1, ordering: .relaxed)
        case .confirm where revalidations.load(ordering: .relaxed) > 0:
          broker.send(
            .revalidated(
              Revalidated(association: AssociationID(rawValue: 1), operations: [], generation: 1, expiry: 0)), id,
            socket)
          return true
        default: break
        }
        return false
      },
      answer: { frames, channel in
        for frame in frames { channel.complete(CompletionFrame(cookie: frame.frame.cookie, refused: .notAssociated)) }
      })
    try broker.serving {
      let channel = try PosternConnection(path: broker.path).open("disk")
      let error = failure { _ = try read(channel, 1) }
      #expect(error == .refused(Refusal(.notAssociated), errno: Reason.notAssociated.errno))
      #expect(revalidations.load(ordering: .relaxed) == 1)
    }
  }

  @Test func `eight threads that fail together revalidate once`() throws {
    let expiring = Expiring(.expired)
    let broker = try expiring.broker()
    try broker.serving {
      let channel = try PosternConnection(path: broker.path).open("disk")
      let right = Atomic<Int>(0)
      try withThreads(8) { _ in
        if (try? read(channel, 1)) == [5] { right.add(1, ordering: .relaxed) }
      }
      #expect(right.load(ordering: .relaxed) == 8)
      #expect(expiring.revalidations.load(ordering: .relaxed) == 1)
    }
  }
}
