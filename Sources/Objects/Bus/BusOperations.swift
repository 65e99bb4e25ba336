import Authority
import Instructions
import Linux

/// What the bus objects share: the refusal of pairs that do not exist, and where an effect runs.
protocol BusOperations: OpenObject {
  var operations: OperationSet { get }
  /// Whether `execute` may wait for hardware, and so belongs on a pool thread.
  var mayBlock: Bool { get }

  /// Performs an instruction that `operations` contains.
  ///
  /// - Returns: a byte count or 0. Nothing has been appended on an error.
  func execute(_ instruction: Instruction, payload: RawSpan, into output: inout OutputRawSpan) throws(SystemError)
    -> UInt64
}

extension BusOperations {
  func perform(_ grant: consuming Grant, payload: RawSpan, into output: inout OutputRawSpan) -> Effect {
    guard operations.contains(grant.instruction.opcode) else { return .failed(errno: SystemError.invalid.errno) }
    return mayBlock ? .blocks(grant) : performBlocking(grant, payload: payload, into: &output)
  }

  func performBlocking(_ grant: consuming Grant, payload: RawSpan, into output: inout OutputRawSpan) -> Effect {
    let instruction = grant.instruction
    guard operations.contains(instruction.opcode) else { return .failed(errno: SystemError.invalid.errno) }
    do {
      return .done(try execute(instruction, payload: payload, into: &output))
    } catch {
      return .failed(errno: error.errno)
    }
  }
}

extension Footprint {
  /// The part of a bus device that an object covers.
  init(_ device: BusDevice, range: ByteRange? = nil) {
    self.init(device: FileIdentity(device: device.identity.device, inode: device.identity.inode), range: range)
  }
}

extension Operands {
  /// The bytes wanted, no more than there can be; EINVAL where the output has no room for them.
  func wanted(room: Int, atMost limit: Int = .max) throws(SystemError) -> Int {
    let count = min(length, UInt64(limit))
    guard count <= UInt64(room) else { throw .invalid }
    return Int(count)
  }
}
