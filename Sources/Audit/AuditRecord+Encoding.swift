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
  case gap, repair, redacted, removal
  case circumstances
  case runtimeGrant

  var bit: UInt64 { 1 << UInt64(rawValue) }
}

extension AuditRecord {
  /// Appends a frame around a body that `encodedBody` made; `Sealer` fills in what of its head is left empty.
  ///
  /// - Parameter isSealed: with room for an epoch and a tag.
  static func encodeFrame(
    kind: AuditKind, sequence: UInt64, body: EncodedBody, isSealed: Bool, into bytes: inout [UInt8]
  ) {
    let head = isSealed ? Frame.sealedHeadLength : Frame.headLength
    let length = head + body.bytes.count + Frame.trailerLength
    bytes.appendLittleEndian(UInt64(0))
    bytes.appendLittleEndian(UInt32(length))
    bytes.append(Frame.version)
    bytes.append(UInt8(head))
    bytes.append(kind.rawValue)
    bytes.append(body.isTruncated ? Frame.flagTruncated : 0)
    bytes.appendLittleEndian(sequence)
    if isSealed {
      for _ in 0..<3 { bytes.appendLittleEndian(UInt64(0)) }
    }
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
    if !redacted.isEmpty {
      present |= AuditField.redacted.bit
      bytes.appendLittleEndian(redacted.rawValue)
    }
    if let removal {
      present |= AuditField.removal.bit
      bytes.appendLittleEndian(removal.first)
      bytes.appendLittleEndian(removal.last)
    }
    if let circumstances {
      present |= AuditField.circumstances.bit
      if circumstances.supplementaryGIDs.count > Circumstances.maximumGroups { isTruncated = true }
      circumstances.encode(into: &bytes)
    }
    if let runtimeGrant {
      present |= AuditField.runtimeGrant.bit
      bytes.appendLittleEndian(runtimeGrant.id)
      bytes.appendLittleEndian(runtimeGrant.expiry ?? 0)
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
    bytes.append(reason?.rawValue, as: .reason, &present)
    bytes.append(detail?.rawValue, as: .detail, &present)
    bytes.append(errno, as: .errno, &present)
    bytes.append(path?.rawValue, as: .path, &present)
    bytes.append(operation?.rawValue, as: .operation, &present)
    bytes.append(operations?.rawValue, as: .operations, &present)
  }

  private func encodeOperands(into bytes: inout [UInt8], _ present: inout UInt64) {
    guard let operands else { return }
    present |= AuditField.operands.bit
    bytes.append(operands.offset != 0 ? operands.offset : nil, as: .offset, &present)
    bytes.append(operands.length != 0 ? operands.length : nil, as: .length, &present)
    bytes.append(operands.request != 0 ? operands.request : nil, as: .request, &present)
    if let address = operands.address {
      present |= AuditField.address.bit
      bytes.append(address.family.rawValue)
      bytes.appendLittleEndian(address.port)
      for index in address.bytes.indices { bytes.append(address.bytes[index]) }
    }
  }

  private func encodeAsker(into bytes: inout [UInt8], _ present: inout UInt64) {
    bytes.append(association?.rawValue, as: .association, &present)
    bytes.append(pid, as: .pid, &present)
    bytes.append(tid, as: .tid, &present)
    bytes.append(processStart, as: .processStart, &present)
    bytes.append(uid, as: .uid, &present)
    if let executable {
      present |= AuditField.executable.bit
      bytes.appendLittleEndian(executable.device)
      bytes.appendLittleEndian(executable.inode)
    }
    bytes.append(generation, as: .generation, &present)
    bytes.append(cause?.rawValue, as: .cause, &present)
  }
}

extension [UInt8] {
  /// Appends a field that is there, and notes that it is.
  fileprivate mutating func append(
    _ value: (some FixedWidthInteger)?, as field: AuditField, _ present: inout UInt64
  ) {
    guard let value else { return }
    present |= field.bit
    appendLittleEndian(value)
  }
}

extension AuditRecord {
  /// The record as `AuditRecord(decoding:)` takes it; what protects a segment's copy (marker, checksum, tag) is left
  /// empty or out.
  public var encoded: [UInt8] {
    var bytes: [UInt8] = []
    AuditRecord.encodeFrame(kind: kind, sequence: sequence, body: encodedBody(), isSealed: false, into: &bytes)
    return bytes
  }
}
