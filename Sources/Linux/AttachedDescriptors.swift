import CLinux

/// The descriptors that a stranger attached to a message (SCM_RIGHTS, unix(7)), in their order. Those that are not taken
/// are closed with this value.
public struct AttachedDescriptors: ~Copyable, Sendable {
  /// -1 where one was taken.
  private var numbers: [Int32]

  /// None.
  public init() { numbers = [] }

  /// Takes over what a receive gave; changes nothing of it.
  init(_ received: inout clinux_received) {
    let count = Int(received.descriptor_count)
    guard count > 0 else {
      numbers = []
      return
    }
    // SAFETY: a tuple of numbers of the same type; the kernel's first `count` were copied there.
    numbers = unsafe withUnsafeBytes(of: &received.descriptors) {
      unsafe Array($0.bindMemory(to: Int32.self).prefix(count))
    }
  }

  deinit { if !numbers.isEmpty { PeerDescriptor.close(numbers.filter { $0 >= 0 }) } }

  /// How many there were.
  public var count: Int { numbers.count }

  /// The one at this place; nil where none was, or it has been taken.
  public mutating func take(_ index: Int) -> PeerDescriptor? {
    guard numbers.indices.contains(index), numbers[index] >= 0 else { return nil }
    let number = numbers[index]
    numbers[index] = -1
    return PeerDescriptor(Descriptor(adopting: number))
  }
}
