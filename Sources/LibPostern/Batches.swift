import CPostern
import Glibc
import Instructions
import Linux
import Postern
import Wire

@c @implementation
public func postern_submit(_ fd: Int32, _ instructions: UnsafePointer<postern_instruction>?, _ count: UInt32) -> Int32 {
  Calls.result { () throws(PosternError) in
    let open = try Calls.find(fd)
    guard let instructions = unsafe instructions else { throw Calls.badAddress }
    // SAFETY: the caller promises `count` instructions.
    let all = unsafe UnsafeBufferPointer(start: instructions, count: Int(min(count, UInt32(Int32.max))))
    var sent = 0
    while sent < all.count {
      do throws(PosternError) {
        let piece = try unsafe Piece(all[sent...])
        let taken = try open.submit(piece.submissions, piece.destinations)
        sent += taken
        if taken < piece.submissions.count { break }
      } catch {
        // The ones before it are sent; it is told when it is the first.
        guard sent > 0 else { throw error }
        break
      }
    }
    return Int32(sent)
  }
}

/// Instructions that are copied at once: what has to be given again, because there was no room for it, is copied again.
private struct Piece {
  /// Bytes: about a datagram, which a socket takes or not.
  private static let limit = Bounds.payload

  var submissions: [Submission] = []
  var destinations: [OpenDescriptor.Destination] = []

  /// The first ones; up to one that is malformed, which is thrown where it is the first.
  init(_ instructions: Slice<UnsafeBufferPointer<postern_instruction>>) throws(PosternError) {
    var size = 0
    for index in unsafe instructions.indices where size < Piece.limit {
      do throws(PosternError) {
        // SAFETY: the caller of `postern_submit` promises these instructions.
        let instruction = unsafe instructions[index]
        let submission = try unsafe Submission(instruction)
        _ = try unsafe Calls.memory(instruction.in, instruction.in_length)
        size += submission.payload.count
        submissions.append(submission)
        unsafe destinations.append(
          OpenDescriptor.Destination(
            userData: instruction.user_data, address: UInt(bitPattern: instruction.in), count: instruction.in_length))
      } catch {
        guard !submissions.isEmpty else { throw error }
        return
      }
    }
  }
}

@c @implementation
public func postern_complete(_ fd: Int32, _ completions: UnsafeMutablePointer<postern_completion>?, _ capacity: UInt32)
  -> Int32
{
  Calls.result { () throws(PosternError) in
    let open = try Calls.find(fd)
    guard let completions = unsafe completions else { throw Calls.badAddress }
    let completed = try open.object.complete(atMost: Int(min(capacity, UInt32(Int32.max))))
    for (index, completion) in completed.enumerated() {
      // SAFETY: at most `capacity` entries are written.
      unsafe completions[index] = open.finish(completion)
    }
    return Int32(completed.count)
  }
}

extension Submission {
  init(_ instruction: postern_instruction) throws(PosternError) {
    // SAFETY: postern.h asks of the caller that `out` and `address` are valid for their sizes; both are copied here.
    let bits = unsafe instruction.operation
    guard bits.nonzeroBitCount == 1, let opcode = Opcode(rawValue: UInt8(bits.trailingZeroBitCount)) else {
      throw Calls.invalid("one operation is needed")
    }
    guard unsafe instruction.flags & ~UInt32(POSTERN_NONBLOCK) == 0 else { throw Calls.invalid("a flag is not known") }
    let address = try unsafe SocketAddress.decode(instruction.address, instruction.address_length)
    let length: Int
    let payload: [UInt8]
    if opcode == .discard {
      payload = []
      length = unsafe instruction.out_length
    } else {
      payload = try unsafe [UInt8](Calls.bytes(instruction.out, instruction.out_length))
      length = unsafe instruction.in_length
    }
    let operands = unsafe Operands(
      offset: instruction.offset, length: try Calls.offset(length), request: instruction.request, address: address)
    unsafe self.init(
      opcode, operands, nonblocking: instruction.flags & UInt32(POSTERN_NONBLOCK) != 0, payload: payload, token: 0)
  }
}

extension OpenDescriptor {
  func submit(_ submissions: [Submission], _ wanted: [Destination]) throws(PosternError) -> Int {
    let first = destinations.withLock { destinations in
      let first = destinations.next
      for (index, destination) in wanted.enumerated() {
        destinations.waiting[first &+ UInt64(index)] = destination
      }
      destinations.next &+= UInt64(wanted.count)
      return first
    }
    var submissions = submissions
    for index in submissions.indices { submissions[index].token = first &+ UInt64(index) }
    func forget(from start: Int) {
      destinations.withLock { destinations in
        for index in start..<wanted.count { destinations.waiting[first &+ UInt64(index)] = nil }
      }
    }
    do {
      let sent = try object.submit(submissions)
      forget(from: sent)
      return sent
    } catch {
      forget(from: 0)
      throw error
    }
  }

  /// Puts what came back where the instruction wanted it, and says the rest.
  func finish(_ completion: Completion) -> postern_completion {
    let destination = destinations.withLock { $0.waiting.removeValue(forKey: completion.token) }
    var result = postern_completion()
    result.user_data = destination?.userData ?? 0
    result.result = completion.result
    result.reason = Int32(completion.refusal?.reason.rawValue ?? 0)
    if let destination, let memory = unsafe UnsafeMutableRawPointer(bitPattern: destination.address) {
      let count = min(completion.payload.count, destination.count)
      // SAFETY: the caller promises that `in` stays valid until the completion is collected, which is now.
      unsafe UnsafeMutableRawBufferPointer(start: memory, count: count).copyBytes(from: completion.payload[..<count])
      // As postern_receive without MSG_TRUNC: what was stored.
      if completion.opcode == .receive, completion.result > 0 { result.result = Int64(count) }
    }
    if completion.opcode == .accept, completion.result >= 0 {
      if let descriptor = completion.descriptor?.take() {
        result.result = Int64(descriptor.release())
      } else {
        result.result = -Int64(EPROTO)
      }
    }
    if let address = completion.address {
      let bytes = SocketAddress.encode(address)
      unsafe withUnsafeMutableBytes(of: &result.address) { unsafe $0.copyBytes(from: bytes) }
      result.address_length = socklen_t(bytes.count)
    }
    return result
  }
}
