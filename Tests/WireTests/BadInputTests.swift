import Instructions
import Testing

@testable import Wire

@Suite struct `Bad input` {
  @Test(arguments: Decoders.allCases)
  func `every prefix of every sample is truncated`(decoder: Decoders) throws {
    for (name, bytes) in try decoder.samples() {
      for count in 0..<bytes.count {
        #expect(throws: WireError.truncated, "\(name), first \(count) bytes") {
          try decoder.reencode([UInt8](bytes[..<count]))
        }
      }
    }
  }

  @Test(arguments: [Decoders.request, .reply])
  func `a body that ends inside a field is an error`(decoder: Decoders) throws {
    // The header's length agrees with the datagram, so only the body's own decoder can see it.
    for (name, bytes) in try decoder.samples() {
      for count in ControlHeader.size..<bytes.count {
        var short = [UInt8](bytes[..<count])
        setLength(&short)
        #expect(throws: WireError.truncated, "\(name), body of \(count - ControlHeader.size)") {
          try decoder.reencode(short)
        }
      }
    }
  }

  @Test(arguments: Decoders.allCases)
  func `a byte too many is an error`(decoder: Decoders) throws {
    for (name, bytes) in try decoder.samples() {
      #expect(throws: WireError.trailingBytes, "\(name)") { try decoder.reencode(bytes + [0]) }
      guard decoder == .request || decoder == .reply else { continue }
      var long = bytes + [0]
      setLength(&long)
      #expect(throws: WireError.trailingBytes, "\(name)") { try decoder.reencode(long) }
    }
  }

  @Test(arguments: Decoders.allCases)
  func `a flipped bit is an error or another message with exactly these bytes`(decoder: Decoders) throws {
    var errors = 0
    for (name, bytes) in try decoder.samples() {
      for bit in 0..<(bytes.count * 8) {
        var flipped = bytes
        flipped[bit / 8] ^= 1 << UInt8(bit % 8)
        do {
          let again = try decoder.reencode(flipped)
          try #require(again == flipped, "\(name), bit \(bit)")
        } catch is WireError { errors += 1 }
      }
    }
    #expect(errors > 0)
  }

  @Test(arguments: Decoders.allCases)
  func `random bytes behind a good header never pass as another message's bytes`(decoder: Decoders) throws {
    let samples = try decoder.samples()
    withRandom(rounds: 3000) { random in
      var bytes = random.pick(samples).bytes
      let start = Int.random(in: 0..<bytes.count, using: &random)
      for index in start..<min(bytes.count, start + 8) { bytes[index] = random.any() }
      if let again = try? decoder.reencode(bytes) {
        try #require(again == bytes)
      }
    }
  }

  @Test func `a reply is not a request and a request is not a reply`() throws {
    for (name, bytes) in try Decoders.request.samples() {
      #expect(throws: WireError.unknownType, "\(name)") { try Decoders.reply.reencode(bytes) }
    }
    for (name, bytes) in try Decoders.reply.samples() {
      #expect(throws: WireError.unknownType, "\(name)") { try Decoders.request.reencode(bytes) }
    }
  }

  @Test func `a batch of one direction is not one of the other`() throws {
    for (_, bytes) in try Decoders.instructions.samples() {
      #expect(throws: WireError.badMagic) { try Decoders.completions.reencode(bytes) }
    }
    for (_, bytes) in try Decoders.completions.samples() {
      #expect(throws: WireError.badMagic) { try Decoders.instructions.reencode(bytes) }
    }
  }

  @Test func `another version of the framing is an error`() throws {
    var bytes = try Request.status.encode(id: 1)
    bytes[4] = 2
    #expect(throws: WireError.badMagic) { try Request.decode(bytes.span) }
  }

  @Test func `request id 0 is an error in both directions`() throws {
    #expect(throws: WireError.badValue(.requestID)) { try Request.status.encode(id: 0) }
    var bytes = try Request.status.encode(id: 1)
    bytes[16] = 0
    #expect(throws: WireError.badValue(.requestID)) { try Request.decode(bytes.span) }
  }

  @Test func `a body over 64 KiB is an error`() throws {
    var bytes = try Request.status.encode(id: 1)
    bytes += [UInt8](repeating: 0, count: Bounds.body + 1)
    setLength(&bytes)
    #expect(throws: WireError.oversized) { try Request.decode(bytes.span) }
  }

  @Test func `a row count that lies is an error`() throws {
    var bytes = try Reply.status(Page()).encode(id: 1)
    for index in 32..<36 { bytes[index] = 0xFF }
    #expect(throws: WireError.truncated) { try Reply.decode(bytes.span) }
  }

  @Test func `operations that do not exist are an error in both directions`() throws {
    let wrong = OperationSet(rawValue: 1 << 17)
    #expect(throws: WireError.badValue(.operations)) {
      try Request.open(Open(object: "web", operations: wrong)).encode(id: 1)
    }
    var bytes = try Request.open(Open(object: "", operations: [])).encode(id: 1)
    bytes[ControlHeader.size + 4] = 2
    #expect(throws: WireError.badValue(.operations)) { try Request.decode(bytes.span) }
  }

  @Test(arguments: [0x01, 0x08, 0x10, 0x80] as [UInt8])
  func `a path that cannot be chosen is an error in both directions`(bit: UInt8) throws {
    #expect(throws: WireError.badValue(.path)) {
      try Request.open(Open(object: "web", accepts: PathSet(rawValue: bit))).encode(id: 1)
    }
    var bytes = try Request.open(Open(object: "web")).encode(id: 1)
    bytes[bytes.count - 1] = bit
    #expect(throws: WireError.badValue(.path)) { try Request.decode(bytes.span) }
  }

  @Test func `an open that says nothing of the paths it accepts is an error`() throws {
    var bytes = Array(try Request.open(Open(object: "web")).encode(id: 1).dropLast())
    setLength(&bytes)
    #expect(throws: WireError.truncated) { try Request.decode(bytes.span) }
  }

  private func setLength(_ message: inout [UInt8]) {
    let length = UInt32(message.count - ControlHeader.size)
    for byte in 0..<4 { message[8 + byte] = UInt8(truncatingIfNeeded: length >> (8 * byte)) }
  }
}

