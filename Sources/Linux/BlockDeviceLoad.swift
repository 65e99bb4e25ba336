/// What a block device has been given and has not answered.
public enum BlockDeviceLoad {
  /// Requests in flight (Documentation/ABI/stable/sysfs-block, inflight), of all its users; nil: the kernel does not tell, or
  /// does not count them (queue/iostats 0).
  public static func requests(device: UInt64) -> Int? {
    let number = DirectKernel.kernelDevice(device)
    let folder = "/sys/dev/block/\(number >> 20):\(number & 0xfffff)"
    // A target of the device mapper that holds requests back does not count them (dm-delay).
    if ProcessFacts.identity(folder + "/dm") != nil { return nil }
    guard let text = try? ProcFile.read(folder + "/inflight", limit: 128) else { return nil }
    // A partition's queue is its disk's.
    let counted =
      (try? ProcFile.read(folder + "/queue/iostats", limit: 8))
      ?? (try? ProcFile.read(folder + "/../queue/iostats", limit: 8))
    guard counted?.first == UInt8(ascii: "1") else { return nil }
    return String(decoding: text, as: UTF8.self).split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
      .reduce(0, +)
  }
}
