import Authority
import Instructions
import Linux

/// What performing an instruction came to.
public enum Effect: ~Copyable, Sendable {
  /// Done; the result is a byte count or 0. What was read has been appended to the reply.
  case done(UInt64)
  /// The same for a receive that knows who sent.
  case received(UInt64, from: NetworkAddress?)
  /// An accepted connection, for the application to keep.
  case accepted(Descriptor, from: NetworkAddress?)
  /// Allowed but failed: the errno of the kernel or the device.
  case failed(errno: Int32)
  /// Nothing happened yet: check and perform again when `OpenObject.readiness` is ready for this.
  case wouldBlock(Readiness)
  /// Nothing happened yet: the effect can block; call `performBlocking` with this grant on a pool thread.
  case blocks(Grant)
}

public enum Readiness: Sendable, Hashable {
  case readable
  case writable
}

/// A privileged object opened by the broker, with no more rights than its definition gives.
///
/// Thread-safe. Every method that has an effect consumes a `Grant`.
public protocol OpenObject: AnyObject, Sendable {
  /// What readiness is watched on (epoll), or nil where operations never wait. Valid while the object lives.
  var readiness: Int32? { get }

  /// The device or file behind it, and the part of it: what `exclusive` compares. nil: nothing to compare.
  var footprint: Footprint? { get }

  /// Performs the granted instruction without blocking.
  ///
  /// - Parameters:
  ///   - payload: what the instruction carries (bytes to write, an option's value).
  ///   - output: where bytes that are read go; its free capacity bounds them.
  func perform(_ grant: consuming Grant, payload: RawSpan, into output: inout OutputRawSpan) -> Effect

  /// Nothing starts any more: every later operation fails. What a kernel call is doing already ends by itself.
  func recall()

  /// The same where `perform` answered `blocks`; called on a pool thread, never on the thread that checks.
  func performBlocking(_ grant: consuming Grant, payload: RawSpan, into output: inout OutputRawSpan) -> Effect
}

/// A device or file and the bytes of it that an object covers.
public struct Footprint: Sendable, Hashable {
  /// For a block or character device its device number (inode 0), for a regular file its file system and inode.
  public var device: FileIdentity
  /// nil: all of it.
  public var range: ByteRange?

  public init(device: FileIdentity, range: ByteRange?) {
    self.device = device
    self.range = range
  }
}

extension OpenObject {
  /// For objects that nobody waits on inside the kernel: the interpreter performs nothing on a recalled session.
  public func recall() {}
}
