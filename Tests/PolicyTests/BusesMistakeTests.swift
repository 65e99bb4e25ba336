import Authority
import Policy
import Testing

@Suite struct BusesMistakeTests {
  @Test func `a bus needs its kind of bus`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: bus, path: /dev/i2c-1 }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:3: error: bus \"a\" needs the key \"bus\": i2c, spi, gpio, serial, pci, hid, usb, simulated"
      ])
  }

  @Test func `an unknown kind of bus names the nearest`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: bus, bus: i2s, path: /dev/i2c-1 }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:24: error: \"i2s\" is not known for bus; did you mean \"i2c\"?"
      ])
  }

  @Test func `every missing key of a bus is told`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: bus, bus: i2c }
        b: { kind: bus, bus: spi }
        c: { kind: bus, bus: gpio }
        d: { kind: bus, bus: serial }
        e: { kind: bus, bus: pci }
        f: { kind: bus, bus: hid }
        g: { kind: bus, bus: simulated }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:3: error: i2c bus \"a\" needs the key \"path\"",
        "p.yaml:3:3: error: i2c bus \"a\" needs the key \"address\"",
        "p.yaml:4:3: error: spi bus \"b\" needs the key \"path\"",
        "p.yaml:4:3: error: spi bus \"b\" needs the key \"speed\"",
        "p.yaml:5:3: error: gpio bus \"c\" needs the key \"path\"",
        "p.yaml:5:3: error: gpio bus \"c\" needs the key \"lines\"",
        "p.yaml:6:3: error: serial bus \"d\" needs the key \"path\"",
        "p.yaml:6:3: error: serial bus \"d\" needs the key \"baud\"",
        "p.yaml:7:3: error: pci bus \"e\" needs the key \"path\"",
        "p.yaml:7:3: error: pci bus \"e\" needs the key \"region\"",
        "p.yaml:8:3: error: hid bus \"f\" needs the key \"path\"",
        "p.yaml:9:3: error: simulated bus \"g\" needs the key \"device\"",
      ])
  }

  @Test func `an i2c address is from 8 to 119, never octal`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: bus, bus: i2c, path: /dev/i2c-1, address: 0x78 }
        b: { kind: bus, bus: i2c, path: /dev/i2c-1, address: 7 }
        c: { kind: bus, bus: i2c, path: /dev/i2c-1, address: 0110 }
        d: { kind: bus, bus: i2c, path: /dev/i2c-1, address: 0o17 }
        e: { kind: bus, bus: i2c, path: /dev/i2c-1, address: 72.0 }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:56: error: 0x78 is out of range for address; expected a number from 8 to 119",
        "p.yaml:4:56: error: 7 is out of range for address; expected a number from 8 to 119",
        "p.yaml:5:56: error: \"0110\" is ambiguous; expected a number from 8 to 119, decimal without a leading zero, or after 0x",
        "p.yaml:6:56: error: \"0o17\" is not a number; expected a number from 8 to 119",
        "p.yaml:7:56: error: \"72.0\" is not a number; expected a number from 8 to 119",
      ])
  }

  @Test func `spi settings are in range`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: bus, bus: spi, path: /dev/spidev0.0, mode: 4, speed: 0, bits: 33 }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:57: error: 4 is out of range for mode; expected a number from 0 to 3",
        "p.yaml:3:67: error: 0 is out of range for speed; expected a number from 1 to 4294967295",
        "p.yaml:3:76: error: 33 is out of range for bits; expected a number from 1 to 32",
      ])
  }

  @Test func `gpio lines are a list of different numbers, an output has no edges`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: bus, bus: gpio, path: /dev/gpiochip0, lines: [4, 4] }
        b: { kind: bus, bus: gpio, path: /dev/gpiochip0, lines: 4 }
        c: { kind: bus, bus: gpio, path: /dev/gpiochip0, lines: [] }
        d: { kind: bus, bus: gpio, path: /dev/gpiochip0, lines: [1], direction: out, edge: both }
        e: { kind: bus, bus: gpio, path: /dev/gpiochip0, lines: [x] }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:63: error: line 4 stands twice",
        "p.yaml:4:59: error: a single value stands here; expected a list of line numbers such as [4, 17]",
        "p.yaml:5:59: error: the list of lines is empty; expected at least one",
        "p.yaml:6:80: error: an output has no edges; expected direction: in or edge: none",
        "p.yaml:7:60: error: \"x\" is not a number; expected a number from 0 to 65535",
      ])
  }

  @Test func `a serial speed is one that termios has`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: bus, bus: serial, path: /dev/ttyS0, baud: 9601, parity: mark, stop-bits: 3 }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:56: error: 9601 is no line speed that termios(3) has; expected for example 9600 or 115200",
        "p.yaml:3:70: error: \"mark\" is not known for parity; expected one of: none, even, odd",
        "p.yaml:3:87: error: 3 is out of range for stop-bits; expected a number from 1 to 2",
      ])
  }

  @Test func `a pci address has domain, bus, device and function`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: bus, bus: pci, path: "00:04.0", region: bar6 }
        b: { kind: bus, bus: pci, path: "0000:00:20.0", region: config }
        c: { kind: bus, bus: pci, path: "0000:00:04.8", region: config }
        d: { kind: bus, bus: pci, path: /dev/x, region: config }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:35: error: \"00:04.0\" is no PCI address; expected a PCI address such as \"0000:00:04.0\", lower-case hexadecimal",
        "p.yaml:3:54: error: \"bar6\" is not known for region; did you mean \"bar0\"?",
        "p.yaml:4:35: error: \"0000:00:20.0\" is no PCI address; expected a PCI address such as \"0000:00:04.0\", lower-case hexadecimal",
        "p.yaml:5:35: error: \"0000:00:04.8\" is no PCI address; expected a PCI address such as \"0000:00:04.0\", lower-case hexadecimal",
        "p.yaml:6:35: error: \"/dev/x\" is no PCI address; expected a PCI address such as \"0000:00:04.0\", lower-case hexadecimal",
      ])
  }

  @Test func `an ioctl that is not passed on is a mistake, by name and by number`() {
    let hid = BusControl.names(on: .hid).joined(separator: ", ")
    let text =
      #"""
      version: 1
      objects:
        a: { kind: bus, bus: hid, path: /dev/hidraw0, ioctls: [HIDIOCGRDES, 0x5415, HIDIOCGRAWNAME(0), 0x100000000, TIOCMGET] }
        b: { kind: bus, bus: serial, path: /dev/ttyS0, baud: 9600, ioctls: [TIOCMGET, 0x5415] }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:58: error: \"HIDIOCGRDES\" is no ioctl request that Postern passes on; did you mean \"HIDIOCGRDESC\"?",
        "p.yaml:3:71: error: \"0x5415\" is no ioctl request that Postern passes on; expected one of: \(hid)",
        "p.yaml:3:79: error: \"HIDIOCGRAWNAME(0)\" is no ioctl request that Postern passes on; did you mean \"HIDIOCGRAWNAME(N)\"?",
        "p.yaml:3:98: error: 0x100000000 is out of range for an ioctl request; expected 0 to 0xffffffff, decimal or after 0x",
        "p.yaml:3:111: error: \"TIOCMGET\" is no ioctl request that Postern passes on; expected one of: \(hid)",
        "p.yaml:4:81: error: \"0x5415\" stands twice in ioctls",
      ])
  }

  @Test func `ioctls of a simulated bus are those of the uarts`() throws {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: bus, bus: simulated, device: uart-a, ioctls: [TCFLSH, 0x5415] }
        b: { kind: bus, bus: simulated, device: uart-b, ioctls: [HIDIOCGRDESC] }
        c: { kind: bus, bus: simulated, device: lm75, ioctls: [TCFLSH] }

      """#
    let serial = BusControl.names(on: .serial).joined(separator: ", ")
    #expect(
      lines(text) == [
        "p.yaml:4:60: error: \"HIDIOCGRDESC\" is no ioctl request that Postern passes on; expected one of: \(serial)",
        "p.yaml:5:49: error: ioctls means nothing for \"c\": only hid, usb and serial buses have them",
      ])
    let model = try model(text.split(separator: "\n").prefix(3).joined(separator: "\n"))
    guard case .bus(let bus) = try #require(model.objects.first).specification else { return }
    #expect(bus.ioctls.map(\.name) == ["TCFLSH", "TIOCMGET"])
  }

  @Test func `the ioctls of a bus that is wrong itself are checked as well`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: bus, bus: hid, path: hidraw0, ioctls: [HIDIOCREVOKE] }

      """#
    let hid = BusControl.names(on: .hid).joined(separator: ", ")
    #expect(
      lines(text) == [
        "p.yaml:3:35: error: \"hidraw0\" is not absolute; expected an absolute path",
        "p.yaml:3:53: error: \"HIDIOCREVOKE\" is no ioctl request that Postern passes on; expected one of: \(hid)",
      ])
  }

  @Test func `ioctls on an i2c bus are no key`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: bus, bus: i2c, path: /dev/i2c-1, address: 0x48, ioctls: [0x707] }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:62: error: a bus of kind i2c has no key \"ioctls\"; expected one of: kind, bus, exclusive, message, path, address"
      ])
  }

  @Test func `thirty-three ioctls are too many`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: bus, bus: hid, path: /dev/hidraw0, ioctls: [HIDIOCSFEATURE(1), HIDIOCSFEATURE(2), HIDIOCSFEATURE(3), HIDIOCSFEATURE(4), HIDIOCSFEATURE(5), HIDIOCSFEATURE(6), HIDIOCSFEATURE(7), HIDIOCSFEATURE(8), HIDIOCSFEATURE(9), HIDIOCSFEATURE(10), HIDIOCSFEATURE(11), HIDIOCSFEATURE(12), HIDIOCSFEATURE(13), HIDIOCSFEATURE(14), HIDIOCSFEATURE(15), HIDIOCSFEATURE(16), HIDIOCSFEATURE(17), HIDIOCSFEATURE(18), HIDIOCSFEATURE(19), HIDIOCSFEATURE(20), HIDIOCSFEATURE(21), HIDIOCSFEATURE(22), HIDIOCSFEATURE(23), HIDIOCSFEATURE(24), HIDIOCSFEATURE(25), HIDIOCSFEATURE(26), HIDIOCSFEATURE(27), HIDIOCSFEATURE(28), HIDIOCSFEATURE(29), HIDIOCSFEATURE(30), HIDIOCSFEATURE(31), HIDIOCSFEATURE(32), HIDIOCSFEATURE(33)] }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:49: error: 33 ioctl requests; expected at most 32"
      ])
  }

  @Test func `an unknown simulated device names the nearest`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: bus, bus: simulated, device: 24c03 }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:43: error: \"24c03\" is no simulated device; did you mean \"24c02\"?"
      ])
  }
}
