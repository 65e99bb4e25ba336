import Instructions

extension ObjectDefinition {
  /// Why the kernel cannot keep the holder of this object's own descriptor to `rule`; nil: it can.
  ///
  /// Its programs see on entry of a system call which operation it is, an ioctl's request number, a socket's option and an
  /// address; not an offset, and not what a pointer leads to.
  ///
  /// - Parameter isBlockDevice: whether the path names one; nil: it could not be found out.
  public func directObstacle(
    _ rule: GrantRule, operations: OperationSet, isBlockDevice: (String) -> Bool?
  ) -> String? {
    switch specification {
    case .socket: return nil
    case .disk(let disk):
      if disk.range != nil || rule.range != nil {
        return "a range: the kernel's programs do not see offsets, only mediated keeps to one"
      }
      switch isBlockDevice(disk.path) {
      case nil: return "\(disk.path) could not be looked at"
      case true: return nil
      case false:
        let changing = operations.intersection(OperationSet([.write, .discard]))
        return changing.isEmpty ? nil : "an image file could be made longer by who writes to it directly"
      }
    case .bus(let bus):
      if operations.contains(.transfer) {
        return "a transfer is not one system call of the device's"
      }
      switch bus.device {
      case .serial, .hid, .pci(_, region: .config): return nil
      // drivers/pci/pci-sysfs.c: a memory region's file has mmap(2) and no read(2).
      case .pci(_, region: .bar):
        return rule.mmap ? nil : "a card's memory is reached by mapping it, which needs mmap: true"
      case .i2c, .spi, .usb:
        return "its requests carry what they are about in memory, which the kernel's programs do not see"
      case .gpio: return "its requests make new descriptors, which nobody checks"
      case .simulated: return "a simulated device exists only inside the broker"
      }
    }
  }
}
