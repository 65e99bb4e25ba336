import Authority
import Glibc
import Instructions
import Linux
import Synchronization

extension DiskObject {
  public func perform(_ grant: consuming Grant, payload: RawSpan, into output: inout OutputRawSpan) -> Effect {
    guard !isRecalled.load(ordering: .acquiring) else { return .failed(errno: ESHUTDOWN) }
    switch grant.instruction.opcode {
    case .read:
      return readInline(grant, into: &output)
    case .write:
      if let refusal = refusal(ofChange: grant, payload: payload) { return .failed(errno: refusal) }
      // Only XFS and Btrfs can write without waiting, and a part that was written could not be taken back.
      return payload.byteCount == 0 ? .done(0) : .blocks(grant)
    case .discard:
      if let refusal = refusal(ofChange: grant, payload: nil) { return .failed(errno: refusal) }
      return grant.instruction.operands.length == 0 ? .done(0) : .blocks(grant)
    case .flush:
      return .blocks(grant)
    case .info:
      guard let range = coveredRange(grant) else { return .failed(errno: EPERM) }
      guard output.freeCapacity >= DiskInformation.byteCount else { return .failed(errno: EMSGSIZE) }
      for byte in DiskInformation(geometry, range: range, access: access).bytes { output.append(byte) }
      return .done(UInt64(DiskInformation.byteCount))
    default:
      return .failed(errno: EOPNOTSUPP)
    }
  }

  public func performBlocking(_ grant: consuming Grant, payload: RawSpan, into output: inout OutputRawSpan) -> Effect {
    guard !isRecalled.load(ordering: .acquiring) else { return .failed(errno: ESHUTDOWN) }
    do {
      switch grant.instruction.opcode {
      case .read:
        guard let span = readSpan(grant, room: output.freeCapacity) else { return .failed(errno: EPERM) }
        return .done(UInt64(try read(span, into: &output)))
      case .write:
        if let refusal = refusal(ofChange: grant, payload: payload) { return .failed(errno: refusal) }
        guard let span = changeSpan(grant) else { return .failed(errno: EPERM) }
        return .done(UInt64(try write(payload, at: span.offset)))
      case .discard:
        if let refusal = refusal(ofChange: grant, payload: nil) { return .failed(errno: refusal) }
        guard let span = changeSpan(grant) else { return .failed(errno: EPERM) }
        if span.length > 0 { try discard(span) }
        return .done(0)
      case .flush:
        try descriptor.synchronize()
        return .done(0)
      default:
        return perform(grant, payload: payload, into: &output)
      }
    } catch {
      return .failed(errno: error.errno)
    }
  }

  /// Reads what the page cache holds; where that is not everything, nothing is kept and the grant goes to a pool thread.
  private func readInline(_ grant: consuming Grant, into output: inout OutputRawSpan) -> Effect {
    guard let span = readSpan(grant, room: output.freeCapacity) else { return .failed(errno: EPERM) }
    guard span.length > 0 else { return .done(0) }
    guard answersFromCache.load(ordering: .relaxed) else { return .blocks(grant) }
    do {
      guard let count = try descriptor.readCached(at: span.offset, upTo: Int(span.length), into: &output) else {
        return .blocks(grant)
      }
      if count == Int(span.length) { return .done(UInt64(count)) }
      // The end of the cached part, or of a file that shrank: a blocking read tells them apart.
      output.removeLast(count)
      return .blocks(grant)
    } catch {
      guard error.errno == EOPNOTSUPP || error.errno == EINVAL else { return .failed(errno: error.errno) }
      answersFromCache.store(false, ordering: .relaxed)
      return .blocks(grant)
    }
  }

  /// pread(2) until everything is there or the file ends; an error after some bytes is told by the next read.
  ///
  /// The span is within the object, so a block device that ends before it has lost its medium, or is gone itself: ENXIO,
  /// where the kernel only reports the end.
  private func read(_ span: ByteRange, into output: inout OutputRawSpan) throws(SystemError) -> Int {
    var count = 0
    while count < Int(span.length) {
      do throws(SystemError) {
        let more = try descriptor.read(
          at: span.offset + UInt64(count), upTo: Int(span.length) - count, into: &output)
        if more == 0 {
          guard count > 0 || !geometry.isBlockDevice else {
            throw SystemError(errno: ENXIO, operation: "pread", path: path)
          }
          break
        }
        count += more
      } catch {
        if count > 0 { break }
        throw error
      }
    }
    return count
  }

  /// pwrite(2) until everything is written; an error after some bytes is told by the next write.
  private func write(_ bytes: RawSpan, at offset: UInt64) throws(SystemError) -> Int {
    var count = 0
    while count < bytes.byteCount {
      do {
        let more = try descriptor.write(bytes.extracting(droppingFirst: count), at: offset + UInt64(count))
        if more == 0 { break }
        count += more
      } catch {
        if count > 0 { break }
        throw error
      }
    }
    return count
  }

  private func discard(_ span: ByteRange) throws(SystemError) {
    if geometry.isBlockDevice {
      try descriptor.discardBlocks(at: span.offset, length: span.length)
    } else {
      try descriptor.punchHole(at: span.offset, length: span.length)
    }
  }

  /// The part of the device that the grant speaks of, or nil where it is not wholly inside the object's own.
  ///
  /// The entity has checked that; an object whose guard is another module would be one bug away from the whole disk.
  private func coveredRange(_ grant: borrowing Grant) -> ByteRange? {
    guard let part = grant.range else { return range }
    guard part.offset >= range.offset, part.offset - range.offset <= range.length,
      part.length <= range.length - (part.offset - range.offset)
    else { return nil }
    return part
  }

  /// Where on the device a read goes; of length 0 at and past the end, shorter at the end. nil: outside the object.
  private func readSpan(_ grant: borrowing Grant, room: Int) -> ByteRange? {
    guard let covered = coveredRange(grant) else { return nil }
    let operands = grant.instruction.operands
    guard operands.offset < covered.length else { return ByteRange(offset: covered.offset, length: 0) }
    let length = min(operands.length, covered.length - operands.offset, UInt64(room))
    return ByteRange(offset: covered.offset + operands.offset, length: length)
  }

  /// Where on the device a write or discard goes, or nil where any of it would be outside.
  private func changeSpan(_ grant: borrowing Grant) -> ByteRange? {
    guard let covered = coveredRange(grant) else { return nil }
    let operands = grant.instruction.operands
    guard operands.offset <= covered.length, operands.length <= covered.length - operands.offset else { return nil }
    return ByteRange(offset: covered.offset + operands.offset, length: operands.length)
  }

  /// The errno with which a write or discard fails before it starts, or nil.
  private func refusal(ofChange grant: borrowing Grant, payload: RawSpan?) -> Int32? {
    guard access == .readWrite else { return EACCES }
    // What was checked is the length in the operands; other bytes than those are not written.
    if let payload, UInt64(payload.byteCount) != grant.instruction.operands.length { return EINVAL }
    return changeSpan(grant) == nil ? EPERM : nil
  }
}
