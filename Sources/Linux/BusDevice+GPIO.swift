import CLinux
import Glibc

/// One edge, as `struct gpio_v2_line_event` tells it.
public struct GPIOEvent: Sendable, Hashable {
  /// CLOCK_MONOTONIC
  public var nanoseconds: UInt64
  /// On the chip.
  public var line: UInt32
  public var isRising: Bool
  /// Of all lines of the request, from 1; a gap shows lost events.
  public var sequence: UInt32
  /// Of this line, from 1.
  public var lineSequence: UInt32

  public init(nanoseconds: UInt64, line: UInt32, isRising: Bool, sequence: UInt32, lineSequence: UInt32) {
    self.nanoseconds = nanoseconds
    self.line = line
    self.isRising = isRising
    self.sequence = sequence
    self.lineSequence = lineSequence
  }
}

extension BusDevice {
  /// Lines that one request can hold.
  public static let gpioLineLimit = Int(GPIO_V2_LINES_MAX)

  /// Takes lines of a chip; they are free again when the result is gone.
  ///
  /// - Parameters:
  ///   - lines: 1 to 64 different ones; EINVAL otherwise, EBUSY where somebody has one.
  ///   - outputs: bit N: `lines[N]` becomes an output that keeps the value it has. The others become inputs.
  ///   - rising, falling: which edges of the inputs become events.
  public func gpioLines(_ lines: [UInt32], outputs: UInt64, rising: Bool, falling: Bool) throws(SystemError)
    -> BusDevice
  {
    guard !lines.isEmpty, lines.count <= Self.gpioLineLimit, Set(lines).count == lines.count else {
      throw SystemError(errno: EINVAL, operation: "ioctl(GPIO_V2_GET_LINE)", path: path)
    }
    var request = gpio_v2_line_request()
    // SAFETY: the count was checked against the structure's; all are valid during the call.
    unsafe clinux_gpio_request(&request, lines, UInt32(lines.count), "postern")
    _ = try unsafe control(clinux_gpio_get_line, &request)
    let taken = try BusDevice(adopting: request.fd, from: self)

    // The lines were taken as they are, so that an output goes on with its value instead of dropping to 0.
    let values = outputs == 0 ? 0 : try taken.gpioValues(count: lines.count)
    var edges: UInt64 = 0
    if rising { edges |= UInt64(GPIO_V2_LINE_FLAG_EDGE_RISING.rawValue) }
    if falling { edges |= UInt64(GPIO_V2_LINE_FLAG_EDGE_FALLING.rawValue) }
    var configuration = gpio_v2_line_config()
    unsafe clinux_gpio_config(&configuration, edges, outputs, values & outputs)
    // SAFETY: the structure of the request is valid during the call.
    _ = try unsafe taken.control(clinux_gpio_set_config, &configuration)
    return taken
  }

  /// The values of the `count` lines of this request; bit N is the Nth line's.
  public func gpioValues(count: Int) throws(SystemError) -> UInt64 {
    var values = gpio_v2_line_values()
    values.mask = count >= 64 ? .max : 1 << UInt64(count) - 1
    // SAFETY: the structure of the request is valid during the call.
    _ = try unsafe control(clinux_gpio_get_values, &values)
    return values.bits & values.mask
  }

  /// Sets the lines in `mask`, which are outputs (EPERM otherwise), at once.
  public func setGPIOValues(_ bits: UInt64, mask: UInt64) throws(SystemError) {
    var values = gpio_v2_line_values()
    values.bits = bits
    values.mask = mask
    // SAFETY: the structure of the request is valid during the call.
    _ = try unsafe control(clinux_gpio_set_values, &values)
  }

  /// The oldest edge event that waits, or nil.
  public func nextGPIOEvent() throws(SystemError) -> GPIOEvent? {
    var event = gpio_v2_line_event()
    let size = MemoryLayout<gpio_v2_line_event>.size
    // SAFETY: the buffer is the structure, which any bytes make valid.
    let count = try unsafe withUnsafeMutableBytes(of: &event) { (buffer) throws(SystemError) in
      try unsafe readNow(buffer)
    }
    guard let count else { return nil }
    guard count == size else { throw SystemError(errno: EIO, operation: "read", path: path) }
    return GPIOEvent(
      nanoseconds: event.timestamp_ns, line: event.offset,
      isRising: event.id == UInt32(GPIO_V2_LINE_EVENT_RISING_EDGE.rawValue), sequence: event.seqno,
      lineSequence: event.line_seqno)
  }
}
