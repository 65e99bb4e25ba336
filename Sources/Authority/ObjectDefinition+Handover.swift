import Instructions

extension ObjectDefinition {
  /// The file or device file that stands for it, if one does.
  public var path: String? {
    switch specification {
    case .socket: nil
    case .disk(let disk): disk.path
    case .bus(let bus): bus.device.path
    }
  }

  /// The calls by which a program that does not know Postern comes to this object.
  public var notifiedCalls: NotifiedCalls {
    switch specification {
    case .disk, .bus: .open
    case .socket(let socket):
      switch socket.endpoint {
      case .tcp, .udp, .unix: .bind
      case .raw, .packet: .socket
      }
    }
  }

  /// Why its own descriptor may not be given away under `rule`, or nil: it may.
  ///
  /// A descriptor that can do more than *which object* the policy names is not given: another range of the disk, another
  /// address of the bus. Which operations are done with what is given nobody checks; `whatNobodyChecks` tells.
  public func handoverObstacle(_ rule: GrantRule) -> String? {
    switch specification {
    case .socket(let socket):
      switch socket.endpoint {
      // It could not be told from the program's other sockets, so that it could not be taken back.
      case .tcp(let address), .udp(let address):
        return address.port == 0 ? "a port of the kernel's choice needs no grant: anybody may bind port 0" : nil
      case .unix, .raw, .packet: return nil
      }
    case .disk: return nil
    case .bus(let bus):
      switch bus.device {
      case .i2c: return "an i2c device file reaches every address of its bus; only mediated keeps to one"
      case .gpio: return "a GPIO chip's device file reaches every line; only mediated keeps to some"
      case .simulated: return "a simulated device exists only inside the broker; only mediated reaches it"
      case .spi, .serial, .pci, .hid, .usb: return nil
      }
    }
  }

  /// What the holder of its descriptor can do though a limit or an operation left out says otherwise; empty: nothing.
  public func whatNobodyChecks(_ rule: GrantRule) -> String {
    switch specification {
    case .socket(let socket):
      switch socket.endpoint {
      case .raw: return "the holder can send to every address, whatever send-to says"
      case .packet: return "the holder can send frames, and bind the socket to another interface"
      case .udp: return "the holder can send to every address, whatever send-to says"
      case .tcp, .unix: return ""
      }
    case .disk(let disk):
      let writable = (rule.access ?? disk.access) == .readWrite && rule.operations.contains(.write)
      return writable ? "the holder can also discard" : ""
    case .bus(let bus):
      switch bus.device {
      case .hid, .usb, .serial, .spi: return "the holder can issue every ioctl of the device"
      case .i2c, .gpio, .pci, .simulated: return ""
      }
    }
  }

  /// The operations that the program's call itself stands for: all of them have to be granted.
  ///
  /// - Parameter access: what an open asks for; nil for sockets.
  public func operationsAsked(access: Access?, writeOnly: Bool = false) -> OperationSet {
    switch specification {
    case .socket(let socket):
      switch socket.endpoint {
      case .tcp, .udp, .unix: return OperationSet(.bind)
      // Any one of send and receive makes the socket of use; which, the socket cannot be told.
      case .raw, .packet: return []
      }
    case .disk, .bus:
      if writeOnly { return OperationSet(.write) }
      return access == .readWrite ? OperationSet([.read, .write]) : OperationSet(.read)
    }
  }
}

extension BusSpecification.Device {
  /// The device file; nil for what is simulated.
  public var path: String? {
    switch self {
    case .i2c(let path, _), .hid(let path), .usb(let path): path
    case .spi(let path, _, _, _), .gpio(let path, _, _, _), .serial(let path, _, _, _): path
    case .pci(let address, let region):
      switch region {
      case .config: "/sys/bus/pci/devices/\(address)/config"
      case .bar(let number): "/sys/bus/pci/devices/\(address)/resource\(number)"
      }
    case .simulated: nil
    }
  }
}
