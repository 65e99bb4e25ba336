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

  @Test func `an unknown ioctl names the nearest, a number is fine`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: bus, bus: hid, path: /dev/hidraw0, ioctls: [HIDIOCGRDES, 0x5415, HIDIOCGRAWNAME(0), 0x100000000, TIOCMGET] }
        b: { kind: bus, bus: serial, path: /dev/ttyS0, baud: 9600, ioctls: [TIOCMGET, 0x5415] }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:58: error: \"HIDIOCGRDES\" is no ioctl request of this bus; did you mean \"HIDIOCGRDESC\"? (or a number such as 0x5415)",
        "p.yaml:3:79: error: \"HIDIOCGRAWNAME(0)\" is no ioctl request of this bus; did you mean \"HIDIOCGRAWNAME(N)\"? (or a number such as 0x5415)",
        "p.yaml:3:98: error: 0x100000000 is out of range for an ioctl request; expected 0 to 0xffffffff, decimal or after 0x",
        "p.yaml:3:111: error: \"TIOCMGET\" is no ioctl request of this bus; see postern.yaml(5) for the names (or a number such as 0x5415)",
        "p.yaml:4:81: error: \"0x5415\" stands twice in ioctls",
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
        a: { kind: bus, bus: usb, path: /dev/bus/usb/001/001, ioctls: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32] }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:57: error: 33 ioctl requests; expected at most 32"
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
