import Authority
import Foundation
import Instructions
import Policy
import TestSupport
import Testing

@testable import PosternCommands

private struct Users: AccountDirectory {
  func userID(named name: String) -> UInt32? { ["nobody": 65534, "www-data": 33][name] }
  func groupID(named name: String) -> UInt32? { nil }
}

private func address(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8, port: UInt16) -> NetworkAddress {
  var bytes = InlineArray<16, UInt8>(repeating: 0)
  (bytes[0], bytes[1], bytes[2], bytes[3]) = (a, b, c, d)
  return NetworkAddress(family: .ipv4, bytes: bytes, port: port)
}

private func ipv6Any(port: UInt16) -> NetworkAddress {
  NetworkAddress(family: .ipv6, bytes: InlineArray<16, UInt8>(repeating: 0), port: port)
}

private func call(
  _ subject: RefusedCall.Subject, user: String = "nobody", executable: String = "/usr/bin/python3.11"
) -> RefusedCall { RefusedCall(subject: subject, user: user, executable: executable) }

private func device(
  _ path: String, isBlock: Bool = false, subsystem: String = "", reads: Bool = true, writes: Bool = false
) -> RefusedCall.Subject {
  .device(RefusedCall.Device(path: path, isBlock: isBlock, subsystem: subsystem, reads: reads, writes: writes))
}

private func text(_ calls: RefusedCall...) -> String { LearnedPolicy(calls, interface: "eth0").text }

/// What our own reader makes of it.
private func read(_ text: String) throws -> PolicyModel {
  let file = PolicyFile(name: "learned", bytes: Array(text.utf8))
  return try PolicyReader.read(files: [file], directory: Users()).get().model
}

@Suite struct LearnedPolicyTests {
  @Test func `a refused port becomes one object, one application, one grant`() throws {
    let model = try read(text(call(.port(address(0, 0, 0, 0, port: 80), isStream: true))))
    #expect(model.objects.map(\.name) == ["tcp-80"])
    guard case .socket(let socket) = model.objects[0].specification else { throw Unexpected() }
    #expect(socket.endpoint == .tcp(address(0, 0, 0, 0, port: 80)))
    #expect(model.applications.map(\.name) == ["python3.11"])
    #expect(model.applications[0].executable == "/usr/bin/python3.11")
    #expect(model.applications[0].user?.id == 65534)
    #expect(model.grants.count == 1)
    #expect(model.grants[0].operations == OperationSet([.bind, .listen, .accept]))
    #expect(model.grants[0].handover)
  }

  @Test func `an object that two programs need is there once, with a grant each`() throws {
    let web = RefusedCall.Subject.port(ipv6Any(port: 443), isStream: true)
    let model = try read(
      text(
        call(web), call(web, executable: "/opt/x/python3.11"), call(web, user: "www-data"),
        call(.port(ipv6Any(port: 53), isStream: false))))
    #expect(model.objects.map(\.name) == ["tcp-443", "udp-53"])
    #expect(model.applications.map(\.name) == ["python3.11", "python3.11-2", "python3.11-3"])
    #expect(model.grants.count == 4)
  }

  @Test func `one port at two addresses is two objects of different names`() throws {
    let model = try read(
      text(
        call(.port(address(127, 0, 0, 1, port: 80), isStream: true)),
        call(.port(address(127, 0, 0, 2, port: 80), isStream: true))))
    #expect(model.objects.map(\.name) == ["tcp-80", "tcp-80-2"])
    #expect(model.grants.map(\.object) == ["tcp-80", "tcp-80-2"])
  }

  @Test func `a disk that is also written is read-write, and each program gets what it did`() throws {
    let learned = text(
      call(device("/dev/sda1", isBlock: true)),
      call(device("/dev/sda1", isBlock: true, reads: false, writes: true), executable: "/bin/dd"),
      call(device("/dev/sda1", isBlock: true, reads: true, writes: true), executable: "/bin/dd"))
    let model = try read(learned)
    #expect(model.objects.count == 1)
    guard case .disk(let disk) = model.objects[0].specification else { throw Unexpected() }
    #expect(disk.access == .readWrite)
    #expect(disk.path == "/dev/sda1")
    #expect(model.grants.map(\.operations) == [OperationSet(.read), OperationSet([.read, .write])])
    #expect(learned.contains("# warning: this is the whole of /dev/sda1"))
  }

