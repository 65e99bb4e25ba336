import Foundation
import Glibc
import Instructions
import Testing

@testable import PosternCommands

@Suite struct LearnTests {
  private var refusedPort: RefusedCall {
    var bytes = InlineArray<16, UInt8>(repeating: 0)
    bytes[0] = 127
    return RefusedCall(
      subject: .port(NetworkAddress(family: .ipv4, bytes: bytes, port: 80), isStream: true), user: "nobody",
      executable: "/usr/bin/x")
  }

  @Test func `the policy goes to the error stream and the exit code is the program's`() {
    let surroundings = RecordedSurroundings()
    surroundings.observed.note(refusedPort)
    surroundings.observed.status = 143
    #expect(surroundings.run("run", "--learn", "--", "/bin/true").rawValue == 143)
    #expect(surroundings.output == [])
    #expect(surroundings.complained.contains("listen: \"tcp://127.0.0.0:80\""))
  }

  @Test func `the policy goes to the file that was asked for, which is made before anything is run`() throws {
    let folder = FileManager.default.temporaryDirectory.path
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("run", "--learn", "--output", "/no/such/x", "--", "/bin/true") == .notStarted)
    #expect(surroundings.launch == nil)
    let file = folder + "/postern-\(UUID().uuidString).yaml"
    defer { try? FileManager.default.removeItem(atPath: file) }
    surroundings.observed.note(refusedPort)
    let before = surroundings.complained
    #expect(surroundings.run("run", "--learn", "--output", file, "--", "/bin/true") == .done)
    #expect(surroundings.complained == before)
    let written = try String(contentsOfFile: file, encoding: .utf8)
    #expect(written.contains("version: 1\n"))
  }

  @Test func `that nothing was refused is said`() {
    let surroundings = RecordedSurroundings()
    #expect(surroundings.run("run", "--learn", "--", "/bin/true") == .done)
    #expect(surroundings.complained.contains("nothing was refused"))
    #expect(!surroundings.complained.contains("version"))
  }
}

/// The real thing, as a user without any privilege.
@Suite(.enabled(if: geteuid() == 0)) struct LearnProgramTests {
  /// A copy of the command where every user can run it.
  private final class Place {
    let folder = FileManager.default.temporaryDirectory.path + "/postern-\(UUID().uuidString)"
    let prefix = ["/usr/bin/setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]
    var command: [String] { prefix + [folder + "/postern", "run", "--learn", "--"] }

    init() throws {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
      try RealCommand.setMode(0o755, of: folder)
      try FileManager.default.copyItem(atPath: RealCommand.path, toPath: folder + "/postern")
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }
  }

  @Test func `what a program was refused is learnt, and the program is refused it`() throws {
    let place = try Place()
    let node = place.folder + "/disk"
    // Loop device 0; nobody may open the node.
    #expect(try RealCommand.run(["/usr/bin/mknod", "-m", "600", node, "b", "7", "0"]).status == 0)
    let program = """
      import socket, os
      for what in [lambda: socket.socket().bind(('127.0.0.1', 81)),
                   lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).bind(('::', 53)),
                   lambda: socket.socket().bind(('127.0.0.1', 0)),
                   lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1),
                   lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0),
                   lambda: os.open('\(node)', os.O_RDWR), lambda: os.open('/dev/null', os.O_RDWR)]:
          try: what(); print('ok')
          except OSError as e: print(e.errno)
      os._exit(7)
      """
    let ended = try RealCommand.run(place.command + ["/usr/bin/python3", "-c", program])
    #expect(ended.status == 7)
    #expect(ended.output == "13\n13\nok\n1\n1\n13\nok\n")
    for expected in [
      "listen: \"tcp://127.0.0.1:81\"", "listen: \"udp://[0:0:0:0:0:0:0:0]:53\"", "listen: \"raw://icmp\"",
      "listen: \"packet://", "kind: disk, path: \"\(node)\", access: read-write", "user: \"nobody\"",
    ] {
      #expect(ended.errors.contains(expected), "\(ended.errors)")
    }
    #expect(!ended.errors.contains("/dev/null"))
    #expect(!ended.errors.contains("could not be looked at"))
    let executable = try FileManager.default.destinationOfSymbolicLink(atPath: "/usr/bin/python3")
    #expect(ended.errors.contains("executable: \"/usr/bin/\(executable)\""), "\(ended.errors)")
  }

  @Test func `a program that needs nothing is told so`() throws {
    let place = try Place()
    let ended = try RealCommand.run(place.command + ["sh", "-c", "cat /etc/hostname > /dev/null"])
    #expect(ended.status == 0)
    #expect(ended.errors == "postern: nothing was refused for want of a privilege: no policy is needed\n")
  }

  @Test func `the exit code of a killed program is as a shell tells it, and signals are passed on`() throws {
    let place = try Place()
    #expect(try RealCommand.run(place.command + ["sh", "-c", "kill -9 $$"]).status == 137)
    let (process, output, _) = try RealCommand.start(place.command + ["sh", "-c", "echo; exec sleep 60"])
    _ = output.fileHandleForReading.availableData
    process.terminate()
    process.waitUntilExit()
    #expect(process.terminationReason == .exit)
    #expect(process.terminationStatus == 128 + SIGTERM)
  }

  @Test func `what a program leaves running goes on without us`() throws {
    let place = try Place()
    let mark = place.folder + "/mark"
    try Data().write(to: URL(fileURLWithPath: mark))
    try RealCommand.setMode(0o666, of: mark)
    let ended = try RealCommand.run(
      place.command + [
        "sh", "-c", "(exec < /dev/null > /dev/null 2>&1; sleep 1; : < /dev/null && echo went on > \(mark)) &",
      ])
    #expect(ended.status == 0)
    #expect(ended.errors.contains("still running"))
    #expect(try RealCommand.wait { try String(contentsOfFile: mark, encoding: .utf8) == "went on\n" })
  }

  @Test func `one inside postern run is refused in plain words`() throws {
    let broker = try FakeBroker(plan: [row("disk", calls: .open)]) { _ in .letThrough }
    let place = try Place()
    let ended = try RealCommand.run(
      place.prefix + [place.folder + "/postern", "run", "--socket", broker.path]
        + place.command.dropFirst(place.prefix.count - 1) + ["/bin/true"])
    #expect(ended.status == 125)
    #expect(ended.errors.contains("has a seccomp filter with a listener already"))
  }
}
