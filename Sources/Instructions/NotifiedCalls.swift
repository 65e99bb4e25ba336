/// Families of system calls whose issuer waits for a verdict, because they open or configure privileged objects.
public struct NotifiedCalls: OptionSet, Sendable, Hashable {
  public let rawValue: UInt8

  public init(rawValue: UInt8) { self.rawValue = rawValue }

  public static let bind = NotifiedCalls(rawValue: 1)
  /// Raw and packet sockets only.
  public static let socket = NotifiedCalls(rawValue: 2)
  /// open, openat, openat2, creat
  public static let open = NotifiedCalls(rawValue: 4)

  /// Every family that exists.
  public static let all: NotifiedCalls = [.bind, .socket, .open]

  /// The members' words, as journals and lists have them.
  public var names: [String] {
    [(NotifiedCalls.bind, "bind"), (.socket, "socket"), (.open, "open")].filter { contains($0.0) }.map(\.1)
  }
}
