import Foundation
import TestSupport
import Testing

/// A server that moves much data. What it costs is Benchmarks/throughput's to say; there is no time bar here.
@Suite(
  .enabled(if: Tier.root, "needs root: network namespaces"),
  .enabled(if: Tier.has("iperf3"), "needs iperf3"), .timeLimit(.minutes(3)))
struct ThroughputTests {
  @Test func `iperf3 serves on a privileged port`() throws {
    try Scene.run(Policies.sockets(["web": "tcp://[::]:80"])) { scene in
      let server = try scene.run("iperf3", "--server", "--one-off", "--port", "80")
      let isListening = try eventually { try !scene.broker.associations().isEmpty }
      #expect(isListening, "\(server.output)\(scene.broker.errors)")
      let client = try scene.plainly(
        "iperf3", "--client", "127.0.0.1", "--port", "80", "--bytes", "64M", "--json", "--connect-timeout", "5000")
      #expect(client.status == 0, "\(client.output)\(server.output)")
      #expect(client.output.contains("\"sum_received\""))
    }
  }
}
