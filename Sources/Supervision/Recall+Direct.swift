import Authority
import Instructions
import Linux

extension Recall {
  /// Nothing that begins from now on succeeds: the kernel's table says so already. What had begun is sent back through the
  /// check, or waited for.
  func outcome(ofDirect target: Target) -> Outcome {
    let pid = Int32(bitPattern: target.holder.tgid)
    var left = DirectKernel.barrier(pid, deadline: deadline)
    // Requests that a device has already are not the process's any more, and end by themselves.
    if left == 0, let device = target.definition.blockDevice, ProcessDescriptors.hasAsynchronousRequests(pid) {
      guard let running = requests(in: device) else {
        return .cannotRecall("the kernel does not tell which requests of its AIO or io_uring \(device) still has")
      }
      left = running
    }
    if target.mayBeMapped {
      guard target.killsStuck, kill([pid]) else {
        return .cannotRecall("mmap: true: what it has mapped of the object stays mapped")
      }
      return .recalled
    }
    guard left > 0 else { return .recalled }
    guard target.killsStuck, kill([pid]) else { return .running(left) }
    return .recalled
  }

  /// Waits until the device has had nothing to do for a moment: then everything that was begun before has ended.
  ///
  /// - Returns: how many requests it had at the deadline; nil: it cannot be told. Of an image file they are those of the
  ///   device that its file system lies on, where it lies on one.
  private func requests(in device: String) -> Int? {
    guard let identity = DeviceIdentity(path: device) else { return nil }
    while true {
      guard let running = BlockDeviceLoad.requests(device: identity.device) else { return nil }
      if running == 0 || Clock.boottime() >= deadline { return running }
      Clock.sleep(nanoseconds: 200_000)
    }
  }
}

extension ObjectDefinition {
  fileprivate var blockDevice: String? {
    guard case .disk(let disk) = specification else { return nil }
    return disk.path
  }
}
