import AuditViewer
import FlyingSocks
import PosternCommands

/// Says at its end that an open page has gone.
final class StreamPlace: Sendable {
  private let leave: @Sendable () -> Void

  init(_ leave: @escaping @Sendable () -> Void) { self.leave = leave }

  deinit { leave() }
}

/// The messages for one open page as server-sent events (WHATWG HTML, section 9.2).
struct LiveStream: AsyncBufferedSequence {
  typealias Element = UInt8

  let pages: AuditPages
  let view: LiveView
  let place: StreamPlace

  func makeAsyncIterator() -> Iterator { Iterator(pages: pages, view: view, place: place) }

  struct Iterator: AsyncBufferedIteratorProtocol {
    /// Nanoseconds between two looks: as often as a page is worth drawing.
    private static let pause: UInt64 = 250_000_000
    /// Looks without news after which something is sent: a page that has gone is noticed by that alone.
    private static let patience = 20

    let pages: AuditPages
    var view: LiveView
    let place: StreamPlace
    private var pending: ArraySlice<UInt8> = []
    private var idle = 0
    private var isFirst = true

    init(pages: AuditPages, view: LiveView, place: StreamPlace) {
      self.pages = pages
      self.view = view
      self.place = place
    }

    mutating func next() async throws -> UInt8? { try await nextBuffer(suggested: 1)?.first }

    mutating func nextBuffer(suggested count: Int) async throws -> ArraySlice<UInt8>? {
      while pending.isEmpty {
        if !isFirst { try await Task.sleep(nanoseconds: Self.pause) }
        isFirst = false
        if let message = pages.message(for: &view) {
          pending = Array("data: \(message)\n\n".utf8)[...]
          idle = 0
        } else {
          idle += 1
          if idle >= Self.patience {
            pending = Array(": still here\n\n".utf8)[...]
            idle = 0
          }
        }
      }
      let part = pending.prefix(count > 0 ? count : 1)
      pending = pending.dropFirst(part.count)
      return part
    }
  }
}
