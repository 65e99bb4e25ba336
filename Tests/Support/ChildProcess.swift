import Foundation
import Glibc

/// Starting the programs of tests, one at a time in the whole process.
///
/// Foundation tells that a program has ended by a socket which that program alone is to hold, and which is inheritable, like its pipes. It
/// closes in each new program what was open a moment before the fork (swift-corelibs-foundation, Process.swift, `findMaximumOpenFD`).
/// What another thread opens within that moment stays open in the wrong program, and waiting for one is then waiting for the other: a
/// compiler never ends whose socket is held by a broker, if the broker's test waits for the compiler.
public enum ChildProcess {
  private static let turn = NSLock()

  /// Starts it; used instead of its `run()`.
  public static func start(_ process: Process) throws {
    try alone { try process.run() }
  }

  /// Does what starts a program in another way.
  public static func alone<Result>(_ body: () throws -> Result) rethrows -> Result {
    try turn.withLock(body)
  }

  /// A pipe that no program inherits but the one that it is given to.
  public static func pipe() -> Pipe {
    alone {
      let pipe = Pipe()
      for end in [pipe.fileHandleForReading, pipe.fileHandleForWriting] {
        _ = fcntl(end.fileDescriptor, F_SETFD, FD_CLOEXEC)
      }
      return pipe
    }
  }
}
