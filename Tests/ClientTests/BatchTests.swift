import Instructions
import Linux
import Postern
import Synchronization
import Testing
import Wire

@Suite struct BatchTests {
  @Test func `submitted instructions complete with their tokens and bytes`() throws {
    let broker = try FakeBroker(answer: memoryDisk(4096))
    try broker.serving {
      let channel = try PosternConnection(path: broker.path).open("disk")
      let submissions = (0..<200).map {
        Submission(.read, Operands(offset: UInt64($0 * 4), length: 4), token: UInt64($0))
      }
      #expect(try channel.submit(submissions) == 200)
      var found: [UInt64: [UInt8]] = [:]
      while found.count < 200 {
        for completion in try channel.complete(atMost: 7, blocking: true) {
          #expect(completion.result == 4)
          found[completion.token] = completion.payload
        }
      }
      for index in 0..<200 { #expect(found[UInt64(index)] == bytes(index * 4..<index * 4 + 4)) }
      #expect(try channel.complete(atMost: 10).isEmpty)
    }
  }

  @Test func `the descriptor is readable when a completion waits`() throws {
    let broker = try FakeBroker(answer: memoryDisk(4096))
    try broker.serving {
      let channel = try PosternConnection(path: broker.path).open("disk")
      #expect(try channel.submit([Submission(.read, Operands(length: 4), token: 1)]) == 1)
      #expect(try isReadable(channel.number, timeoutMilliseconds: 1000))
      #expect(try channel.complete(atMost: 1).count == 1)
      #expect(try !isReadable(channel.number, timeoutMilliseconds: 20))
    }
  }

  @Test func `a completion that another thread's call received makes the descriptor readable all the same`() throws {
    // Answers the submitted one only together with the call that follows.
    let held = Mutex<FakeBroker.Frame?>(nil)
    let broker = try FakeBroker { frames, channel in
      for frame in frames {
        if case .cancel = frame.frame.action {
          channel.complete(CompletionFrame(cookie: frame.frame.cookie, result: -2))
          continue
        }
        let first = held.withLock { held -> FakeBroker.Frame? in
          defer { held = held == nil ? frame : nil }
          return held
        }
        if let first { channel.complete([first.done([1]), frame.done([2])]) }
      }
    }
    try broker.serving {
      let channel = try PosternConnection(path: broker.path).open("disk")
      _ = try channel.submit([Submission(.read, Operands(length: 1), token: 9)])
      #expect(try read(channel, 1) == [2])
      #expect(try isReadable(channel.number, timeoutMilliseconds: 1000))
      #expect(try channel.complete(atMost: 4).map(\.token) == [9])
    }
  }

  @Test func `a refused instruction says so and is not repeated`() throws {
    let broker = try FakeBroker { frames, channel in
      for frame in frames { channel.complete(CompletionFrame(cookie: frame.frame.cookie, refused: .notAssociated)) }
    }
    try broker.serving {
      let channel = try PosternConnection(path: broker.path).open("disk")
      _ = try channel.submit([Submission(.read, Operands(length: 1), token: 9)])
      let completions = try channel.complete(atMost: 4, blocking: true)
      #expect(completions.map(\.refusal) == [Refusal(.notAssociated)])
      #expect(completions.map(\.result) == [-Int64(Reason.notAssociated.errno)])
    }
  }

  @Test func `a payload that no datagram holds is refused before it is sent`() throws {
    let broker = try FakeBroker(answer: memoryDisk(4096))
    try broker.serving {
      let channel = try PosternConnection(path: broker.path).open("disk")
      let large = [UInt8](repeating: 0, count: Bounds.payload + 1)
      let error = failure { _ = try channel.submit([Submission(.write, payload: large, token: 1)]) }
      #expect(error?.errno == SystemError.messageSize)
    }
  }

  @Test func `without room submit says how many it took`() throws {
    let broker = try FakeBroker { _, _ in }
    try broker.serving {
      let channel = try PosternConnection(path: broker.path).open("disk")
      let stopped = try FakeBroker { _, _ in _ = try? isReadable(-1, timeoutMilliseconds: 300) }
      try stopped.serving {
        let slow = try PosternConnection(path: stopped.path).open("disk")
        let large = [UInt8](repeating: 0, count: Bounds.payload)
        let many = (0..<64).map { Submission(.write, payload: large, token: UInt64($0)) }
        #expect(try slow.submit(many) < 64)
      }
      _ = channel
    }
  }
}
