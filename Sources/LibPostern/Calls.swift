import Instructions
import Linux
import Postern

/// What every C function shares: finding the object behind a number, and turning errors into -errno.
///
/// All of the library's C pointers are in this target; what they point to is the C caller's promise (postern.h).
enum Calls {
  /// Objects by the number that the application has. nil: no memory for the lock.
  private static let table = try? ForkSafeLock<[Int32: OpenDescriptor]>([:])

  /// Notes an open object. An entry of the same number is one that the application closed with close(2).
  static func register(_ open: OpenDescriptor) throws(PosternError) {
    guard let table else { throw .failed(errno: SystemError.outOfMemory, text: "no memory") }
    let number = open.object.number
    // Dropped after the lock is free: see ForkSafeLock.
    let stale = table.withLock { $0.updateValue(open, forKey: number) }
    _ = consume stale
  }

  static func forget(_ number: Int32) throws(PosternError) -> OpenDescriptor {
    guard let open = table?.withLock({ $0.removeValue(forKey: number) }) else { throw badDescriptor }
    return open
  }

  static func find(_ number: Int32) throws(PosternError) -> OpenDescriptor {
    guard let open = table?.withLock({ $0[number] }) else { throw badDescriptor }
    return open
  }

  static var badDescriptor: PosternError {
    .usage(errno: SystemError.badDescriptor, text: "not a descriptor of postern_open")
  }

  static var badAddress: PosternError { .usage(errno: SystemError.badAddress, text: "NULL") }

  static func invalid(_ text: String) -> PosternError { .usage(errno: SystemError.invalidArgument, text: text) }

  /// The body of a C function: its result, or -errno with the reason noted for the thread.
  static func result<Number: SignedInteger>(_ body: () throws(PosternError) -> Number) -> Number {
    do {
      return try body()
    } catch {
      LastRefusal.set(error.refusal)
      return Number(-error.errno)
    }
  }

  /// The same for a call on a descriptor.
  static func call<Number: SignedInteger>(
    _ number: Int32, _ body: (any OpenedObject) throws(PosternError) -> Number
  ) -> Number {
    result { () throws(PosternError) in try body(try find(number).object) }
  }

  /// The caller's bytes to be read.
  static func bytes(_ pointer: UnsafeRawPointer?, _ count: Int) throws(PosternError) -> UnsafeRawBufferPointer {
    guard count >= 0 else { throw invalid("a size is negative") }
    // SAFETY: postern.h asks of the caller that `count` bytes are valid during its call; NULL is taken for none only.
    guard unsafe pointer != nil || count == 0 else { throw badAddress }
    return unsafe UnsafeRawBufferPointer(start: pointer, count: count)
  }

  /// The caller's memory to be written.
  static func memory(
    _ pointer: UnsafeMutableRawPointer?, _ count: Int
  ) throws(PosternError) -> UnsafeMutableRawBufferPointer {
    guard count >= 0 else { throw invalid("a size is negative") }
    // SAFETY: as above, and that nothing else uses them during the call.
    guard unsafe pointer != nil || count == 0 else { throw badAddress }
    return unsafe UnsafeMutableRawBufferPointer(start: pointer, count: count)
  }

  static func offset(_ offset: Int) throws(PosternError) -> UInt64 {
    guard let offset = UInt64(exactly: offset) else { throw invalid("an offset is negative") }
    return offset
  }
}

/// An object, and where the answers of what was submitted go.
final class OpenDescriptor: Sendable {
  /// The caller's memory for one submitted instruction.
  struct Destination: Sendable {
    var userData: UInt64
    /// 0: none.
    var address: UInt
    var count: Int
  }

  struct Destinations: Sendable {
    var next: UInt64 = 0
    var waiting: [UInt64: Destination] = [:]
  }

  let object: any OpenedObject
  let destinations: ForkSafeLock<Destinations>

  init(_ object: any OpenedObject) throws(PosternError) {
    self.object = object
    do { destinations = try ForkSafeLock(Destinations()) } catch { throw .failed(errno: error.errno, text: "") }
  }
}
