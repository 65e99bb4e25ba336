import CLinux
import Glibc

/// A tty's settings: `struct termios2` as bytes, because its name clashes with the C library's.
public struct TerminalSettings: Sendable, Hashable {
  fileprivate var bytes: [UInt8]

  public enum Parity: Sendable, Hashable {
    case none
    case even
    case odd
  }

  private var description: clinux_tty_line {
    var line = clinux_tty_line()
    // SAFETY: `bytes` has the size of the structure.
    unsafe clinux_tty_describe(bytes, &line)
    return line
  }

  /// Bits per second, of the output.
  public var baud: UInt32 { description.baud_out }
  public var stopBits: UInt8 { UInt8(description.stop_bits) }
  public var dataBits: UInt8 { UInt8(description.data_bits) }
  /// Neither lines, echo, signals nor translated bytes.
  public var isRaw: Bool { description.raw != 0 }
  public var parity: Parity {
    switch description.parity {
    case CLINUX_PARITY_EVEN: .even
    case CLINUX_PARITY_ODD: .odd
    default: .none
    }
  }

  /// The same tty as a raw line of 8 data bits with that speed, parity and number of stop bits.
  public func raw(baud: UInt32, parity: Parity, stopBits: UInt8) -> TerminalSettings {
    var copy = self
    let code =
      switch parity {
      case .none: CLINUX_PARITY_NONE
      case .even: CLINUX_PARITY_EVEN
      case .odd: CLINUX_PARITY_ODD
      }
    // SAFETY: `bytes` has the size of the structure.
    unsafe clinux_tty_raw(&copy.bytes, baud, code, UInt32(stopBits))
    return copy
  }
}

extension BusDevice {
  /// TCGETS2; ENOTTY where this is no tty.
  public func terminalSettings() throws(SystemError) -> TerminalSettings {
    var bytes = [UInt8](repeating: 0, count: Int(CLINUX_TERMIOS2_SIZE))
    // SAFETY: the array has the size of the structure.
    _ = try unsafe control(clinux_tty_get, &bytes)
    return TerminalSettings(bytes: bytes)
  }

  /// TCSETS2, which does not wait for output. A driver takes what it can: read back what it took.
  public func setTerminalSettings(_ settings: TerminalSettings) throws(SystemError) {
    var bytes = settings.bytes
    // SAFETY: the array has the size of the structure.
    _ = try unsafe control(clinux_tty_set, &bytes)
  }

  /// TIOCINQ: bytes that wait to be read.
  public func bytesWaiting() throws(SystemError) -> Int {
    var count: Int32 = 0
    // SAFETY: the request writes one int.
    _ = try unsafe control(UInt32(FIONREAD), &count)
    return Int(count)
  }

  /// Whether this is the slave of a pseudoterminal: it has no wire, and the kernel keeps its parity off.
  public var isPseudoterminal: Bool {
    guard identity.inode == 0 else { return false }
    // Documentation/admin-guide/devices.txt: majors 136-143 are Unix98 slaves.
    return 136...143 ~= clinux_device_major(identity.device)
  }

  /// Appends what arrives until `limit` bytes are there, the time is over or the line hangs up.
  ///
  /// - Parameters:
  ///   - limit: `output` has room for so many.
  ///   - isOver: asked ten times a second at least; true ends the wait early.
  /// - Returns: how many were appended, perhaps 0. An error after some bytes counts as the end.
  public func readArriving(
    upTo limit: Int, within nanoseconds: UInt64, until isOver: () -> Bool = { false },
    into output: inout OutputRawSpan
  ) throws(SystemError) -> Int {
    let deadline = Clock.monotonic() + nanoseconds
    var total = 0
    while total < limit {
      do throws(SystemError) {
        if let count = try read(upTo: limit - total, into: &output) {
          if count == 0 { return total }
          total += count
          continue
        }
        let now = Clock.monotonic()
        guard now < deadline, !isOver() else { return total }
        let left = min((deadline - now + 999_999) / 1_000_000, 100)
        _ = try waitReadable(milliseconds: Int32(left))
      } catch {
        guard total > 0 else { throw error }
        return total
      }
    }
    return total
  }
}

/// Both ends of a new pseudoterminal.
public struct Pseudoterminal: Sendable {
  public let master: BusDevice
  /// Open so that its settings stay.
  public let slave: BusDevice
  public let slavePath: String

  public init() throws(SystemError) {
    var master: Int32 = -1
    var slave: Int32 = -1
    var path = [CChar](repeating: 0, count: 64)
    // SAFETY: all are valid during the call, and the capacity is the array's.
    _ = try retrying("posix_openpt") { unsafe Int(clinux_pty(&master, &slave, &path, path.count)) }
    slavePath = String(decoding: path.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    let slaveEnd = Descriptor(adopting: slave)
    self.master = try BusDevice(adopting: Descriptor(adopting: master), path: "/dev/ptmx")
    self.slave = try BusDevice(adopting: slaveEnd, path: slavePath)
  }
}
