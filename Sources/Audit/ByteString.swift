/// Text from a name or a path: any bytes, kept as they came, escaped only when rendered.
///
/// Names in requests, executables and cgroups are chosen by the ones that are audited (path_resolution(7): any byte but
/// NUL and `/`), so they need not be UTF-8.
public struct ByteString: Sendable, Hashable, ExpressibleByStringLiteral {
  public var bytes: [UInt8]

  public init(bytes: [UInt8]) { self.bytes = bytes }
  public init(_ text: some StringProtocol) { bytes = Array(text.utf8) }
  public init(stringLiteral text: String) { bytes = Array(text.utf8) }
}
