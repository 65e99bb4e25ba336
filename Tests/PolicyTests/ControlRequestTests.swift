import Authority
import Policy
import Testing

/// Expected numbers as the C compiler gives them for <linux/hidraw.h>, <linux/usbdevice_fs.h> and <asm/ioctls.h>.
@Suite struct ControlRequestTests {
  /// A request stands in a policy under its name and its number alike where Postern passes it on, and under neither
  /// where it does not.
  private func check(_ expected: [(String, UInt32)], _ bus: String, passedOn: Set<String>) throws {
    for (name, number) in expected {
      for text in [name, "0x\(String(number, radix: 16))", "\(number)"] {
        let policy = "version: 1\nobjects:\n  a: { kind: bus, \(bus), ioctls: [\(text)] }\n"
        guard passedOn.contains(name) else {
          #expect(lines(policy).first?.contains("is no ioctl request that Postern passes on") == true, "\(text)")
          continue
        }
        guard case .bus(let found) = try #require(model(policy).objects.first).specification else { continue }
        #expect(found.ioctls == [ControlRequest(name: name, request: number)], "\(text)")
      }
    }
  }

  @Test func `hid requests have the kernel's numbers`() throws {
    let expected: [(String, UInt32)] = [
      ("HIDIOCGRDESCSIZE", 0x80044801),
      ("HIDIOCGRDESC", 0x90044802),
      ("HIDIOCGRAWINFO", 0x80084803),
      ("HIDIOCGRAWNAME(64)", 0x80404804),
      ("HIDIOCGRAWPHYS(64)", 0x80404805),
      ("HIDIOCSFEATURE(64)", 0xc0404806),
      ("HIDIOCGFEATURE(64)", 0xc0404807),
      ("HIDIOCGRAWUNIQ(64)", 0x80404808),
      ("HIDIOCSINPUT(64)", 0xc0404809),
      ("HIDIOCGINPUT(64)", 0xc040480a),
      ("HIDIOCSOUTPUT(64)", 0xc040480b),
      ("HIDIOCGOUTPUT(64)", 0xc040480c),
      ("HIDIOCREVOKE", 0x4004480d),
    ]
    try check(expected, "bus: hid, path: /dev/hidraw0", passedOn: Set(expected.map(\.0)).subtracting(["HIDIOCREVOKE"]))
  }

  @Test func `usb requests have the kernel's numbers`() throws {
    let expected: [(String, UInt32)] = [
      ("USBDEVFS_CONTROL", 0xc0185500),
      ("USBDEVFS_BULK", 0xc0185502),
      ("USBDEVFS_RESETEP", 0x80045503),
      ("USBDEVFS_SETINTERFACE", 0x80085504),
      ("USBDEVFS_SETCONFIGURATION", 0x80045505),
      ("USBDEVFS_GETDRIVER", 0x41045508),
      ("USBDEVFS_SUBMITURB", 0x8038550a),
      ("USBDEVFS_DISCARDURB", 0x550b),
      ("USBDEVFS_REAPURB", 0x4008550c),
      ("USBDEVFS_REAPURBNDELAY", 0x4008550d),
      ("USBDEVFS_DISCSIGNAL", 0x8010550e),
      ("USBDEVFS_CLAIMINTERFACE", 0x8004550f),
      ("USBDEVFS_RELEASEINTERFACE", 0x80045510),
      ("USBDEVFS_CONNECTINFO", 0x40085511),
      ("USBDEVFS_IOCTL", 0xc0105512),
      ("USBDEVFS_HUB_PORTINFO", 0x80805513),
      ("USBDEVFS_RESET", 0x5514),
      ("USBDEVFS_CLEAR_HALT", 0x80045515),
      ("USBDEVFS_DISCONNECT", 0x5516),
      ("USBDEVFS_CONNECT", 0x5517),
      ("USBDEVFS_CLAIM_PORT", 0x80045518),
      ("USBDEVFS_RELEASE_PORT", 0x80045519),
      ("USBDEVFS_GET_CAPABILITIES", 0x8004551a),
      ("USBDEVFS_DISCONNECT_CLAIM", 0x8108551b),
      ("USBDEVFS_ALLOC_STREAMS", 0x8008551c),
      ("USBDEVFS_FREE_STREAMS", 0x8008551d),
      ("USBDEVFS_DROP_PRIVILEGES", 0x4004551e),
      ("USBDEVFS_GET_SPEED", 0x551f),
    ]
    try check(
      expected, "bus: usb, path: /dev/bus/usb/001/001",
      passedOn: [
        "USBDEVFS_CONTROL", "USBDEVFS_BULK", "USBDEVFS_RESETEP", "USBDEVFS_SETINTERFACE", "USBDEVFS_SETCONFIGURATION",
        "USBDEVFS_GETDRIVER", "USBDEVFS_CLAIMINTERFACE", "USBDEVFS_RELEASEINTERFACE", "USBDEVFS_CONNECTINFO",
        "USBDEVFS_RESET", "USBDEVFS_CLEAR_HALT", "USBDEVFS_GET_CAPABILITIES", "USBDEVFS_GET_SPEED",
      ])
  }

  @Test func `serial requests have the kernel's numbers`() throws {
    let expected: [(String, UInt32)] = [
      ("TCGETS", 0x5401),
      ("TCGETS2", 0x802c542a),
      ("TIOCSTI", 0x5412),
      ("TCSETS", 0x5402),
      ("TCSETSW", 0x5403),
      ("TCSETSF", 0x5404),
      ("TCSBRK", 0x5409),
      ("TCXONC", 0x540a),
      ("TCFLSH", 0x540b),
      ("TIOCEXCL", 0x540c),
      ("TIOCNXCL", 0x540d),
      ("TIOCOUTQ", 0x5411),
      ("TIOCMGET", 0x5415),
      ("TIOCMBIS", 0x5416),
      ("TIOCMBIC", 0x5417),
      ("TIOCMSET", 0x5418),
      ("FIONREAD", 0x541b),
      ("TIOCGSERIAL", 0x541e),
      ("TCSBRKP", 0x5425),
      ("TIOCSBRK", 0x5427),
      ("TIOCCBRK", 0x5428),
      ("TIOCMIWAIT", 0x545c),
      ("TIOCGICOUNT", 0x545d),
    ]
    try check(
      expected, "bus: serial, path: /dev/ttyS0, baud: 9600",
      passedOn: [
        "TCGETS2", "TCFLSH", "TIOCOUTQ", "TIOCMGET", "TIOCMBIS", "TIOCMBIC", "TIOCMSET", "FIONREAD", "TIOCSBRK",
        "TIOCCBRK", "TIOCGICOUNT",
      ])
  }
}
