import CLinux
import Glibc

extension BusDevice {
  /// Sets mode (0-3), clock in Hz and bits per word; ENOTTY or EINVAL where the device does not take them.
  public func spiConfigure(mode: UInt8, speed: UInt32, bits: UInt8) throws(SystemError) {
    var mode = mode
    var speed = speed
    var bits = bits
    // SAFETY: spidev.h says one byte for the first two and four for the third; each is valid during its call.
    _ = try unsafe control(clinux_spi_wr_mode, &mode)
    _ = try unsafe control(clinux_spi_wr_bits, &bits)
    _ = try unsafe control(clinux_spi_wr_speed, &speed)
  }

  /// One chip select in both directions at once.
  ///
  /// - Returns: as many bytes as went out.
  /// - Throws: EINVAL if there is nothing to send, EMSGSIZE where it is more than the driver's buffer (4,096 bytes unless
  ///   spidev was told otherwise).
  public func spiExchange(_ outgoing: [UInt8]) throws(SystemError) -> [UInt8] {
    let total = outgoing.count
    guard total > 0 else { throw SystemError(errno: EINVAL, operation: "ioctl(SPI_IOC_MESSAGE)", path: path) }
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 * total, alignment: 8)
    defer { unsafe memory.deallocate() }
    // SAFETY: the first half goes out, the second half takes what comes in; both outlive the call.
    unsafe memory.initializeMemory(as: UInt8.self, repeating: 0)
    unsafe memory.copyBytes(from: outgoing)
    var transfer = spi_ioc_transfer()
    let out = UInt(bitPattern: memory.baseAddress)
    transfer.tx_buf = UInt64(out)
    transfer.rx_buf = UInt64(out + UInt(total))
    transfer.len = UInt32(total)
    _ = try unsafe control(clinux_spi_message, &transfer)
    return unsafe Array(memory[total...])
  }
}
