import Wire

/// One datagram as a request and as a reply: an error, or a message that encodes again to the same bytes.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  // SAFETY: libFuzzer gives `count` readable bytes for the time of the call; they are copied here.
  let message = unsafe [UInt8](UnsafeBufferPointer(start: start, count: count))
  if let (id, request) = try? Request.decode(message.span) {
    let again = try? request.encode(id: id)
    precondition(again == message, "a request does not encode to what it was decoded from")
  }
  if let (id, reply) = try? Reply.decode(message.span) {
    let again = try? reply.encode(id: id)
    precondition(again == message, "a reply does not encode to what it was decoded from")
  }
  return 0
}
