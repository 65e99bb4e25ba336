import Instructions
import Testing

@testable import Wire

@Suite struct `Rules of the channel` {
  private func encode(_ frame: InstructionFrame, payload: Int = 0) throws -> [UInt8] {
    try Datagram(frames: [frame], payload: [UInt8](repeating: 7, count: payload)).encode()
  }

  private func encode(_ frame: CompletionFrame, payload: Int = 0) throws -> [UInt8] {
    try Datagram(frames: [frame], payload: [UInt8](repeating: 7, count: payload)).encode()
  }

  @Test(arguments: [0, 65, 0xFFFF])
  func `a batch has 1 to 64 frames`(count: Int) throws {
    var bytes = [UInt8](repeating: 0, count: Bounds.instructionDatagram)
    bytes[0] = 0x49
    bytes[1] = 0x01
    bytes[2] = UInt8(truncatingIfNeeded: count)
    bytes[3] = UInt8(truncatingIfNeeded: count >> 8)
    #expect(throws: WireError.badCount) { try InstructionBatch(decoding: bytes.span) }
    #expect(throws: WireError.badCount) {
      var span = bytes.mutableSpan
      try InstructionBatch.encodeHeader(count: count, payload: 0, into: &span)
    }
  }

  @Test func `a payload of 65536 bytes passes and one more does not`() throws {
    let full = Bounds.payload
    func write(_ count: Int) -> InstructionFrame {
      InstructionFrame(
        action: .perform(.write), cookie: 1, operands: Operands(length: UInt64(count)), payload: 0..<count)
    }
    let bytes = try encode(write(full), payload: full)
    #expect(try InstructionFrame.decode(bytes).payload.count == full)
    #expect(throws: WireError.oversized) { try encode(write(full + 1), payload: full + 1) }
    var long = bytes + [0]
    long[4] = 1
    #expect(throws: WireError.oversized) { try InstructionBatch(decoding: long.span) }
  }

  @Test func `payload bytes that belong to no frame are an error`() throws {
    let read = InstructionFrame(action: .perform(.read), cookie: 1, operands: Operands(length: 5))
    let bytes = try Datagram(frames: [read], payload: [1, 2, 3]).encode()
    #expect(throws: WireError.badLength) { try InstructionBatch(decoding: bytes.span) }
  }

  @Test func `a later frame's mistake is seen before the first frame is given out`() throws {
    let read = InstructionFrame(action: .perform(.read), cookie: 1)
    var bytes = try Datagram(frames: [read, read], payload: []).encode()
    bytes[BatchHeader.size + InstructionFrame.size] = 17
    #expect(throws: WireError.unknownType) { try InstructionBatch(decoding: bytes.span) }
  }

  @Test func `every opcode that does not exist is an error`() throws {
    let known = Set(Opcode.allCases.map(\.rawValue) + [0xF0, 0xF1])
    for code in UInt8.min ... .max where !known.contains(code) {
      var bytes = try encode(InstructionFrame(action: .perform(.flush), cookie: 1))
      bytes[BatchHeader.size] = code
      #expect(throws: WireError.unknownType) { try InstructionBatch(decoding: bytes.span) }
    }
  }

  @Test(arguments: Opcode.allCases)
  func `only write, send, setoption, transfer and control carry a payload`(opcode: Opcode) throws {
    let carries: Set<Opcode> = [.write, .send, .setoption, .transfer, .control]
    let frame = InstructionFrame(
      action: .perform(opcode), cookie: 1, operands: Operands(length: 3), payload: 0..<3)
    if carries.contains(opcode) {
      #expect(try InstructionFrame.decode(try encode(frame, payload: 3)).frames.count == 1)
    } else {
      #expect(throws: WireError.badLength) { try encode(frame, payload: 3) }
    }
  }

  @Test(arguments: Opcode.allCases)
  func `only connect and send carry an address`(opcode: Opcode) throws {
    let frame = InstructionFrame(
      action: .perform(opcode), cookie: 1, operands: Operands(address: Samples.documentation4))
    if opcode == .connect || opcode == .send {
      #expect(try InstructionFrame.decode(try encode(frame)).frames[0].operands.address == Samples.documentation4)
    } else {
      #expect(throws: WireError.badValue(.family)) { try encode(frame) }
    }
  }

  @Test(arguments: [Opcode.write, .send, .setoption])
  func `the length of what is carried is the payload's`(opcode: Opcode) throws {
    let frame = InstructionFrame(
      action: .perform(opcode), cookie: 1, operands: Operands(length: 4), payload: 0..<3)
    #expect(throws: WireError.badLength) { try encode(frame, payload: 3) }
  }

  @Test func `an unknown family or a stray address byte is an error`() throws {
    let frame = InstructionFrame(
      action: .perform(.connect), cookie: 1, operands: Operands(address: Samples.documentation4))
    let good = try encode(frame)
    // Family AF_UNIX; family none with an address left; the fifth byte of an IPv4 address.
    for (offset, value) in [(2, 1), (2, 0), (44, 1)] as [(Int, UInt8)] {
      var bytes = good
      bytes[BatchHeader.size + offset] = value
      #expect(throws: WireError.badValue(.family)) { try InstructionBatch(decoding: bytes.span) }
    }
  }

  @Test func `arm needs readiness bits that exist`() throws {
    for bits in [0, 0x20] as [UInt32] {
      #expect(throws: WireError.badValue(.readiness)) {
        try encode(InstructionFrame(action: .arm, cookie: 1, operands: Operands(request: bits)))
      }
    }
  }

  @Test func `reserved bits and flags that do not exist are errors`() throws {
    let instruction = try encode(InstructionFrame(action: .perform(.flush), cookie: 1))
    for (offset, error) in [(1, .badValue(.flags)), (3, .badValue(.reserved)), (39, .badValue(.reserved))]
      as [(Int, WireError)]
    {
      var bytes = instruction
      bytes[BatchHeader.size + offset] = 0x80
      #expect(throws: error) { try InstructionBatch(decoding: bytes.span) }
    }
    let completion = try encode(CompletionFrame(cookie: 1, result: 0))
    for (offset, error) in [(21, .badValue(.flags)), (22, .badValue(.kind)), (31, .badValue(.reserved))]
      as [(Int, WireError)]
    {
      var bytes = completion
      bytes[BatchHeader.size + offset] = 0x80
      #expect(throws: error) { try CompletionBatch(decoding: bytes.span) }
    }
  }

  @Test(arguments: Reason.allCases)
  func `a refusal carries its errno and nothing else`(reason: Reason) throws {
    let refused = CompletionFrame(cookie: 1, refused: reason)
    #expect(refused.result == -Int64(reason.errno))
    #expect(try CompletionFrame.decode(try encode(refused)).frames[0].reason == reason)
    var wrong = refused
    wrong.result = 0
    #expect(throws: WireError.badValue(.reason)) { try encode(wrong) }
    wrong = refused
    wrong.payload = 0..<1
    #expect(throws: WireError.badValue(.reason)) { try encode(wrong, payload: 1) }
    wrong = refused
    wrong.flags = .descriptor
    #expect(throws: WireError.badValue(.reason)) { try encode(wrong) }
  }

  @Test func `a reason or detail that does not exist is an error`() throws {
    let good = try encode(CompletionFrame(cookie: 1, refused: .refused, detail: .tracer))
    var bytes = good
    bytes[BatchHeader.size + 16] = 12
    #expect(throws: WireError.badValue(.reason)) { try CompletionBatch(decoding: bytes.span) }
    bytes = good
    bytes[BatchHeader.size + 18] = 200
    #expect(throws: WireError.badValue(.detail)) { try CompletionBatch(decoding: bytes.span) }
  }

  @Test func `a notification that says what only a completion may is an error`() throws {
    for frame in [
      CompletionFrame(kind: .changed, cookie: 1, result: 0, reason: .revoked),
      CompletionFrame(kind: .changed, cookie: 0, result: 0),
      CompletionFrame(kind: .ready, flags: .descriptor, cookie: 1, result: 1),
    ] {
      #expect(throws: WireError.badValue(.kind)) { try encode(frame) }
    }
    #expect(throws: WireError.badValue(.readiness)) {
      try encode(CompletionFrame(kind: .ready, cookie: 1, result: 0))
    }
  }

  @Test func `a frame is not written where it does not fit, and nothing is`() throws {
    var bytes = [UInt8](repeating: 0xAA, count: BatchHeader.size + InstructionFrame.size - 1)
    let before = bytes
    #expect(throws: WireError.truncated) {
      var span = bytes.mutableSpan
      try InstructionFrame(action: .perform(.flush), cookie: 1).encode(into: &span, index: 0)
    }
    #expect(bytes == before)
  }
}
