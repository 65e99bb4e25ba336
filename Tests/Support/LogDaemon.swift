import Foundation
import Glibc

/// A datagram socket as a log daemon has it, systemd-journald or syslog.
public final class LogDaemon: Sendable {
  private let descriptor: Int32

  /// Listens at a path that is free.
  public init(_ path: String) throws {
    descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { field in
      for (index, byte) in path.utf8.enumerated() where index < field.count - 1 { unsafe field[index] = byte }
    }
    let number = descriptor
    let result = unsafe withUnsafePointer(to: &address) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe bind(number, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard result == 0 else { throw HarnessFailure(description: "nobody can listen at \(path): \(errno)") }
  }

  deinit { close(descriptor) }

  /// The next message; nil: none came within ten seconds.
  public func receive() -> [UInt8]? {
    var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    guard unsafe poll(&waiting, 1, 10_000) == 1 else { return nil }
    var buffer = [UInt8](repeating: 0, count: 1 << 18)
    let count = unsafe buffer.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress, $0.count, 0) }
    return count < 0 ? nil : Array(buffer[..<count])
  }
}
