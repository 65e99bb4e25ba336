import CLinux
import Glibc

extension BusDevice {
  /// Bytes that drivers/i2c/i2c-dev.c allows in one message.
  public static let i2cMessageLimit = 8192

  /// One transaction: a write, then after a repeated START a read; an empty part is left out.
  ///
  /// Both empty: only the address is sent, which tells whether the chip acknowledges (ENXIO or EREMOTEIO: it does not).
  ///
  /// - Parameters:
  ///   - address: of the slave; above 0x7f a ten bit one.
  ///   - count: bytes to be read; `output` has room for them, else EINVAL. Nothing is appended on an error.
  public func i2cTransfer(address: UInt16, write: RawSpan, read count: Int, into output: inout OutputRawSpan)
    throws(SystemError)
  {
    let limit = Self.i2cMessageLimit
    guard write.byteCount <= limit, 0...limit ~= count, count <= output.freeCapacity else {
      throw SystemError(errno: EINVAL, operation: "ioctl(I2C_RDWR)", path: path)
    }
    let flags = address > 0x7f ? UInt16(I2C_M_TEN) : 0
    let messages = UnsafeMutablePointer<i2c_msg>.allocate(capacity: 2)
    defer { unsafe messages.deallocate() }
    try unsafe output.withUnsafeMutableBytes { (buffer, filled) throws(SystemError) -> Void in
      let end = filled
      try unsafe write.withUnsafeBytes { (bytes) throws(SystemError) -> Void in
        // SAFETY: both buffers and the messages outlive the call; the incoming buffer has `count` free bytes behind
        // `end`; the kernel only reads what a message without I2C_M_RD points to.
        let from = unsafe UnsafeMutableRawPointer(mutating: bytes.baseAddress)?.assumingMemoryBound(to: UInt8.self)
        let to = unsafe buffer.baseAddress?.advanced(by: end).assumingMemoryBound(to: UInt8.self)
        var used = 0
        if bytes.count > 0 || count == 0 {
          unsafe messages[used] = i2c_msg(addr: address, flags: flags, len: UInt16(bytes.count), buf: from)
          used += 1
        }
        if count > 0 {
          unsafe messages[used] = i2c_msg(addr: address, flags: flags | UInt16(I2C_M_RD), len: UInt16(count), buf: to)
          used += 1
        }
        var data = unsafe i2c_rdwr_ioctl_data(msgs: messages, nmsgs: UInt32(used))
        _ = try unsafe control(UInt32(I2C_RDWR), &data)
      }
      filled = end + count
    }
  }
  /// What the adapter can do.
  ///
  /// - Throws: ENOTTY where this is no adapter.
  public func i2cFunctions() throws(SystemError) -> I2CFunctions {
    var functions: UInt = 0
    // SAFETY: the request writes one unsigned long.
    _ = try unsafe control(UInt32(I2C_FUNCS), &functions)
    return I2CFunctions(rawValue: functions)
  }

  /// Makes SMBus commands of this open file go to a slave.
  ///
  /// - Throws: EBUSY where a driver of the kernel serves it, EINVAL for an address of ten bits.
  public func i2cSelect(address: UInt16) throws(SystemError) {
    // SAFETY: the request takes a number; it is never followed.
    _ = try unsafe control(UInt32(I2C_SLAVE), UnsafeMutableRawPointer(bitPattern: UInt(address)))
  }

  /// `i2cTransfer` by one SMBus command, to the slave that was selected.
  ///
  /// - Parameter functions: the adapter's.
  /// - Throws: EOPNOTSUPP where the adapter has no command that is this transfer.
  public func smbusTransfer(
    write: RawSpan, read count: Int, functions: I2CFunctions, into output: inout OutputRawSpan
  ) throws(SystemError) {
    guard 0...output.freeCapacity ~= count else {
      throw SystemError(errno: EINVAL, operation: "ioctl(I2C_SMBUS)", path: path)
    }
    guard let command = SMBusCommand(write: write.copiedBytes, read: count, functions: functions) else {
      throw SystemError(errno: EOPNOTSUPP, operation: "ioctl(I2C_SMBUS)", path: path)
    }
    var data = i2c_smbus_data()
    unsafe withUnsafeMutableBytes(of: &data) { buffer in unsafe buffer.copyBytes(from: command.data) }
    try unsafe withUnsafeMutablePointer(to: &data) { (pointer) throws(SystemError) -> Void in
      var request = unsafe i2c_smbus_ioctl_data(
        read_write: UInt8(command.isRead ? I2C_SMBUS_READ : I2C_SMBUS_WRITE), command: command.command,
        size: command.size, data: pointer)
      // SAFETY: both structures outlive the call; the union has room for the longest block.
      _ = try unsafe control(UInt32(I2C_SMBUS), &request)
    }
    // A block says how many bytes came.
    if command.incoming.lowerBound == 1, unsafe Int(data.byte) != count {
      throw SystemError(errno: EIO, operation: "ioctl(I2C_SMBUS)", path: path)
    }
    unsafe withUnsafeBytes(of: data) { buffer in
      // SAFETY: the range is within the union.
      for index in command.incoming { unsafe output.append(buffer[index]) }
    }
  }
}
