import Instructions
import Wire

/// What a mediated operation asks of the codec, both ways and on both sides, `count` times. For counting instructions.
func exchange(count: Int) throws(WireError) {
  var request = [UInt8](repeating: 0, count: InstructionBatch.payloadOffset(count: 1))
  var reply = [UInt8](repeating: 0, count: CompletionBatch.payloadOffset(count: 1))
  for number in 1...UInt64(count) {
    let instruction = InstructionFrame(
      action: .perform(.read), cookie: number, operands: Operands(offset: number &* 512, length: 512))
    try encode(instruction, into: &request)
    let taken = try decodeInstruction(request)
    let completion = CompletionFrame(cookie: taken.cookie, result: Int64(taken.operands.length))
    try encode(completion, into: &reply)
    let answer = try decodeCompletion(reply)
    precondition(taken.cookie == number && taken.operands == instruction.operands, "another instruction")
    precondition(answer.cookie == number && answer.result == 512, "another completion")
  }
}

@inline(never)
private func encode(_ frame: InstructionFrame, into datagram: inout [UInt8]) throws(WireError) {
  var bytes = datagram.mutableSpan
  try InstructionBatch.encodeHeader(count: 1, payload: 0, into: &bytes)
  try frame.encode(into: &bytes, index: 0)
}

@inline(never)
private func encode(_ frame: CompletionFrame, into datagram: inout [UInt8]) throws(WireError) {
  var bytes = datagram.mutableSpan
  try CompletionBatch.encodeHeader(count: 1, payload: 0, into: &bytes)
  try frame.encode(into: &bytes, index: 0)
}

@inline(never)
private func decodeInstruction(_ datagram: [UInt8]) throws(WireError) -> InstructionFrame {
  var batch = try InstructionBatch(decoding: datagram.span)
  guard let frame = try batch.next(datagram.span) else { throw .badCount }
  return frame
}

@inline(never)
private func decodeCompletion(_ datagram: [UInt8]) throws(WireError) -> CompletionFrame {
  var batch = try CompletionBatch(decoding: datagram.span)
  guard let frame = try batch.next(datagram.span) else { throw .badCount }
  return frame
}
