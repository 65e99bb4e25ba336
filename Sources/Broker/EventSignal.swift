import Linux

/// An event descriptor that several closures may signal.
final class EventSignal: Sendable {
  private let event: EventDescriptor

  init(_ event: consuming EventDescriptor) { self.event = event }

  func signal() { event.signal() }
}
