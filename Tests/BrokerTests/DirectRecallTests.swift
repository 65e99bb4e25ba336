import Authority
import Foundation
import Glibc
import Instructions
import Linux
import Synchronization
import TestSupport
import Testing

@testable import Supervision

/// The end of a revoke on the path direct, of processes that resist it. It takes none of the kernel's programs.
@Suite(.serialized, .timeLimit(.minutes(2))) struct DirectRecallTests {
  /// A process of Tests/Programs/LifeCycle/resist.c.
  private final class Resistance {
    let pid: Int32
    let start: UInt64
    let program: Dialogue
    private let folder = FileManager.default.temporaryDirectory.path + "/postern-\(UUID().uuidString)"

    init(_ how: String) throws {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
      program = try Dialogue([try Programs.path("resist"), how, folder])
      let line = program.heard()
      pid = try #require(Int32(line), "\(how): \(line)")
      start = try ProcessPin.startTime(of: pid)
    }

    deinit {
      program.end()
      try? FileManager.default.removeItem(atPath: folder)
    }

    var isEnded: Bool { ProcessPin.hasEnded(pid, start: start) }

    func target(kills: Bool = false, mapped: Bool = false) throws -> Recall.Target {
      let socket = SocketSpecification(endpoint: .unix(path: "/run/object"))
      let holder = ProcessResource(tgid: UInt32(pid), start: start)
      var target = Recall.Target(
        association: AssociationID(rawValue: 1), object: ObjectID(rawValue: 1),
        definition: ObjectDefinition(name: "object", specification: .socket(socket)), path: .direct, network: nil,
        holder: holder, processes: [], killsStuck: kills)
      target.mayBeMapped = mapped
      return target
    }
  }

  /// What another thread comes to, and when; that thread may never come back.
  private final class Answer<Value: Sendable>: Sendable {
    private let state = Mutex<(value: Value, seconds: Double)?>(nil)
    private let start = Date()

    func come(_ value: Value) { state.withLock { $0 = (value, Date().timeIntervalSince(start)) } }

    /// nil: not within ten seconds.
    func wait() -> (value: Value, seconds: Double)? {
      _ = eventually { state.withLock { $0 != nil } }
      return state.withLock { $0 }
    }
  }

  /// How many threads a barrier could not send back within 0.4 s.
  private func barrier(_ process: Resistance) throws -> (value: Int, seconds: Double)? {
    let answer = Answer<Int>()
    let pid = process.pid
    _ = try Linux.Thread("test") {
      answer.come(DirectKernel.barrier(pid, deadline: Clock.boottime() + 400_000_000))
    }
    return answer.wait()
  }

  private func recall(
    _ targets: [Recall.Target], milliseconds: UInt64 = 1000, late: Answer<Recall.Outcome> = Answer()
  ) throws -> (value: [Recall.Outcome], seconds: Double)? {
    let answer = Answer<[Recall.Outcome]>()
    let deadline = Clock.boottime() + milliseconds * 1_000_000
    try Recall.start(
      targets, supervisors: [], deadline: deadline, done: { answer.come($0) }, late: { late.come($1) })
    return answer.wait()
  }

  @Test(arguments: [("leased", 0), ("traced", 1)])
  func `a process that waits in an exec, where SEIZE waits for it, holds up no barrier`(how: String, left: Int) throws {
    let answer = try #require(try barrier(try Resistance(how)), "the barrier hangs")
    #expect(answer.value == left)
    #expect(answer.seconds < 2)
  }

  @Test func `a first thread that has ended is none that has to be sent back, and nothing is stopped for it`() throws {
    let process = try Resistance("headless")
    #expect(try barrier(process)?.value == 0)
    #expect(try process.program("?") == "left alone")
  }

  @Test func `what cannot be traced is stopped (twin of the former)`() throws {
    let process = try Resistance("leased")
    #expect(try barrier(process)?.value == 0)
    #expect(try process.program("?") == "stopped")
  }

  @Test(arguments: ["traced", "vfork"])
  func `a process that is stuck takes no time from the others of the same revoke`(how: String) throws {
    let stuck = try Resistance(how)
    let others = [try Resistance("headless"), try Resistance("leased")]
    let targets = [try stuck.target()] + (try others.map { try $0.target() })
    let answer = try #require(try recall(targets), "the recall hangs")
    #expect(answer.value == [.running(1), .recalled, .recalled])
    #expect(answer.seconds < 2)
  }

  @Test func `one thread of many that is stuck is the only one that is counted, and nothing is stopped for it`() throws
  {
    let process = try Resistance("crowd")
    #expect(try barrier(process)?.value == 1)
    #expect(try process.program("?") == "left alone")
  }

  /// A disk that was handed over, which this process has open or has not, and which takes a while to be looked for.
  private func handedOver(_ path: String, looks: Int) -> Recall.Target {
    Recall.Target(
      association: AssociationID(rawValue: 1), object: ObjectID(rawValue: 1),
      definition: ObjectDefinition(name: "disk", specification: .disk(DiskSpecification(path: path))), path: .handover,
      network: nil, holder: ProcessResource(tgid: UInt32(getpid()), start: 0),
      processes: Array(repeating: getpid(), count: looks), killsStuck: false)
  }

  @Test func `what has come out is told before the deadline, what comes out later is told then`() throws {
    let path = FileManager.default.temporaryDirectory.path + "/postern-\(UUID().uuidString)"
    try Data().write(to: URL(fileURLWithPath: path))
    defer { try? FileManager.default.removeItem(atPath: path) }
    let open = try #require(FileHandle(forReadingAtPath: path))
    defer { try? open.close() }
    let targets = [handedOver("/dev/null/none", looks: 1), handedOver(path, looks: 10_000)]
    var late = Answer<Recall.Outcome>()
    // The broker's own timer answers for all when nothing has been told by then. A busy machine may be late once.
    let isInTime = try (0..<5).contains { _ in
      late = Answer()
      let answer = try #require(try recall(targets, milliseconds: 200, late: late), "the recall hangs")
      #expect(answer.value == [.recalled, .running(1)])
      return answer.seconds < 0.2
    }
    #expect(isInTime)
    guard case .cannotRecall(let why)? = late.wait()?.value else {
      Issue.record("nothing is told late")
      return
    }
    #expect(why.contains("open"))
  }

  @Test func `who is to be killed where it is stuck has ended by the deadline`() throws {
    let stuck = try Resistance("vfork")
    #expect(try recall([try stuck.target(kills: true)])?.value == [.recalled])
    #expect(stuck.isEnded)
  }

  @Test func `who is not come to in time is not killed for it`() throws {
    let stuck = try Resistance("vfork")
    let others = [try Resistance("headless"), try Resistance("headless")]
    // Under other starts the same one is several holders, one of which is most likely begun before somebody else.
    let crowd = try (1...8).map { index in
      var target = try stuck.target()
      target.holder.start += UInt64(index)
      return target
    }
    let targets = try others.map { try $0.target(kills: true) }
    let now = Clock.boottime()
    let recall = Recall(
      targets: crowd + targets, supervisors: [], deadline: now + 900_000_000,
      end: now + 1_000_000_000, lastChance: now + 600_000_000, threads: 1)
    let answer = Answer<[Recall.Outcome]>()
    _ = try Linux.Thread("test") { answer.come(recall.run(late: { _, _ in })) }
    let outcomes = try #require(answer.wait(), "the recall hangs").value
    #expect(outcomes.count == crowd.count + others.count)
    // Their first threads have ended, and say nothing of the others.
    for target in targets {
      #expect(!ProcessPin.hasEnded(Int32(bitPattern: target.holder.tgid), start: target.holder.start))
    }
  }

  @Test func `who is come to when little time is left is not called stuck`() throws {
    let stuck = try Resistance("vfork")
    let now = Clock.boottime()
    let late = Recall(
      targets: [try stuck.target(kills: true)], supervisors: [], deadline: now + 400_000_000, end: now + 500_000_000,
      lastChance: now - 1)
    #expect(late.run(late: { _, _ in }) == [.running(1)])
    #expect(!stuck.isEnded)
  }

  @Test func `and who is not lives on`() throws {
    let stuck = try Resistance("vfork")
    #expect(try recall([try stuck.target()])?.value == [.running(1)])
    #expect(!stuck.isEnded)
  }

  @Test func `what may be mapped is recalled from nobody that lives`() throws {
    let holders = [try Resistance("headless"), try Resistance("headless")]
    let targets = [try holders[0].target(mapped: true), try holders[1].target(kills: true, mapped: true)]
    let outcomes = try #require(try recall(targets)).value
    guard case .cannotRecall(let why) = outcomes[0] else {
      Issue.record("\(outcomes[0])")
      return
    }
    #expect(why.contains("mapped"))
    #expect(outcomes[1] == .recalled)
    #expect(holders[1].isEnded)
  }

  @Test func `whoever is killed for one object has no other one any more`() throws {
    let stuck = try Resistance("vfork")
    let targets = [try stuck.target(kills: true), try stuck.target(), try stuck.target(mapped: true)]
    #expect(try recall(targets)?.value == [.recalled, .recalled, .recalled])
  }

  @Test func `what may be mapped has gone with its process`() throws {
    let holder = try Resistance("headless")
    let target = try holder.target(mapped: true)
    kill(holder.pid, SIGKILL)
    #expect(eventually { ProcessPin.hasEnded(holder.pid, start: target.holder.start) })
    #expect(try recall([target])?.value == [.recalled])
  }

  @Test func `a number that is another process's by now is not killed`() throws {
    let stuck = try Resistance("vfork")
    var target = try stuck.target(kills: true)
    target.holder.start += 1
    _ = try recall([target])
    #expect(!stuck.isEnded)
  }
}
