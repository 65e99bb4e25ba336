import Authority
import Instructions

/// The optional fields of a record's body; the raw value is the bit in its presence word.
///
/// A later version adds bits at the end; a reader that does not know them stops before, which is why the order of the
/// fields in the body is the order of the bits.
enum AuditField: UInt8, CaseIterable {
  case reason, detail, errno, path, operation, operations
  case operands, offset, length, request, address
  case association, pid, tid, processStart, uid, executable, generation, cause
  case object, application, executablePath, cgroup, grant, message
  case gap, repair

  var bit: UInt64 { 1 << UInt64(rawValue) }
}

extension AuditRecord {
  /// Appends the frame with an empty marker and checksum; `Frame.seal` fills them in.
  func encode(into bytes: inout [UInt8]) {
    let body = encodedBody()
    AuditRecord.encodeFrame(kind: kind, sequence: sequence, body: body, into: &bytes)
  }

  /// Appends a frame around a body that `encodedBody` made.
  static func encodeFrame(kind: AuditKind, sequence: UInt64, body: EncodedBody, into bytes: inout [UInt8]) {
    let length = Frame.headLength + body.bytes.count + Frame.trailerLength
    bytes.appendLittleEndian(UInt64(0))
    bytes.appendLittleEndian(UInt32(length))
    bytes.append(Frame.version)
    bytes.append(UInt8(Frame.headLength))
    bytes.append(kind.rawValue)
    bytes.append(body.isTruncated ? Frame.flagTruncated : 0)
    bytes.appendLittleEndian(sequence)
    bytes.append(contentsOf: body.bytes)
    bytes.appendLittleEndian(UInt32(length))
  }

  struct EncodedBody {
    var bytes: [UInt8]
    var isTruncated: Bool
  }

  /// Everything but kind and sequence: made before the sequence number is known.
  func encodedBody() -> EncodedBody {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(320)
    bytes.appendLittleEndian(time.wall)
    bytes.appendLittleEndian(time.boottime)
    bytes.appendLittleEndian(boot.high)
    bytes.appendLittleEndian(boot.low)
    bytes.appendLittleEndian(UInt64(0))
    var present: UInt64 = 0
    var isTruncated = isTruncated
    encodeNumbers(into: &bytes, &present)
    encodeOperands(into: &bytes, &present)
    encodeAsker(into: &bytes, &present)
    for (field, text) in texts {
      guard let text else { continue }
      present |= field.bit
      let kept = text.bytes.prefix(AuditRecord.maximumTextLength)
      if kept.count < text.bytes.count { isTruncated = true }
      bytes.appendLittleEndian(UInt16(kept.count))
      bytes.append(contentsOf: kept)
    }
    if let gap {
      present |= AuditField.gap.bit
      bytes.appendLittleEndian(gap.first)
      bytes.appendLittleEndian(gap.last)
      bytes.append(UInt8(clamping: gap.counts.count))
      for count in gap.counts.prefix(Int(UInt8.max)) {
        bytes.appendLittleEndian(count.reason?.rawValue ?? 0)
        bytes.appendLittleEndian(count.count)
      }
    }
    if let repair {
      present |= AuditField.repair.bit
      bytes.appendLittleEndian(repair.segment)
      bytes.appendLittleEndian(repair.offset)
      bytes.appendLittleEndian(repair.lost)
    }
    bytes.putLittleEndian32(UInt32(truncatingIfNeeded: present), at: 32)
    bytes.putLittleEndian32(UInt32(truncatingIfNeeded: present >> 32), at: 36)
    return EncodedBody(bytes: bytes, isTruncated: isTruncated)
  }

  private var texts: [(AuditField, ByteString?)] {
    [
      (.object, object), (.application, application), (.executablePath, executablePath), (.cgroup, cgroup),
      (.grant, grant), (.message, message),
    ]
  }

  private func encodeNumbers(into bytes: inout [UInt8], _ present: inout UInt64) {
    if let reason {
      present |= AuditField.reason.bit
      bytes.appendLittleEndian(reason.rawValue)
    }
    if let detail {
      present |= AuditField.detail.bit
      bytes.appendLittleEndian(detail.rawValue)
    }
    if let errno {
      present |= AuditField.errno.bit
      bytes.appendLittleEndian(errno)
    }
    if let path {
      present |= AuditField.path.bit
      bytes.append(path.rawValue)
    }
    if let operation {
      present |= AuditField.operation.bit
      bytes.append(operation.rawValue)
    }
    if let operations {
      present |= AuditField.operations.bit
      bytes.appendLittleEndian(operations.rawValue)
    }
  }

  private func encodeOperands(into bytes: inout [UInt8], _ present: inout UInt64) {
    guard let operands else { return }
    present |= AuditField.operands.bit
    if operands.offset != 0 {
      present |= AuditField.offset.bit
      bytes.appendLittleEndian(operands.offset)
    }
    if operands.length != 0 {
      present |= AuditField.length.bit
      bytes.appendLittleEndian(operands.length)
    }
    if operands.request != 0 {
      present |= AuditField.request.bit
      bytes.appendLittleEndian(operands.request)
    }
    if let address = operands.address {
      present |= AuditField.address.bit
      bytes.append(address.family.rawValue)
      bytes.appendLittleEndian(address.port)
      for index in address.bytes.indices { bytes.append(address.bytes[index]) }
    }
  }

  private func encodeAsker(into bytes: inout [UInt8], _ present: inout UInt64) {
    if let association {
      present |= AuditField.association.bit
      bytes.appendLittleEndian(association.rawValue)
    }
    if let pid {
      present |= AuditField.pid.bit
      bytes.appendLittleEndian(pid)
    }
    if let tid {
      present |= AuditField.tid.bit
      bytes.appendLittleEndian(tid)
    }
    if let processStart {
      present |= AuditField.processStart.bit
      bytes.appendLittleEndian(processStart)
    }
    if let uid {
      present |= AuditField.uid.bit
      bytes.appendLittleEndian(uid)
    }
    if let executable {
      present |= AuditField.executable.bit
      bytes.appendLittleEndian(executable.device)
      bytes.appendLittleEndian(executable.inode)
    }
    if let generation {
      present |= AuditField.generation.bit
      bytes.appendLittleEndian(generation)
    }
    if let cause {
      present |= AuditField.cause.bit
      bytes.append(cause.rawValue)
    }
  }
}

extension AuditRecord {
  /// The record as `AuditRecord(decoding:)` takes it; what protects a segment's copy (marker, checksum) is left empty.
  public var encoded: [UInt8] {
    var bytes: [UInt8] = []
    encode(into: &bytes)
    return bytes
  }
}
