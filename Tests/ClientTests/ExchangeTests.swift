import Instructions
import Linux
import Postern
import Synchronization
import Testing
import Wire

/// A disk of these bytes that executes whatever it is told.
func memoryDisk(_ size: Int) -> FakeBroker.Answerer {
  let content = Mutex([UInt8]((0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }))
  return { frames, channel in
    for frame in frames {
      let offset = Int(clamping: frame.frame.operands.offset)
      switch frame.opcode {
      case .read:
        let bytes = content.withLock { Array($0.dropFirst(offset).prefix(Int(frame.frame.operands.length))) }
        channel.complete([frame.done(bytes)])
      case .write where offset + frame.payload.count <= size:
        content.withLock { $0.replaceSubrange(offset..<(offset + frame.payload.count), with: frame.payload) }
        channel.complete([frame.done(result: Int64(frame.payload.count))])
      case .write: channel.complete(CompletionFrame(cookie: frame.frame.cookie, refused: .limit))
      case .flush: channel.complete([frame.done()])
      default: channel.complete(CompletionFrame(cookie: frame.frame.cookie, refused: .operation))
      }
    }
  }
}

func bytes(_ range: Range<Int>) -> [UInt8] { range.map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) } }

func read(_ channel: any OpenedObject, _ count: Int, at offset: UInt64 = 0) throws -> [UInt8] {
  var buffer = [UInt8](repeating: 0xEE, count: count)
  var span = buffer.mutableSpan
  let got = try channel.read(into: &span, at: offset)
  return Array(buffer[..<got])
}

func failure(_ body: () throws -> Void) -> PosternError? {
  do { try body() } catch { return error as? PosternError }
  return nil
}

@Suite struct ExchangeTests {
  @Test func `a read gives the bytes at its offset`() throws {
    let broker = try FakeBroker(answer: memoryDisk(1000))
    try broker.serving {
      let channel = try PosternConnection(path: broker.path).open("disk", .init(.read))
      #expect(try read(channel, 100, at: 50) == bytes(50..<150))
    }
  }

  @Test func `a read past the end gives 0 bytes`() throws {
    let broker = try FakeBroker(answer: memoryDisk(1000))
    try broker.serving {
      let channel = try PosternConnection(path: broker.path).open("disk")
      #expect(try read(channel, 10, at: 1000) == [])
    }
  }

  @Test func `a large read is put together from its pieces and ends at the range's end`() throws {
    let size = 11 * Bounds.payload + 17
    let broker = try FakeBroker(answer: memoryDisk(size))
    try broker.serving {
      let channel = try PosternConnection(path: broker.path).open("disk")
      #expect(try read(channel, size + 5000) == bytes(0..<size))
    }
  }

  @Test func `a large write arrives whole`() throws {
    let size = 5 * Bounds.payload + 3
    let broker = try FakeBroker(answer: memoryDisk(size))
    try broker.serving {
      let channel = try PosternConnection(path: broker.path).open("disk")
      let data = [UInt8]((0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7) })
      #expect(try channel.write(data.span) == size)
      #expect(try read(channel, size) == data)
    }
  }

  @Test func `a large write that fails on the way tells how much came before`() throws {
    let broker = try FakeBroker(answer: memoryDisk(Bounds.payload + 100))
    try broker.serving {
      let channel = try PosternConnection(path: broker.path).open("disk")
      let data = [UInt8](repeating: 1, count: 2 * Bounds.payload)
      #expect(try channel.write(data.span) == Bounds.payload)
    }
  }

  @Test func `a device request answers with a number and a structure of another size`() throws {
    let broker = try FakeBroker(kind: .bus) { frames, channel in
      for frame in frames { channel.complete([frame.done([1, 2, 3, 4], result: 0)]) }
    }
    try broker.serving {
      let channel = try PosternConnection(path: broker.path).open("pad")
      var argument: [UInt8] = [0, 0, 0, 0]
      var span = argument.mutableSpan
      #expect(try channel.control(0x8004_4801, argument: [UInt8]().span, into: &span) == 0)
      #expect(argument == [1, 2, 3, 4])
    }
  }

  @Test func `a refusal carries its reason`() throws {
    let broker = try FakeBroker(answer: memoryDisk(10))
    try broker.serving {
      let channel = try PosternConnection(path: broker.path).open("disk")
      let error = failure { try channel.discard(offset: 0, length: 1) }
      #expect(error == .refused(Refusal(.operation), errno: Reason.operation.errno))
    }
  }

  @Test func `an open that is refused tells the policy's message`() throws {
    let refusal = Refusal(.refused, detail: .selector, message: "ask the platform team")
    let broker = try FakeBroker(
      intercept: { broker, request, id, socket in
        guard case .open = request else { return false }
        broker.send(.refused(RefusedReply(refusal)), id, socket)
        return true
      }, answer: memoryDisk(10))
    try broker.serving {
      let connection = try PosternConnection(path: broker.path)
      #expect(failure { _ = try connection.open("disk") } == .refused(refusal, errno: Reason.refused.errno))
      // The connection is good for the next request.
      #expect(try connection.welcome().broker == "fake")
      #expect(broker.connections.load(ordering: .relaxed) == 1)
    }
  }

  @Test func `eight threads on one channel each get their own answers`() throws {
    // Answers wait for three others and come in reverse, so that nearly every one is received by the wrong thread.
    let held = Mutex<[FakeBroker.Frame]>([])
    let broker = try FakeBroker { frames, channel in
      for frame in frames {
        let ready = held.withLock { held -> [FakeBroker.Frame] in
          held.append(frame)
          guard held.count >= 4 || frame.frame.operands.offset >= 1 << 40 else { return [] }
          defer { held = [] }
          return held.reversed()
        }
        channel.complete(
          ready.map { frame in
            let offset = frame.frame.operands.offset
            return frame.done((0..<8).map { UInt8(truncatingIfNeeded: offset >> (8 * UInt64($0))) })
          })
      }
    }
    try broker.serving {
      let channel = try PosternConnection(path: broker.path).open("disk")
      let wrong = Atomic<Int>(0)
      let running = Atomic<Int>(8)
      try withThreads(8) { thread in
        for round in 0..<500 {
          let offset = UInt64(thread) << 20 | UInt64(round)
          let expected = (0..<8).map { UInt8(truncatingIfNeeded: offset >> (8 * UInt64($0))) }
          if (try? read(channel, 8, at: offset)) != expected { wrong.add(1, ordering: .relaxed) }
        }
        // The last threads have nobody left to wait with: whoever ends early keeps the others going.
        running.subtract(1, ordering: .relaxed)
        while running.load(ordering: .relaxed) > 0 { _ = try? read(channel, 8, at: 1 << 40) }
      }
      #expect(wrong.load(ordering: .relaxed) == 0)
    }
  }
}

/// Runs `body` in that many threads and waits for all of them.
func withThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) throws {
  guard count > 0 else { return }
  let thread = try Thread("test") { body(count - 1) }
  let rest = Result { try withThreads(count - 1, body) }
  thread.join()
  try rest.get()
}
