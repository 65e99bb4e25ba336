import Instructions

/// A privileged object as the policy describes it.
public struct ObjectDefinition: Sendable, Hashable {
  public var name: String
  public var specification: ObjectSpecification
  /// Told with every refusal that concerns this object, or empty. A grant's own message goes first.
  public var message: String

  public init(name: String, specification: ObjectSpecification, message: String = "") {
    self.name = name
    self.specification = specification
    self.message = message
  }

  public var kind: ObjectKind {
    switch specification {
    case .socket: .socket
    case .disk: .disk
    case .bus: .bus
    }
  }

  /// Whether one process resource at most may have it.
  public var isExclusive: Bool {
    switch specification {
    case .socket: false
    case .disk(let disk): disk.exclusive
    case .bus(let bus): bus.exclusive
    }
  }
}

public enum ObjectSpecification: Sendable, Hashable {
  case socket(SocketSpecification)
  case disk(DiskSpecification)
  case bus(BusSpecification)
}

/// What a socket object is bound to and what it may talk to.
public struct SocketSpecification: Sendable, Hashable {
  public enum Endpoint: Sendable, Hashable {
    case tcp(NetworkAddress)
    case udp(NetworkAddress)
    /// SOCK_STREAM listener; an absolute path.
    case unix(path: String)
    /// IP protocol number over IPv4 or IPv6: `raw://icmp` is (ipv4, 1), `raw://icmpv6` (ipv6, 58).
    case raw(NetworkAddress.Family, ipProtocol: UInt8)
    /// AF_PACKET, all protocols, on one interface.
    case packet(interface: String)
  }

  public var endpoint: Endpoint
  /// Where connect may go. Empty: nowhere.
  public var connect: [AddressPattern]
  /// Where send may go. Empty: nowhere.
  public var sendTo: [AddressPattern]
  /// Which options setoption may set. Empty: none.
  public var options: [SocketOption]
  public var network: NetworkNamespace

  public init(
    endpoint: Endpoint, connect: [AddressPattern] = [], sendTo: [AddressPattern] = [],
    options: [SocketOption] = [], network: NetworkNamespace = .host
  ) {
    self.endpoint = endpoint
    self.connect = connect
    self.sendTo = sendTo
    self.options = options
    self.network = network
  }
}

public enum NetworkNamespace: Sendable, Hashable {
  /// The broker's own.
  case host
  case path(String)
}

public enum Access: Sendable, Hashable {
  case readOnly
  case readWrite
}

/// A block device or an image file, or a range of one.
public struct DiskSpecification: Sendable, Hashable {
  public var path: String
  /// nil: the whole object.
  public var range: ByteRange?
  public var access: Access
  public var exclusive: Bool

  public init(path: String, range: ByteRange? = nil, access: Access = .readOnly, exclusive: Bool = false) {
    self.path = path
    self.range = range
    self.access = access
    self.exclusive = exclusive
  }
}

public struct BusSpecification: Sendable, Hashable {
  public enum Device: Sendable, Hashable {
    case i2c(path: String, address: UInt16)
    /// mode 0-3, speed in Hz, bits per word.
    case spi(path: String, mode: UInt8, speed: UInt32, bits: UInt8)
    case gpio(path: String, lines: [UInt32], direction: Direction, edge: Edge)
    case serial(path: String, baud: UInt32, parity: Parity, stopBits: UInt8)
    /// address as `0000:00:04.0`
    case pci(address: String, region: PCIRegion)
    case hid(path: String)
    case usb(path: String)
    case simulated(SimulatedDevice)
  }

  public enum Direction: Sendable, Hashable { case input, output }
  public enum Edge: Sendable, Hashable { case none, rising, falling, both }
  public enum Parity: Sendable, Hashable { case none, even, odd }
  public enum PCIRegion: Sendable, Hashable {
    case config
    /// 0-5
    case bar(UInt8)
  }

  public var device: Device
  /// Which request numbers control may issue. Empty: none.
  public var ioctls: [ControlRequest]
  public var exclusive: Bool

  public init(device: Device, ioctls: [ControlRequest] = [], exclusive: Bool = false) {
    self.device = device
    self.ioctls = ioctls
    self.exclusive = exclusive
  }
}

/// The devices that `kmodule-sim` has; the raw value is the policy's word.
public enum SimulatedDevice: String, CaseIterable, Sendable, Hashable {
  /// 256 registers of one byte, auto-increment, behind a two-wire bus.
  case registerFile = "registers"
  /// A 24C02-like two-wire EEPROM: 256 bytes, 8-byte pages, 5 ms write cycle.
  case eeprom = "24c02"
  /// An LM75-like two-wire temperature sensor.
  case temperatureSensor = "lm75"
  /// An SPI device that returns what it is sent.
  case spiLoopback = "spi-loopback"
  /// A GPIO chip of 8 lines with edge events; line 2N+1 follows line 2N.
  case gpioChip = "gpio"
  /// A pair of UARTs joined back to back: what one end writes, the other reads.
  case uartA = "uart-a"
  case uartB = "uart-b"
}

/// An ioctl request by its number, under the name of its constant (`HIDIOCGRDESC`).
public struct ControlRequest: Sendable, Hashable {
  public var name: String
  public var request: UInt32

  public init(name: String, request: UInt32) {
    self.name = name
    self.request = request
  }
}
