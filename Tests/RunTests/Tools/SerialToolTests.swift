import Foundation
import TestSupport
import Testing

/// Programs at a serial device, here a pseudo-terminal that only root may open.
@Suite(.enabled(if: Tier.root, "needs root: network namespaces"), .timeLimit(.minutes(3)))
struct SerialToolTests {
  private func run(_ body: (Scene, String) throws -> Void) throws {
    let device = try Dialogue(["/usr/bin/env", "python3", try Programs.path("line-device")])
    defer { device.end() }
    let path = device.heard()
    let line = GrantedObject("line", "kind: bus, bus: serial, path: \(path), baud: 115200", "read, write")
    try Scene.run(Policies.granting([line])) { scene in try body(scene, path) }
  }

  @Test func `socat talks to the granted device`() throws {
    try run { scene, path in
      let talk = try scene.shell("printf hello | $RUN timeout 20 socat -t 1 - \(path),raw,echo=0")
      #expect(talk.status == 0, "\(talk.errors)")
      #expect(talk.output == "heard hello")
      let plain = try scene.shell("printf hello | timeout 20 socat -t 1 - \(path),raw,echo=0")
      #expect(plain.status == 1)
      #expect(plain.errors.contains("Permission denied"))
    }
  }

  @Test func `a program that leads a session does not get the device as its terminal, nor does the broker`() throws {
    try run { scene, path in
      let opened = try scene.runToEnd(
        "setsid", "--wait", "python3", "-c",
        """
        import os, errno
        device = os.open("\(path)", os.O_RDWR)
        os.write(device, b"x")
        print(os.read(device, 20))
        try:
          os.open("/dev/tty", os.O_RDWR)
        except OSError as e:
          print(errno.errorcode[e.errno])
        """)
      #expect(opened.output == "b'heard x'\nENXIO\n", "\(opened.errors)")
      let broker = try String(contentsOfFile: "/proc/\(scene.broker.pid)/stat", encoding: .utf8)
      // tty_nr (proc_pid_stat(5)), the fifth field behind the name.
      #expect(broker.components(separatedBy: ") ").last?.split(separator: " ")[4] == "0")
    }
  }
}
