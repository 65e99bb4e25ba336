import Authority
import Instructions
import Yams

extension Reading {
  enum BusKind: String, CaseIterable { case i2c, spi, gpio, serial, pci, hid, usb, simulated }

  func bus(_ all: [Entry], name: Entry) -> (Fields, ObjectSpecification?) {
    let place = place(name.value)
    let none = Fields(place: place, entries: [])
    guard let busEntry = all.first(where: { $0.name == "bus" }) else {
      error(
        name.place,
        "bus \"\(name.name)\" needs the key \"bus\": \(BusKind.allCases.map(\.rawValue).joined(separator: ", "))")
      return (none, nil)
    }
    let words: KeyValuePairs<String, BusKind> = [
      "i2c": .i2c, "spi": .spi, "gpio": .gpio, "serial": .serial, "pci": .pci, "hid": .hid, "usb": .usb,
      "simulated": .simulated,
    ]
    guard let kind = word(busEntry, words) else { return (none, nil) }
    let fields = fields(
      all, at: place, of: kind == .simulated ? "a simulated bus" : "a bus of kind \(kind.rawValue)",
      keys: ["kind", "bus", "exclusive", "message"] + kind.keys.map(\.name))
    require(
      fields, kind.keys.filter(\.required).map(\.name), of: "\(kind.rawValue) bus \"\(name.name)\"", at: name.place)
    let exclusive = boolean(fields["exclusive"]) ?? false
    guard let device = device(kind, fields) else {
      // The device is wrong; its ioctls may be wrong as well.
      if let bus = BusControl.Bus(rawValue: kind.rawValue) { _ = controls(fields["ioctls"], on: bus) }
      return (fields, nil)
    }
    var specification = BusSpecification(device: device, exclusive: exclusive)
    if let entry = fields["ioctls"] {
      if let bus = specification.controlBus {
        specification.ioctls = controls(entry, on: bus) ?? []
      } else {
        reportForeignControls(entry, name.name)
      }
    }
    return (fields, .bus(specification))
  }

  private func device(_ kind: BusKind, _ fields: Fields) -> BusSpecification.Device? {
    switch kind {
    case .i2c:
      // 0x00-0x07 and 0x78-0x7f are reserved by the bus's specification.
      let address = number(fields["address"], in: 0x08...0x77)
      guard let path = objectPath(fields["path"]), let address else { return nil }
      return .i2c(path: path, address: UInt16(address))
    case .spi:
      let mode = fields["mode"] == nil ? 0 : number(fields["mode"], in: 0...3)
      let speed = number(fields["speed"], in: 1...UInt64(UInt32.max))
      let bits = fields["bits"] == nil ? 8 : number(fields["bits"], in: 1...32)
      guard let path = objectPath(fields["path"]), let mode, let speed, let bits else { return nil }
      return .spi(path: path, mode: UInt8(mode), speed: UInt32(speed), bits: UInt8(bits))
    case .gpio: return gpio(fields)
    case .serial:
      let baud = fields["baud"] == nil ? nil : baud(fields["baud"])
      let parity =
        word(fields["parity"], ["none": BusSpecification.Parity.none, "even": .even, "odd": .odd]) ?? .none
      let stopBits = fields["stop-bits"] == nil ? 1 : number(fields["stop-bits"], in: 1...2)
      guard let path = objectPath(fields["path"]), let baud, let stopBits else { return nil }
      return .serial(path: path, baud: baud, parity: parity, stopBits: UInt8(stopBits))
    case .pci:
      let regions: KeyValuePairs<String, BusSpecification.PCIRegion> = [
        "config": .config, "bar0": .bar(0), "bar1": .bar(1), "bar2": .bar(2), "bar3": .bar(3), "bar4": .bar(4),
        "bar5": .bar(5),
      ]
      let region = word(fields["region"], regions)
      guard let address = pciAddress(fields["path"]), let region else { return nil }
      return .pci(address: address, region: region)
    case .hid: return objectPath(fields["path"]).map { .hid(path: $0) }
    case .usb: return objectPath(fields["path"]).map { .usb(path: $0) }
    case .simulated:
      guard let entry = fields["device"] else { return nil }
      let names = SimulatedDevice.allCases.map(\.rawValue)
      guard let text = text(entry.value, expected: names.joined(separator: ", ")) else { return nil }
      guard let device = SimulatedDevice(rawValue: text) else {
        error(place(entry.value), "\"\(text)\" is no simulated device; \(suggestion(for: text, among: names))")
        return nil
      }
      return .simulated(device)
    }
  }

