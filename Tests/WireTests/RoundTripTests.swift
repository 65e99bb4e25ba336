import Testing

@testable import Wire

@Suite struct `Round trips` {
  @Test(arguments: Request.Kind.allCases)
  func `a random request decodes to itself`(kind: Request.Kind) throws {
    withRandom(rounds: 60) { random in
      let id = UInt64.random(in: 1 ... .max, using: &random)
      let request = random.request(kind)
      let bytes = try request.encode(id: id)
      let decoded = try Request.decode(bytes.span)
      try #require(decoded.id == id && decoded.request == request)
      try #require(decoded.request.kind == kind)
    }
  }

  @Test(arguments: Reply.Kind.allCases)
  func `a random reply decodes to itself`(kind: Reply.Kind) throws {
    withRandom(rounds: 12) { random in
      let id = UInt64.random(in: 1 ... .max, using: &random)
      let reply = try random.reply(kind)
      let bytes = try reply.encode(id: id)
      let decoded = try Reply.decode(bytes.span)
      try #require(decoded.id == id && decoded.reply == reply)
      try #require(decoded.reply.kind == kind)
    }
  }

  @Test func `a random batch of instructions decodes to itself`() throws {
    withRandom(rounds: 100) { random in
      let datagram = random.instructions()
      try #require(try InstructionFrame.decode(try datagram.encode()) == datagram)
    }
  }

  @Test func `a random batch of completions decodes to itself`() throws {
    withRandom(rounds: 100) { random in
      let datagram = random.completions()
      try #require(try CompletionFrame.decode(try datagram.encode()) == datagram)
    }
  }

  @Test func `an instruction's payload range names its own bytes`() throws {
    let bytes = try Samples.instructions[1].datagram.encode()
    var batch = try InstructionBatch(decoding: bytes.span)
    let write = try #require(try batch.next(bytes.span))
    let send = try #require(try batch.next(bytes.span))
    #expect([UInt8](bytes[write.payload]) == [UInt8]("hello".utf8))
    #expect([UInt8](bytes[send.payload]) == [UInt8]("ping".utf8))
  }

  @Test func `a single instruction takes 64 bytes`() throws {
    #expect(try Samples.instructions[0].datagram.encode().count == 64)
  }
}
