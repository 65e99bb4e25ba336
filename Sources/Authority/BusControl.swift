/// A control request that a bus object can pass on, and what its argument is.
///
/// A closed table: a request with a pointer inside its argument, or one that makes descriptors, signals or new rights, is
/// not in it (usbfs URBs and USBDEVFS_IOCTL, TIOCSTI, HIDIOCREVOKE), so that no policy can let it through. The direction
/// bits of a request number are not enough to go by: usbfs has them the wrong way round and the old tty requests have
/// none.
public struct BusControl: Sendable, Hashable {
  /// The raw value is the policy's word.
  public enum Bus: String, Sendable, Hashable, CaseIterable {
    case hid
    case usb
    case serial
  }

  public enum Argument: Sendable, Hashable {
    case none
    /// A number of 4 bytes, little-endian in the payload.
    case value
    /// `size` bytes: the payload is the structure, the reply is the structure, or both.
    case structure(size: Int, isInput: Bool, isOutput: Bool)
    /// The payload is a setup packet of 8 bytes and the data on the way out; the reply is the data on the way in.
    case usbControl
    /// The payload is an endpoint and a length of 4 bytes each, little-endian, and the data on the way out; the reply is
    /// the data on the way in.
    case usbBulk
  }

  /// As in the kernel's header; `HIDIOCGFEATURE(8)` for requests that say their length.
  public var name: String
  public var request: UInt32
  public var bus: Bus
  public var argument: Argument

  /// The request that a policy's word names on that bus, or nil.
  ///
  /// HIDIOCGRAWNAME, HIDIOCGRAWPHYS and HIDIOCGRAWUNIQ without a length mean 256 bytes.
  public init?(name: String, on bus: Bus) {
    if let known = Self.fixed.first(where: { $0.bus == bus && $0.name == name }) {
      self = known
      return
    }
    guard bus == .hid, let (word, size) = Self.split(name),
      let sized = Self.sized.first(where: { $0.name == word }), let size = size ?? sized.defaultSize
    else { return nil }
    self = sized.control(size: size)
  }

  /// The request with that number on that bus, or nil.
  public init?(request: UInt32, on bus: Bus) {
    if let known = Self.fixed.first(where: { $0.bus == bus && $0.request == request }) {
      self = known
      return
    }
    let size = UInt16(request >> 16 & 0x3fff)
    guard bus == .hid, size > 0, let sized = Self.sized.first(where: { $0.request(size: size) == request }) else {
      return nil
    }
    self = sized.control(size: size)
  }

  /// The request with that number; no two buses have the same one.
  public init?(request: UInt32) {
    for bus in Bus.allCases {
      guard let known = BusControl(request: request, on: bus) else { continue }
      self = known
      return
    }
    return nil
  }

  /// Whether the request reads its argument.
  public var readsArgument: Bool {
    switch argument {
    case .none: false
    case .value, .usbControl, .usbBulk: true
    case .structure(_, let isInput, _): isInput
    }
  }

  /// Bytes of a structure that the request writes.
  public var outputSize: Int {
    if case .structure(let size, _, let isOutput) = argument, isOutput { size } else { 0 }
  }

  /// The words that a policy can use on that bus; `(N)` stands for a length.
  public static func names(on bus: Bus) -> [String] {
    fixed.filter { $0.bus == bus }.map(\.name) + (bus == .hid ? sized.map { "\($0.name)(N)" } : [])
  }

  private init(_ name: String, _ request: UInt32, _ bus: Bus, _ argument: Argument) {
    self.name = name
    self.request = request
    self.bus = bus
    self.argument = argument
  }

  /// `NAME(123)` as its parts; nil where that is no number of 1 to 16,383.
  private static func split(_ text: String) -> (Substring, UInt16?)? {
    guard let open = text.firstIndex(of: "(") else { return (text[...], nil) }
    guard text.last == ")" else { return nil }
    let digits = text[text.index(after: open)...].dropLast()
    guard let size = UInt16(digits), String(size) == digits, 1...0x3fff ~= size else { return nil }
    return (text[..<open], size)
  }

  /// A request whose number says how long its buffer is.
  private struct Sized {
    var name: String
    /// Direction, type and number, without the length.
    var base: UInt32
    var isInput: Bool
    var isOutput: Bool
    var defaultSize: UInt16?

    func request(size: UInt16) -> UInt32 { base | UInt32(size) << 16 }

    func control(size: UInt16) -> BusControl {
      BusControl(
        "\(name)(\(size))", request(size: size), .hid,
        .structure(size: Int(size), isInput: isInput, isOutput: isOutput))
    }
  }