  @Test func `raw and packet sockets are warned of`() throws {
    let learned = text(
      call(.rawSocket(.ipv4, ipProtocol: 1)), call(.rawSocket(.ipv6, ipProtocol: 58)),
      call(.rawSocket(.ipv6, ipProtocol: 200)), call(.packetSocket))
    let model = try read(learned)
    #expect(model.objects.map(\.name) == ["raw-icmp", "raw-icmpv6", "raw-ipv6-200", "packet"])
    let endpoints = model.objects.map { object -> SocketSpecification.Endpoint? in
      if case .socket(let socket) = object.specification { socket.endpoint } else { nil }
    }
    #expect(
      endpoints == [
        .raw(.ipv4, ipProtocol: 1), .raw(.ipv6, ipProtocol: 58), .raw(.ipv6, ipProtocol: 200),
        .packet(interface: "eth0"),
      ])
    #expect(learned.components(separatedBy: "# warning: ").count - 1 == 5)
    #expect(model.grants.allSatisfy { $0.operations == OperationSet([.send, .receive]) })
  }

  @Test func `character devices become buses by their class`() throws {
    let learned = text(
      call(device("/dev/ttyS0", subsystem: "tty", reads: true, writes: true)),
      call(device("/dev/hidraw0", subsystem: "hidraw")), call(device("/dev/bus/usb/001/002", subsystem: "usb")),
      call(device("/dev/spidev0.0", subsystem: "spidev")), call(device("/dev/pts/7")))
    let model = try read(learned)
    #expect(
      model.objects.map(\.name) == ["ttyS0", "hidraw0", "bus-usb-001-002", "spidev0.0", "pts-7"])
    #expect(model.objects.allSatisfy { $0.kind == .bus })
    #expect(learned.components(separatedBy: "# warning: ").count - 1 >= 5)
  }

  @Test func `what cannot be handed over is only spoken of`() throws {
    let learned = text(
      call(device("/dev/i2c-1", subsystem: "i2c-dev", reads: true, writes: true)),
      call(device("/dev/gpiochip0", subsystem: "gpio")), call(device("/dev/mem", subsystem: "mem")))
    #expect(learned.split(separator: "\n").allSatisfy { $0.hasPrefix("# ") })
    #expect(learned.contains("only") || learned.contains("mediated"))
    #expect(learned.contains("/dev/mem, opened for reading, is of no kind that Postern can broker"))
    #expect(LearnedPolicy([], interface: "lo").text == "")
  }

  @Test func `a path or a name cannot break out of its place`() throws {
    let evil = "/tmp/a\"b\\c  d: [x] #\u{85}\u{2028}\u{202E}é"
    let model = try read(
      text(
        call(device("/dev/mapper/x\"y #", isBlock: true)),
        call(.port(address(0, 0, 0, 0, port: 81), isStream: true), executable: evil)))
    #expect(model.applications.map(\.executable) == ["/usr/bin/python3.11", evil])
    guard case .disk(let disk) = model.objects[0].specification else { throw Unexpected() }
    #expect(disk.path == "/dev/mapper/x\"y #")
  }

  @Test func `what no policy can name is only spoken of`() {
    let learned = text(
      call(.port(ipv6Any(port: 80), isStream: true), executable: "/tmp/x\n - y"),
      call(device("/dev/x\u{1B}[2J", isBlock: true)))
    #expect(learned.split(separator: "\n").count == 2)
    #expect(learned.split(separator: "\n").allSatisfy { $0.hasPrefix("# ") && $0.hasSuffix("no policy can name") })
    #expect(!learned.contains("\u{1B}"))
  }

  @Test func `whatever is seen, the reader takes it`() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SplitMix(state: seed)
    let paths = [
      "/dev/sd\u{e4}", "/dev/.x", "/dev/-", "/dev/a b", "/dev/\u{7f}", "/dev/" + String(repeating: "n", count: 200),
    ]
    for _ in 0..<200 {
      var calls: [RefusedCall] = []
      for _ in 0..<Int.random(in: 1...8, using: &random) {
        let subject: RefusedCall.Subject =
          switch Int.random(in: 0..<4, using: &random) {
          case 0:
            .port(
              address(.random(in: 0...255, using: &random), 1, 2, 3, port: .random(in: 1...1023, using: &random)),
              isStream: .random(using: &random))
          case 1: .rawSocket(.random(using: &random) ? .ipv4 : .ipv6, ipProtocol: .random(in: 1...255, using: &random))
          case 2: .packetSocket
          default:
            device(
              paths.randomElement(using: &random) ?? "", isBlock: true, reads: true, writes: .random(using: &random))
          }
        calls.append(
          call(
            subject, user: Bool.random(using: &random) ? "nobody" : "4242",
            executable: paths.randomElement(using: &random) ?? ""))
      }
      let learned = LearnedPolicy(calls, interface: "lo")
      guard !learned.isEmpty else { continue }
      #expect(throws: Never.self, "seed \(seed)\n\(learned.text)") { try read(learned.text) }
    }
  }
}

private struct Unexpected: Error {}
