import Foundation
import TestSupport
import Testing

/// Programs that need raw and packet sockets, as an ordinary user without a capability.
@Suite(.enabled(if: Tier.root, "needs root: network namespaces"), .timeLimit(.minutes(3)))
struct NetworkToolTests {
  private let raw = Policies.granting([
    .socket("ping", "raw://icmp", "send, receive", ", send-to: [127.0.0.0/8]")
  ])
  private let packet = Policies.granting([.socket("frames", "packet://lo", "receive")])

  @Test func `ping works with a raw socket alone`() throws {
    try Scene.run(raw) { scene in
      // No group may use the kernel's own ping sockets.
      try scene.rootShell("echo 1 0 > /proc/sys/net/ipv4/ping_group_range")
      // A copy has no capabilities; with them, it could not even be started with an empty bounding set (capabilities(7)).
      let program = scene.folder + "/open/ping"
      try scene.rootShell("cp /usr/bin/ping \(program) && chmod 755 \(program)")
      let ping = try scene.runToEnd(program, "-c", "2", "-i", "0.2", "-W", "5", "127.0.0.1")
      #expect(ping.status == 0, "\(ping.output)\(ping.errors)")
      #expect(ping.output.contains(" 0% packet loss"))
      let plain = try scene.plainly(program, "-c", "1", "-W", "5", "127.0.0.1")
      #expect(plain.status == 2)
      #expect(plain.errors.contains("Operation not permitted"))
    }
  }

  @Test func `postern says that a program's file capabilities do not count`() throws {
    try Scene.run(raw) { scene in
      let capable = scene.folder + "/open/capable"
      try scene.rootShell("cp /bin/true \(capable) && setcap cap_net_raw+p \(capable)")
      let run = try scene.runToEnd(capable)
      #expect(run.status == 0)
      #expect(run.errors.contains("is given capabilities by its file; it runs without that here"), "\(run.errors)")
    }
  }

  @Test func `a raw socket of another protocol or family is refused, and that is recorded`() throws {
    try Scene.run(raw) { scene in
      func socket(_ family: String, _ protocolNumber: Int) throws -> String {
        try scene.runToEnd(
          "python3", "-c",
          """
          import socket
          s = socket.socket(socket.\(family), socket.SOCK_RAW, \(protocolNumber))
          print(s.family.name, s.type.name, s.proto, s.getblocking())
          """
        ).output
      }
      #expect(try socket("AF_INET", 1) == "AF_INET SOCK_RAW 1 True\n")
      for (family, number) in [("AF_INET", 17), ("AF_INET", 255), ("AF_INET6", 58), ("AF_PACKET", 768)] {
        #expect(try socket(family, number) == "", "\(family) \(number)")
      }
      let refused = try scene.broker.journal().filter { $0.kind == "refusal" && $0.uid == 65534 }
      #expect(refused.count == 4, "\(refused)")
      #expect(refused.allSatisfy { $0.reason == "no-such-object" }, "\(refused)")
    }
  }

  @Test func `tcpdump captures on lo`() throws {
    try Scene.run(packet) { scene in
      let capture = try scene.run("timeout", "20", "tcpdump", "-i", "lo", "-n", "-c", "2", "icmp")
      let isListening = eventually { capture.output.contains("listening on lo") }
      #expect(isListening, "\(capture.output)")
      try scene.rootShell("ping -c 2 -i 0.2 127.0.0.1")
      let hasEnded = eventually { !capture.isRunning }
      #expect(hasEnded)
      #expect(capture.output.contains("2 packets captured"), "\(capture.output)")
      #expect(capture.output.contains("127.0.0.1 > 127.0.0.1: ICMP echo request"))
    }
  }

  @Test func `a packet socket is given frames of its interface alone, from the first`() throws {
    try Scene.run(packet) { scene in
      let made = try scene.rootShell(
        """
        ip link add here type veth peer name there && ip link set here up && ip link set there up &&
        ip address add 192.0.2.1/24 dev here
        """)
      #expect(made.status == 0, "\(made.errors)")
      func interfaces(_ start: (String) throws -> Service) throws -> Set<String> {
        let frames = try start(try Programs.path("frames"))
        _ = eventually { frames.output.contains("ready") }
        try scene.rootShell("ping -c 1 127.0.0.1; ping -c 1 -W 1 192.0.2.2")
        _ = eventually { !frames.isRunning }
        return Set(frames.output.split(separator: "\n").filter { $0.hasPrefix("frames of ") }.map(String.init))
      }
      #expect(try interfaces { try scene.run($0) } == ["frames of lo"])
      // The same program as root, so that the other frames are seen to be there.
      let everything = try interfaces {
        try Service(scene.network.prefix + [$0], output: scene.folder + "/output-of-root")
      }
      #expect(everything == ["frames of lo", "frames of here", "frames of there"])
    }
  }
}
