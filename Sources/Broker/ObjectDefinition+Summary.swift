import Authority
import Instructions

extension ObjectDefinition {
  /// Where the object is, in the policy's words: for lists that people read.
  var summary: String {
    switch specification {
    case .socket(let socket): socket.endpoint.summary
    case .disk(let disk):
      disk.path + (disk.range.map { " [\($0.offset), \($0.length)]" } ?? "")
        + (disk.access == .readOnly ? " read-only" : " read-write")
    case .bus(let bus): bus.device.summary
    }
  }

  /// The operations that this very object knows, whoever asks.
  var availableOperations: OperationSet {
    switch specification {
    case .socket: kind.operations
    case .disk(let disk):
      disk.access == .readOnly ? kind.operations.subtracting(OperationSet([.write, .discard])) : kind.operations
    case .bus(let bus): bus.operations
    }
  }
}

extension SocketSpecification.Endpoint {
  fileprivate var summary: String {
    switch self {
    case .tcp(let address): "tcp://\(address.text)"
    case .udp(let address): "udp://\(address.text)"
    case .unix(let path): "unix://\(path)"
    case .raw(let family, let number): "raw over \(family == .ipv4 ? "IPv4" : "IPv6"), protocol \(number)"
    case .packet(let interface): "packet://\(interface)"
    }
  }
}

extension BusSpecification.Device {
  fileprivate var summary: String {
    switch self {
    case .i2c(let path, let address): "i2c \(path) address 0x\(String(address, radix: 16))"
    case .spi(let path, let mode, let speed, _): "spi \(path) mode \(mode) \(speed) Hz"
    case .gpio(let path, let lines, let direction, _):
      "gpio \(path) lines \(lines.map(String.init).joined(separator: ",")) \(direction == .input ? "in" : "out")"
    case .serial(let path, let baud, _, _): "serial \(path) \(baud) baud"
    case .pci(let address, let region):
      switch region {
      case .config: "pci \(address) config"
      case .bar(let number): "pci \(address) bar\(number)"
      }
    case .hid(let path): "hid \(path)"
    case .usb(let path): "usb \(path)"
    case .simulated(let device): "simulated \(device.rawValue)"
    }
  }
}
