import Wire

/// One datagram as a batch of instructions and of completions: an error, or frames that encode again to the same bytes.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  // SAFETY: libFuzzer gives `count` readable bytes for the time of the call; they are copied here.
  let datagram = unsafe [UInt8](UnsafeBufferPointer(start: start, count: count))
  instructions(datagram)
  completions(datagram)
  return 0
}

private func instructions(_ datagram: [UInt8]) {
  guard var batch = try? InstructionBatch(decoding: datagram.span) else { return }
  let first = InstructionBatch.payloadOffset(count: batch.count)
  // Everything but the payloads is overwritten, so that a byte that the encoder leaves out shows.
  var again = [UInt8](repeating: 0xAA, count: first) + datagram[first...]
  var span = again.mutableSpan
  var end = first
  do {
    for index in 0..<batch.count {
      guard let frame = try batch.next(datagram.span) else { preconditionFailure("fewer frames than counted") }
      precondition(frame.payload.lowerBound == end, "a gap between payloads")
      end = frame.payload.upperBound
      try frame.encode(into: &span, index: index)
    }
    let length = try InstructionBatch.encodeHeader(count: batch.count, payload: end - first, into: &span)
    precondition(length == datagram.count, "the lengths differ")
    guard try batch.next(datagram.span) == nil else { preconditionFailure("more frames than counted") }
  } catch { preconditionFailure("\(error) after the batch was checked") }
  precondition(again == datagram, "instructions do not encode to what they were decoded from")
}

private func completions(_ datagram: [UInt8]) {
  guard var batch = try? CompletionBatch(decoding: datagram.span) else { return }
  let first = CompletionBatch.payloadOffset(count: batch.count)
  var again = [UInt8](repeating: 0xAA, count: first) + datagram[first...]
  var span = again.mutableSpan
  var end = first
  do {
    for index in 0..<batch.count {
      guard let frame = try batch.next(datagram.span) else { preconditionFailure("fewer frames than counted") }
      precondition(frame.payload.lowerBound == end, "a gap between payloads")
      end = frame.payload.upperBound
      try frame.encode(into: &span, index: index)
    }
    let length = try CompletionBatch.encodeHeader(count: batch.count, payload: end - first, into: &span)
    precondition(length == datagram.count, "the lengths differ")
    guard try batch.next(datagram.span) == nil else { preconditionFailure("more frames than counted") }
  } catch { preconditionFailure("\(error) after the batch was checked") }
  precondition(again == datagram, "completions do not encode to what they were decoded from")
}
