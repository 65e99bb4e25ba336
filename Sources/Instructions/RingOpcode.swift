/// The requests of io_uring(7) that the path ring knows; the raw value is the kernel's number (linux/io_uring.h), at most 63.
public enum RingOpcode: UInt8, CaseIterable, Sendable, Hashable {
  case nop = 0
  case readVector = 1
  case writeVector = 2
  case synchronize = 3
  case readFixed = 4
  case writeFixed = 5
  case pollAdd = 6
  case pollRemove = 7
  case sendMessage = 9
  case receiveMessage = 10
  case timeout = 11
  case timeoutRemove = 12
  case accept = 13
  case cancel = 14
  case linkTimeout = 15
  case allocate = 17
  case read = 22
  case write = 23
  case send = 26
  case receive = 27
  case provideBuffers = 31
  case removeBuffers = 32
  case shutdown = 34
  case sendZeroCopy = 47
  case sendMessageZeroCopy = 48
}

/// A set of requests; bit N of the raw value is number N.
public struct RingOpcodes: OptionSet, Sendable, Hashable {
  public let rawValue: UInt64

  public init(rawValue: UInt64) { self.rawValue = rawValue }
  public init(_ opcodes: some Sequence<RingOpcode>) {
    rawValue = opcodes.reduce(0) { $0 | 1 << UInt64($1.rawValue) }
  }

  public func contains(_ opcode: RingOpcode) -> Bool { rawValue & (1 << UInt64(opcode.rawValue)) != 0 }

  /// What every ring takes: these are about the ring itself and the application's own memory, or tell when the object is ready.
  public static let always = RingOpcodes([
    .nop, .pollAdd, .pollRemove, .timeout, .timeoutRemove, .cancel, .linkTimeout, .provideBuffers, .removeBuffers,
  ])

  /// What a ring takes for these operations. Anything that could name another file, another address than the grant's or a
  /// descriptor to be made of the slot is in no set.
  ///
  /// - Parameter isConnected: the socket sends to one place only, as long as no request names another.
  public init(for operations: OperationSet, isConnected: Bool = false) {
    self = operations.opcodes.reduce(.always) { $0.union(Self.requests(of: $1, isConnected: isConnected)) }
  }

  private static func requests(of opcode: Opcode, isConnected: Bool) -> RingOpcodes {
    switch opcode {
    case .read: RingOpcodes([.read, .readVector, .readFixed])
    case .write: RingOpcodes([.write, .writeVector, .writeFixed])
    case .flush: RingOpcodes([.synchronize])
    // Punches holes and writes zeros, within the device.
    case .discard: RingOpcodes([.allocate])
    case .accept: RingOpcodes([.accept])
    case .receive: RingOpcodes([.receive, .receiveMessage, .read, .readVector, .readFixed])
    case .send where isConnected: requests(of: .write, isConnected: isConnected)
    case .send:
      RingOpcodes([.send, .sendMessage, .sendZeroCopy, .sendMessageZeroCopy, .write, .writeVector, .writeFixed])
    case .shutdown: RingOpcodes([.shutdown])
    // Done before the object is in its slot, or known without it.
    case .info, .bind, .listen: []
    case .connect, .getoption, .setoption, .transfer, .control, .wait: []
    }
  }
}