  private func gpio(_ fields: Fields) -> BusSpecification.Device? {
    let direction =
      word(fields["direction"], ["in": BusSpecification.Direction.input, "out": .output]) ?? .input
    let edges: KeyValuePairs<String, BusSpecification.Edge> = [
      "none": .none, "rising": .rising, "falling": .falling, "both": .both,
    ]
    let edge = word(fields["edge"], edges) ?? .none
    if direction == .output, edge != .none, let entry = fields["edge"] {
      error(entry.place, "an output has no edges; expected direction: in or edge: none")
    }
    var lines: [UInt32] = []
    if let entry = fields["lines"] {
      for node in items(entry.value, expected: "a list of line numbers such as [4, 17]") ?? [] {
        guard let line = number(node, name: "a line", in: 0...65535) else { continue }
        if lines.contains(UInt32(line)) { error(place(node), "line \(line) stands twice") }
        lines.append(UInt32(line))
      }
      // GPIO_V2_LINES_MAX of linux/gpio.h
      if lines.count > 64 { error(entry.place, "\(lines.count) lines; expected at most 64") }
      if case .sequence(let sequence) = entry.value, sequence.isEmpty {
        error(place(entry.value), "the list of lines is empty; expected at least one")
      }
    }
    guard let path = objectPath(fields["path"]), !lines.isEmpty else { return nil }
    return .gpio(path: path, lines: lines, direction: direction, edge: edge)
  }

  private func baud(_ entry: Entry?) -> UInt32? {
    // termios(3) has constants for these only.
    let rates: [UInt64] = [
      50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400, 57600, 115_200, 230_400,
      460_800, 500_000, 576_000, 921_600, 1_000_000, 1_152_000, 1_500_000, 2_000_000, 2_500_000, 3_000_000, 3_500_000,
      4_000_000,
    ]
    guard let entry, let rate = number(entry, in: 50...4_000_000) else { return nil }
    guard rates.contains(rate) else {
      error(place(entry.value), "\(rate) is no line speed that termios(3) has; expected for example 9600 or 115200")
      return nil
    }
    return UInt32(rate)
  }

  /// `0000:00:04.0`: domain, bus, device, function, as in /sys/bus/pci/devices.
  private func pciAddress(_ entry: Entry?) -> String? {
    let expected = "a PCI address such as \"0000:00:04.0\""
    guard let entry, let text = text(entry.value, expected: expected) else { return nil }
    let parts = text.split(omittingEmptySubsequences: false) { $0 == ":" || $0 == "." }.map(String.init)
    let separators = text.filter { $0 == ":" || $0 == "." }
    let lengths = parts.map(\.utf8.count)
    let hexadecimal = parts.joined().unicodeScalars.allSatisfy { ("0"..."9").contains($0) || ("a"..."f").contains($0) }
    guard separators == "::.", lengths == [4, 2, 2, 1], hexadecimal, (UInt8(parts[2], radix: 16) ?? 255) < 32,
      (UInt8(parts[3], radix: 16) ?? 255) < 8
    else {
      error(place(entry.value), "\"\(text)\" is no PCI address; expected \(expected), lower-case hexadecimal")
      return nil
    }
    return text
  }

  func reportForeignControls(_ entry: Entry, _ object: String) {
    error(entry.place, "ioctls means nothing for \"\(object)\": only hid, usb and serial buses have them")
  }

  /// Requests of the bus by name, or by number; whatever Postern would not pass on is a mistake.
  func controls(_ entry: Entry?, on bus: BusControl.Bus) -> [ControlRequest]? {
    guard let entry, let nodes = items(entry.value, expected: "a list of ioctl requests by name or number") else {
      return nil
    }
    let names = BusControl.names(on: bus)
    var requests: [ControlRequest] = []
    for node in nodes {
      guard let name = text(node, expected: "the name or number of an ioctl request") else { continue }
      let known: BusControl?
      let expected: String
      switch wholeNumber(name) {
      case .value(let number) where number <= UInt64(UInt32.max):
        known = BusControl(request: UInt32(number), on: bus)
        expected = "expected one of: \(names.joined(separator: ", "))"
      case .value, .tooLarge, .leadingZero:
        error(
          place(node), "\(name) is out of range for an ioctl request; expected 0 to 0xffffffff, decimal or after 0x")
        continue
      case .notANumber:
        known = BusControl(name: name, on: bus)
        expected = suggestion(for: name, among: names)
      }
      guard let request = known.map(ControlRequest.init) else {
        error(place(node), "\"\(name)\" is no ioctl request that Postern passes on; \(expected)")
        continue
      }
      if requests.contains(request) { error(place(node), "\"\(name)\" stands twice in ioctls") }
      requests.append(request)
    }
    if requests.count > LimitSet.maximumControls {
      error(entry.place, "\(requests.count) ioctl requests; expected at most \(LimitSet.maximumControls)")
    }
    return requests
  }
}

extension Reading.BusKind {
  /// The keys beside kind, bus, exclusive and message.
  var keys: [(name: String, required: Bool)] {
    switch self {
    case .i2c: [("path", true), ("address", true)]
    case .spi: [("path", true), ("mode", false), ("speed", true), ("bits", false)]
    case .gpio: [("path", true), ("lines", true), ("direction", false), ("edge", false)]
    case .serial: [("path", true), ("baud", true), ("parity", false), ("stop-bits", false), ("ioctls", false)]
    case .pci: [("path", true), ("region", true)]
    case .hid, .usb: [("path", true), ("ioctls", false)]
    case .simulated: [("device", true), ("ioctls", false)]
    }
  }
}