  private static let sized = [
    Sized(name: "HIDIOCGRAWNAME", base: 0x8000_4804, isInput: false, isOutput: true, defaultSize: 256),
    Sized(name: "HIDIOCGRAWPHYS", base: 0x8000_4805, isInput: false, isOutput: true, defaultSize: 256),
    Sized(name: "HIDIOCGRAWUNIQ", base: 0x8000_4808, isInput: false, isOutput: true, defaultSize: 256),
    // The first byte says which report is meant, also where one is fetched.
    Sized(name: "HIDIOCSFEATURE", base: 0xc000_4806, isInput: true, isOutput: false),
    Sized(name: "HIDIOCGFEATURE", base: 0xc000_4807, isInput: true, isOutput: true),
    Sized(name: "HIDIOCSINPUT", base: 0xc000_4809, isInput: true, isOutput: false),
    Sized(name: "HIDIOCGINPUT", base: 0xc000_480a, isInput: true, isOutput: true),
    Sized(name: "HIDIOCSOUTPUT", base: 0xc000_480b, isInput: true, isOutput: false),
    Sized(name: "HIDIOCGOUTPUT", base: 0xc000_480c, isInput: true, isOutput: true),
  ]

  private static func input(_ size: Int) -> Argument { .structure(size: size, isInput: true, isOutput: false) }
  private static func output(_ size: Int) -> Argument { .structure(size: size, isInput: false, isOutput: true) }
  private static func both(_ size: Int) -> Argument { .structure(size: size, isInput: true, isOutput: true) }

  private static let fixed = [
    BusControl("HIDIOCGRDESCSIZE", 0x8004_4801, .hid, output(4)),
    // The caller says in the first 4 bytes how much it wants.
    BusControl("HIDIOCGRDESC", 0x9004_4802, .hid, both(4100)),
    BusControl("HIDIOCGRAWINFO", 0x8008_4803, .hid, output(8)),

    BusControl("USBDEVFS_CONTROL", 0xc018_5500, .usb, .usbControl),
    BusControl("USBDEVFS_BULK", 0xc018_5502, .usb, .usbBulk),
    BusControl("USBDEVFS_RESETEP", 0x8004_5503, .usb, input(4)),
    BusControl("USBDEVFS_SETINTERFACE", 0x8008_5504, .usb, input(8)),
    BusControl("USBDEVFS_SETCONFIGURATION", 0x8004_5505, .usb, input(4)),
    BusControl("USBDEVFS_GETDRIVER", 0x4104_5508, .usb, both(260)),
    BusControl("USBDEVFS_CLAIMINTERFACE", 0x8004_550f, .usb, input(4)),
    BusControl("USBDEVFS_RELEASEINTERFACE", 0x8004_5510, .usb, input(4)),
    BusControl("USBDEVFS_CONNECTINFO", 0x4008_5511, .usb, output(8)),
    BusControl("USBDEVFS_RESET", 0x5514, .usb, .none),
    BusControl("USBDEVFS_CLEAR_HALT", 0x8004_5515, .usb, input(4)),
    BusControl("USBDEVFS_GET_CAPABILITIES", 0x8004_551a, .usb, output(4)),
    BusControl("USBDEVFS_GET_SPEED", 0x551f, .usb, .none),

    BusControl("TCGETS2", 0x802c_542a, .serial, output(44)),
    BusControl("TCFLSH", 0x540b, .serial, .value),
    BusControl("FIONREAD", 0x541b, .serial, output(4)),
    BusControl("TIOCOUTQ", 0x5411, .serial, output(4)),
    BusControl("TIOCMGET", 0x5415, .serial, output(4)),
    BusControl("TIOCMBIS", 0x5416, .serial, input(4)),
    BusControl("TIOCMBIC", 0x5417, .serial, input(4)),
    BusControl("TIOCMSET", 0x5418, .serial, input(4)),
    BusControl("TIOCSBRK", 0x5427, .serial, .none),
    BusControl("TIOCCBRK", 0x5428, .serial, .none),
    BusControl("TIOCGICOUNT", 0x545d, .serial, output(80)),
  ]
}

extension BusSpecification {
  /// The kind of bus whose control requests this object knows; nil: none.
  public var controlBus: BusControl.Bus? {
    switch device {
    case .hid: .hid
    case .usb: .usb
    case .serial, .simulated(.uartA), .simulated(.uartB): .serial
    default: nil
    }
  }
}

extension ControlRequest {
  public init(_ control: BusControl) { self.init(name: control.name, request: control.request) }
}