@Suite struct `Bad strings` {
  @Test func `a name has 255 bytes at most`() throws {
    let longest = String(repeating: "n", count: Bounds.name)
    let bytes = try Request.objects(ObjectQuery(name: longest)).encode(id: 1)
    #expect(try Request.decode(bytes.span).request == .objects(ObjectQuery(name: longest)))
    #expect(throws: WireError.badString(.name)) {
      try Request.objects(ObjectQuery(name: longest + "n")).encode(id: 1)
    }
  }

  @Test func `a name of 256 bytes is not decoded`() throws {
    // Two strings whose lengths are shifted so that the datagram stays as long as it says.
    let half = String(repeating: "n", count: 200)
    var bytes = try Request.associations(AssociationQuery(object: half, application: half)).encode(id: 1)
    bytes[ControlHeader.size] = 0
    bytes[ControlHeader.size + 1] = 1
    #expect(throws: WireError.badString(.name)) { try Request.decode(bytes.span) }
  }

  @Test func `a message has 4096 bytes at most`() throws {
    let longest = String(repeating: "é", count: Bounds.text / 2)
    let refused = Reply.refused(RefusedReply(Refusal(.busy, message: longest)))
    let bytes = try refused.encode(id: 1)
    #expect(try Reply.decode(bytes.span).reply == refused)
    #expect(throws: WireError.badString(.message)) {
      try Reply.refused(RefusedReply(Refusal(.busy, message: longest + "e"))).encode(id: 1)
    }
  }

  @Test func `a NUL inside a string is an error in both directions`() throws {
    #expect(throws: WireError.badString(.name)) {
      try Request.objects(ObjectQuery(name: "a\0b")).encode(id: 1)
    }
    var bytes = try Request.objects(ObjectQuery(name: "a.b")).encode(id: 1)
    bytes[ControlHeader.size + 3] = 0
    #expect(throws: WireError.badString(.name)) { try Request.decode(bytes.span) }
  }

  @Test(
    arguments: [
      [0xC0, 0xAF], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0x80], [0xE2, 0x82], [0xFF],
    ] as [[UInt8]])
  func `what is not UTF-8 is an error`(sequence: [UInt8]) throws {
    let name = String(repeating: "n", count: sequence.count)
    var bytes = try Request.objects(ObjectQuery(name: name)).encode(id: 1)
    for (index, byte) in sequence.enumerated() { bytes[ControlHeader.size + 2 + index] = byte }
    #expect(throws: WireError.badString(.name)) { try Request.decode(bytes.span) }
  }
}
