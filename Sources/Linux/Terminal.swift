import CLinux
import Glibc

/// The controlling terminal (tty(4)), for a program that draws on the whole of it. One at a time.
///
/// It is set back when this value ends, at exit(3), and when the program ends by a fault of its own.
public struct Terminal: ~Copyable {
  public let descriptor: Descriptor
  private let farewell: StaticString

  /// - Parameter farewell: written when it is set back.
  public init(farewell: StaticString) throws(SystemError) {
    descriptor = Descriptor(adopting: Int32(try retrying("open", "/dev/tty") { Int(clinux_terminal_open()) }))
    self.farewell = farewell
  }

  deinit { clinux_terminal_leave() }

  /// Keys come one by one and none of them is a signal.
  public borrowing func enter() throws(SystemError) {
    let number = descriptor.rawValue
    let text = farewell
    _ = try retrying("tcsetattr", "/dev/tty") {
      // SAFETY: a static string lives as long as the process; its length is its own.
      unsafe Int(
        clinux_terminal_enter(
          number, UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self), text.utf8CodeUnitCount))
    }
  }

  /// As it was before `enter`; more than once is harmless.
  public borrowing func leave() { clinux_terminal_leave() }

  /// Columns and rows; 0: not known.
  public borrowing func size() throws(SystemError) -> (columns: Int, rows: Int) {
    let number = descriptor.rawValue
    var columns: UInt16 = 0
    var rows: UInt16 = 0
    _ = try retrying("ioctl(TIOCGWINSZ)", "/dev/tty") {
      // SAFETY: both numbers are written by the call and have its size.
      unsafe Int(clinux_terminal_size(number, &columns, &rows))
    }
    return (Int(columns), Int(rows))
  }

  /// What has been typed; empty: nothing now. A terminal that was hung up is EIO.
  public borrowing func read() throws(SystemError) -> [UInt8] {
    let number = descriptor.rawValue
    var buffer = [UInt8](repeating: 0, count: 4096)
    do throws(SystemError) {
      let count = try retrying("read", "/dev/tty") {
        // SAFETY: the pointer is used only during the call, with the array's own length.
        unsafe buffer.withUnsafeMutableBytes { unsafe Glibc.read(number, $0.baseAddress, $0.count) }
      }
      guard count > 0 else { throw SystemError(errno: EIO, operation: "read", path: "/dev/tty") }
      return Array(buffer[..<count])
    } catch {
      if error.errno == EAGAIN { return [] }
      throw error
    }
  }

  /// Writes as much as it takes now, and says how much that was.
  public borrowing func write(_ bytes: ArraySlice<UInt8>) throws(SystemError) -> Int {
    let number = descriptor.rawValue
    do throws(SystemError) {
      return try retrying("write", "/dev/tty") {
        // SAFETY: the pointer is used only during the call, with the slice's own length.
        unsafe bytes.withUnsafeBytes { unsafe Glibc.write(number, $0.baseAddress, $0.count) }
      }
    } catch {
      if error.errno == EAGAIN { return 0 }
      throw error
    }
  }
}

extension OwnProcess {
  /// Stops this process, as Ctrl-Z would; returns when it is continued.
  public static func stop() { clinux_stop() }

  /// Ends it by a signal that it has blocked, so that whoever waits for it sees that signal.
  public static func end(bySignal number: Int32) -> Never { clinux_end_by_signal(number) }
}

extension Signal {
  public static let windowChanged = SIGWINCH
  public static let stopTyped = SIGTSTP
  public static let continued = SIGCONT
}
