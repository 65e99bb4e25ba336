import Authority
import Instructions
import Linux

extension Recall {
  /// Nothing that begins from now on succeeds: the kernel's table says so already. What had begun is sent back through the
  /// check, or waited for.
  ///
  /// - Parameter end: boottime nanoseconds; what has not left its call by then runs.
  func outcomes(ofDirect targets: [Target], of holder: ProcessResource, until end: UInt64) -> [Outcome] {
    let pid = Int32(bitPattern: holder.tgid)
    let performing = targets.map { isPerforming($0, until: end) }
    let left = DirectKernel.barrier(pid, deadline: end)
    var mayHaveRequests: Bool?
    return zip(targets, performing).map { target, isPerforming in
      if isPerforming { return .running(1) }
      if target.mayBeMapped {
        // What is mapped goes with the process.
        return ProcessPin.hasEnded(pid, start: holder.start)
          ? .recalled : .cannotRecall("mmap: true: what it has mapped of the object stays mapped")
      }
      guard left == 0, let device = target.definition.blockDevice else { return left == 0 ? .recalled : .running(left) }
      // Requests that a device has already are not the process's any more, and end by themselves.
      let hasRequests = mayHaveRequests ?? ProcessDescriptors.hasAsynchronousRequests(pid)
      mayHaveRequests = hasRequests
      guard hasRequests else { return .recalled }
      guard let running = requests(in: device, until: end) else {
        return .cannotRecall("the kernel does not tell which requests of its AIO or io_uring \(device) still has")
      }
      return running == 0 ? .recalled : .running(running)
    }
  }

  /// Waits until the device has had nothing to do for a moment: then everything that was begun before has ended.
  ///
  /// - Returns: how many requests it had at the deadline; nil: it cannot be told. Of an image file they are those of the
  ///   device that its file system lies on, where it lies on one.
  private func requests(in device: String, until end: UInt64) -> Int? {
    guard let identity = DeviceIdentity(path: device) else { return nil }
    while true {
      guard let running = BlockDeviceLoad.requests(device: identity.device) else { return nil }
      if running == 0 || Clock.boottime() >= end { return running }
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
