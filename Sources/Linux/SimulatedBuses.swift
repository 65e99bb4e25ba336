import CLinux
import Glibc
import KernelEntity
import Synchronization

/// The bus devices of the simulated kernel (`kmodule-sim/devices`): one of each, with state that outlives every client.
///
/// Thread-safe. Open files keep it alive.
public final class SimulatedBuses: Sendable {
  /// What can be opened, by the numbers of `postern_devices.h`.
  public enum Node: UInt32, Sendable, Hashable, CaseIterable {
    case i2c = 0
    case spi = 1
    case gpio = 2
    case uartA = 3
    case uartB = 4
  }

  /// Slave addresses on the simulated two-wire adapter.
  public static let registersAddress = UInt16(POSTERN_I2C_REGISTERS)
  public static let temperatureSensorAddress = UInt16(POSTERN_I2C_LM75)
  public static let eepromAddress = UInt16(POSTERN_I2C_EEPROM)
  public static let gpioLines = UInt32(POSTERN_GPIO_LINES)

  private struct Watch {
    var file: Int32
    /// eventfd; its counter is 1 while the file is readable, else 0.
    var event: Int32
    var isSignalled: Bool
  }

  @safe
  private struct State: ~Copyable {
    // SAFETY: both are private to this type, which owns the memory for its whole life.
    let devices: OpaquePointer
    let memory: UnsafeMutableRawPointer
    var watches: [Watch] = []

    init() {
      let size = postern_devices_size()
      // SAFETY: freed in deinit; the devices ask for the alignment of a 64 bit integer.
      unsafe memory = .allocate(byteCount: size, alignment: MemoryLayout<UInt64>.alignment)
      unsafe devices = OpaquePointer(memory)
      unsafe postern_devices_init(devices)
    }

    deinit {
      // SAFETY: allocated in init; nobody else has the pointer.
      unsafe memory.deallocate()
    }

    /// Makes every watch's eventfd say what its file's poll says.
    mutating func signal() {
      for index in watches.indices {
        // SAFETY: the devices live as long as this value.
        let poll = unsafe postern_device_poll(devices, watches[index].file)
        let isReadable = poll & UInt32(POSTERN_POLL_READABLE) != 0
        guard isReadable != watches[index].isSignalled else { continue }
        if isReadable {
          eventfd_write(watches[index].event, 1)
        } else {
          var counter: eventfd_t = 0
          // SAFETY: eight bytes are written to eight bytes.
          unsafe eventfd_read(watches[index].event, &counter)
        }
        watches[index].isSignalled = isReadable
      }
    }
  }

  private let state: Mutex<State>
  private let now: @Sendable () -> UInt64

  /// Powers the devices on.
  ///
  /// - Parameter now: nanoseconds that never go backwards; by default CLOCK_MONOTONIC, which GPIO events carry.
  public init(now: @escaping @Sendable () -> UInt64 = Clock.monotonic) {
    state = Mutex(State())
    self.now = now
  }

  /// Sets what the temperature sensor measures; held within -55 ... 125 degrees.
  public func setTemperature(milliCelsius: Int32) {
    state.withLock { state in
      // SAFETY: the devices live as long as the state.
      unsafe postern_devices_set_temperature(state.devices, milliCelsius)
    }
  }

  func open(_ node: Node) throws(SystemError) -> SimulatedFile {
    let number = state.withLock { state in
      // SAFETY: the devices live as long as the state.
      unsafe postern_device_open(state.devices, postern_device(rawValue: node.rawValue))
    }
    try Self.check(Int(number), "open")
    return try adopt(number, watched: node == .uartA || node == .uartB)
  }

  /// Takes over an open file of the simulated kernel; it is closed on failure.
  func adopt(_ number: Int32, watched: Bool) throws(SystemError) -> SimulatedFile {
    guard watched else { return SimulatedFile(buses: self, number: number) }
    let event: EventDescriptor
    do throws(SystemError) {
      event = try EventDescriptor()
    } catch {
      close(number)
      throw error
    }
    let eventNumber = event.descriptor.rawValue
    state.withLock { state in
      state.watches.append(Watch(file: number, event: eventNumber, isSignalled: false))
      state.signal()
    }
    return SimulatedFile(buses: self, number: number, event: event)
  }

  fileprivate func close(_ number: Int32) {
    state.withLock { state in
      state.watches.removeAll { $0.file == number }
      // SAFETY: the devices live as long as the state.
      _ = unsafe postern_device_close(state.devices, number)
    }
  }

  /// One call into the simulated kernel, under its lock; the result is that of the system call.
  @unsafe
  fileprivate func call(_ operation: StaticString, _ body: (OpaquePointer, UInt64) -> Int) throws(SystemError) -> Int {
    let result = state.withLock { state in
      // SAFETY: the devices live as long as the state, whose lock is held.
      let result = unsafe body(state.devices, now())
      state.signal()
      return result
    }
    try Self.check(result, operation)
    return result
  }

  private static func check(_ result: Int, _ operation: StaticString) throws(SystemError) {
    if result < 0 { throw SystemError(errno: Int32(-result), operation: "\(operation)", path: "simulated") }
  }
}

/// An open file of the simulated kernel; closed at the end of its life.
struct SimulatedFile: ~Copyable, Sendable {
  let buses: SimulatedBuses
  let number: Int32
  /// An eventfd that is readable while the file is; nil where operations never wait.
  let readiness: Int32?
  private let event: EventDescriptor?

  init(buses: SimulatedBuses, number: Int32) {
    self.buses = buses
    self.number = number
    readiness = nil
    event = nil
  }

  init(buses: SimulatedBuses, number: Int32, event: consuming EventDescriptor) {
    self.buses = buses
    self.number = number
    readiness = event.descriptor.rawValue
    self.event = consume event
  }

  deinit {
    // Before the eventfd closes, or a watch would signal a reused number.
    buses.close(number)
  }

  /// - Parameter argument: what `request` says, embedded pointers included.
  @unsafe
  func control(_ request: UInt32, _ argument: UnsafeMutableRawPointer?) throws(SystemError) -> Int {
    let number = number
    return try unsafe buses.call("ioctl") { devices, now in
      // SAFETY: the caller gives what the request asks for; the devices are locked.
      unsafe postern_device_ioctl(devices, number, request, argument, now)
    }
  }

  @unsafe
  func read(into bytes: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int {
    let number = number
    return try unsafe buses.call("read") { devices, _ in
      // SAFETY: the buffer is valid during the call; the devices are locked.
      unsafe postern_device_read(devices, number, bytes.baseAddress, bytes.count)
    }
  }

  @unsafe
  func write(_ bytes: UnsafeRawBufferPointer) throws(SystemError) -> Int {
    let number = number
    return try unsafe buses.call("write") { devices, _ in
      // SAFETY: the buffer is valid during the call; the devices are locked.
      unsafe postern_device_write(devices, number, bytes.baseAddress, bytes.count)
    }
  }
}
