import Authority

/// ioctl requests by the names of their constants (linux/hidraw.h, linux/usbdevice_fs.h, asm-generic/ioctls.h), 64-bit.
enum ControlRequestNames {
  enum Bus { case hid, usb, serial }

  /// `HIDIOCGRDESC`, or `HIDIOCSFEATURE(64)` where the constant takes a length.
  static func request(named name: String, on bus: Bus) -> ControlRequest? {
    if let plain = plain(bus).first(where: { $0.key == name }) {
      return ControlRequest(name: name, request: plain.value)
    }
    guard bus == .hid, name.hasSuffix(")"), let open = name.firstIndex(of: "(") else { return nil }
    let inner = name[name.index(after: open)...].dropLast()
    guard let entry = sized.first(where: { $0.key == name[..<open] }),
      case .value(let length) = wholeNumber(String(inner)),
      (1...0x3FFF).contains(length)
    else { return nil }
    return ControlRequest(name: name, request: encode(entry.value.direction, "H", entry.value.number, UInt32(length)))
  }

  static func names(on bus: Bus) -> [String] {
    plain(bus).map(\.key) + (bus == .hid ? sized.map { "\($0.key)(N)" } : [])
  }

  private static func plain(_ bus: Bus) -> KeyValuePairs<String, UInt32> {
    switch bus {
    case .hid: hid
    case .usb: usb
    case .serial: serial
    }
  }

  private enum Direction: UInt32 { case none = 0, write = 1, read = 2, both = 3 }

  /// _IOC of asm-generic/ioctl.h.
  private static func encode(_ direction: Direction, _ type: Unicode.Scalar, _ number: UInt32, _ size: UInt32) -> UInt32
  {
    direction.rawValue << 30 | size << 16 | type.value << 8 | number
  }

  private static let hid: KeyValuePairs<String, UInt32> = [
    "HIDIOCGRDESCSIZE": encode(.read, "H", 0x01, 4),
    // struct hidraw_report_descriptor: a length and HID_MAX_DESCRIPTOR_SIZE bytes
    "HIDIOCGRDESC": encode(.read, "H", 0x02, 4 + 4096),
    "HIDIOCGRAWINFO": encode(.read, "H", 0x03, 8),
    "HIDIOCREVOKE": encode(.write, "H", 0x0D, 4),
  ]

  private static let sized: KeyValuePairs<String, (direction: Direction, number: UInt32)> = [
    "HIDIOCGRAWNAME": (.read, 0x04), "HIDIOCGRAWPHYS": (.read, 0x05), "HIDIOCSFEATURE": (.both, 0x06),
    "HIDIOCGFEATURE": (.both, 0x07), "HIDIOCGRAWUNIQ": (.read, 0x08), "HIDIOCSINPUT": (.both, 0x09),
    "HIDIOCGINPUT": (.both, 0x0A), "HIDIOCSOUTPUT": (.both, 0x0B), "HIDIOCGOUTPUT": (.both, 0x0C),
  ]

  private static let usb: KeyValuePairs<String, UInt32> = [
    "USBDEVFS_CONTROL": encode(.both, "U", 0, 24), "USBDEVFS_BULK": encode(.both, "U", 2, 24),
    "USBDEVFS_RESETEP": encode(.read, "U", 3, 4), "USBDEVFS_SETINTERFACE": encode(.read, "U", 4, 8),
    "USBDEVFS_SETCONFIGURATION": encode(.read, "U", 5, 4), "USBDEVFS_GETDRIVER": encode(.write, "U", 8, 260),
    "USBDEVFS_SUBMITURB": encode(.read, "U", 10, 56), "USBDEVFS_DISCARDURB": encode(.none, "U", 11, 0),
    "USBDEVFS_REAPURB": encode(.write, "U", 12, 8), "USBDEVFS_REAPURBNDELAY": encode(.write, "U", 13, 8),
    "USBDEVFS_DISCSIGNAL": encode(.read, "U", 14, 16), "USBDEVFS_CLAIMINTERFACE": encode(.read, "U", 15, 4),
    "USBDEVFS_RELEASEINTERFACE": encode(.read, "U", 16, 4), "USBDEVFS_CONNECTINFO": encode(.write, "U", 17, 8),
    "USBDEVFS_IOCTL": encode(.both, "U", 18, 16), "USBDEVFS_HUB_PORTINFO": encode(.read, "U", 19, 128),
    "USBDEVFS_RESET": encode(.none, "U", 20, 0), "USBDEVFS_CLEAR_HALT": encode(.read, "U", 21, 4),
    "USBDEVFS_DISCONNECT": encode(.none, "U", 22, 0), "USBDEVFS_CONNECT": encode(.none, "U", 23, 0),
    "USBDEVFS_CLAIM_PORT": encode(.read, "U", 24, 4), "USBDEVFS_RELEASE_PORT": encode(.read, "U", 25, 4),
    "USBDEVFS_GET_CAPABILITIES": encode(.read, "U", 26, 4),
    "USBDEVFS_DISCONNECT_CLAIM": encode(.read, "U", 27, 264), "USBDEVFS_ALLOC_STREAMS": encode(.read, "U", 28, 8),
    "USBDEVFS_FREE_STREAMS": encode(.read, "U", 29, 8), "USBDEVFS_DROP_PRIVILEGES": encode(.write, "U", 30, 4),
    "USBDEVFS_GET_SPEED": encode(.none, "U", 31, 0),
  ]

  private static let serial: KeyValuePairs<String, UInt32> = [
    "TCGETS": 0x5401, "TCSETS": 0x5402, "TCSETSW": 0x5403, "TCSETSF": 0x5404, "TCSBRK": 0x5409, "TCXONC": 0x540A,
    "TCFLSH": 0x540B, "TIOCEXCL": 0x540C, "TIOCNXCL": 0x540D, "TIOCOUTQ": 0x5411, "TIOCMGET": 0x5415,
    "TIOCMBIS": 0x5416, "TIOCMBIC": 0x5417, "TIOCMSET": 0x5418, "TIOCINQ": 0x541B, "FIONREAD": 0x541B,
    "TIOCGSERIAL": 0x541E, "TCSBRKP": 0x5425, "TIOCSBRK": 0x5427, "TIOCCBRK": 0x5428, "TIOCMIWAIT": 0x545C,
    "TIOCGICOUNT": 0x545D,
  ]
}
