import Authority
import Linux

extension BusSpecification.Device {
  /// Whether an open file is such a device: one that the policy calls a bus and that is none is not given to anybody.
  public func isEmbodied(by opened: borrowing Descriptor) -> Bool {
    switch self {
    case .serial: opened.isTerminal
    case .spi: (try? opened.deviceMajor()) == DeviceMajor.spi
    case .usb: (try? opened.deviceMajor()) == DeviceMajor.usb
    case .hid: opened.isHID
    case .pci: (try? opened.isOnKernelFileSystem()) == true
    case .i2c, .gpio, .simulated: false
    }
  }
}
