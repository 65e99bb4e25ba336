import CLinux
import Glibc

extension BusDevice {
  /// Checks by asking it that this is an adapter whose messages are free.
  ///
  /// - Throws: ENOTTY where it is no adapter, EOPNOTSUPP where it only knows SMBus commands.
  public func requireI2C() throws(SystemError) {
    var functions: UInt = 0
    // SAFETY: the request writes one unsigned long.
    _ = try unsafe control(UInt32(I2C_FUNCS), &functions)
    guard functions & UInt(I2C_FUNC_I2C) != 0 else {
      throw SystemError(errno: EOPNOTSUPP, operation: "ioctl(I2C_FUNCS)", path: path)
    }
  }

  /// Checks by asking it that this is a hidraw device; ENOTTY or EINVAL otherwise.
  public func requireHID() throws(SystemError) {
    var information = [UInt8](repeating: 0, count: Int(CLINUX_HID_INFO_SIZE))
    // SAFETY: the array has the size of the structure.
    _ = try unsafe control(clinux_hid_info, &information)
  }

  /// Checks by asking it that this is a device of usbfs; ENOTTY or EINVAL otherwise.
  public func requireUSB() throws(SystemError) {
    var capabilities: UInt32 = 0
    // SAFETY: the request writes 32 bits.
    _ = try unsafe control(clinux_usb_capabilities, &capabilities)
  }
}
