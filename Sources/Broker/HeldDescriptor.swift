import Linux

/// A descriptor that waits in a collection.
final class HeldDescriptor {
  private var descriptor: Descriptor?

  init(_ descriptor: consuming Descriptor) { self.descriptor = consume descriptor }

  func take() -> Descriptor? { descriptor.take() }
}
