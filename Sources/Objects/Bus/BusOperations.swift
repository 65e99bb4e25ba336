import Authority
import Glibc
import Instructions
import Linux
import Synchronization

/// Whether an object was recalled; set once.
final class RecallMark: Sendable {
  private let mark = Atomic<Bool>(false)

  var isSet: Bool { mark.load(ordering: .acquiring) }
  func set() { mark.store(true, ordering: .releasing) }
}

/// What the bus objects share: pairs that do not exist and recalled objects fail, and where an effect runs.
protocol BusOperations: OpenObject {
  var operations: OperationSet { get }
  var recalled: RecallMark { get }
  /// Whether `execute` may wait for hardware, and so belongs on a pool thread.
  var mayBlock: Bool { get }

  /// Performs an instruction that `operations` contains as far as that cannot block.
  func start(_ grant: consuming Grant, payload: RawSpan, into output: inout OutputRawSpan) -> Effect

  /// Performs an instruction that `operations` contains.
  ///
  /// - Parameter range: the grant's.
  /// - Returns: a byte count or 0. Nothing has been appended on an error.
  func execute(
    _ instruction: Instruction, range: ByteRange?, payload: RawSpan, into output: inout OutputRawSpan
  ) throws(SystemError) -> UInt64
}

extension BusOperations {
  /// Nothing starts any more: every later operation fails with ESHUTDOWN. A serial read that waits ends early; what a
  /// driver is doing ends by itself.
  func recall() { recalled.set() }

  /// The errno of an instruction that is not to be started, or nil.
  private func refusal(of opcode: Opcode) -> Int32? {
    if recalled.isSet { return ESHUTDOWN }
    return operations.contains(opcode) ? nil : EINVAL
  }

  func perform(_ grant: consuming Grant, payload: RawSpan, into output: inout OutputRawSpan) -> Effect {
    if let errno = refusal(of: grant.instruction.opcode) { return .failed(errno: errno) }
    return start(grant, payload: payload, into: &output)
  }

  func start(_ grant: consuming Grant, payload: RawSpan, into output: inout OutputRawSpan) -> Effect {
    mayBlock ? .blocks(grant) : performBlocking(grant, payload: payload, into: &output)
  }

  func performBlocking(_ grant: consuming Grant, payload: RawSpan, into output: inout OutputRawSpan) -> Effect {
    let instruction = grant.instruction
    if let errno = refusal(of: instruction.opcode) { return .failed(errno: errno) }
    do {
      return .done(try execute(instruction, range: grant.range, payload: payload, into: &output))
    } catch {
      return .failed(errno: error.errno)
    }
  }
}

/// A bus object that is one open device and nothing else.
protocol DeviceOperations: BusOperations {
  var device: BusDevice { get }
}

extension DeviceOperations {
  var mayBlock: Bool { device.mayBlock }
  var readiness: Int32? { nil }
  var footprint: Footprint? { Footprint(device) }
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
