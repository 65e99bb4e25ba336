import CLinux
import Glibc

extension BusDevice {
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
