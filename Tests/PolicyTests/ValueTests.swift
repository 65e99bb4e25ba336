import Authority
import Instructions
import Policy
import Testing

/// What well-formed values become.
@Suite struct ValueTests {
  private func object(_ yaml: String) throws -> ObjectDefinition {
    try #require(try model("version: 1\nobjects:\n  a: { \(yaml) }\n").objects.first)
  }

  private func socket(_ yaml: String) throws -> SocketSpecification {
    guard case .socket(let socket) = try object("kind: socket, \(yaml)").specification else {
      throw PolicyMistakes(mistakes: [])
    }
    return socket
  }

  private func device(_ yaml: String) throws -> BusSpecification.Device {
    guard case .bus(let bus) = try object("kind: bus, \(yaml)").specification else {
      throw PolicyMistakes(mistakes: [])
    }
    return bus.device
  }

  private func address(_ bytes: [UInt8], port: UInt16, _ family: NetworkAddress.Family) -> NetworkAddress {
    var all = InlineArray<16, UInt8>(repeating: 0)
    for (index, byte) in bytes.enumerated() { all[index] = byte }
    return NetworkAddress(family: family, bytes: all, port: port)
  }

  @Test func `endpoints of every scheme are read`() throws {
    #expect(try socket(#"listen: "tcp://1.2.3.4:80""#).endpoint == .tcp(address([1, 2, 3, 4], port: 80, .ipv4)))
    #expect(
      try socket(#"listen: "udp://[::1]:53""#).endpoint
        == .udp(address(Array(repeating: 0, count: 15) + [1], port: 53, .ipv6)))
    #expect(try socket(#"listen: "unix:///run/x.sock""#).endpoint == .unix(path: "/run/x.sock"))
    #expect(try socket(#"listen: "raw://icmp""#).endpoint == .raw(.ipv4, ipProtocol: 1))
    #expect(try socket(#"listen: "raw://icmpv6""#).endpoint == .raw(.ipv6, ipProtocol: 58))
    #expect(try socket(#"listen: "raw://253""#).endpoint == .raw(.ipv4, ipProtocol: 253))
    #expect(try socket(#"listen: "raw://ipv6/253""#).endpoint == .raw(.ipv6, ipProtocol: 253))
    #expect(try socket(#"listen: "packet://eth0""#).endpoint == .packet(interface: "eth0"))
  }

  @Test func `IPv6 text is read in all its forms`() throws {
    let documentation: [UInt8] = [0x20, 0x01, 0x0D, 0xB8]
    #expect(
      try socket(#"listen: "tcp://[2001:db8::1]:1""#).endpoint
        == .tcp(address(documentation + Array(repeating: 0, count: 11) + [1], port: 1, .ipv6)))
    #expect(try socket(#"listen: "tcp://[::]:1""#).endpoint == .tcp(address([], port: 1, .ipv6)))
    #expect(try socket(#"listen: "tcp://[2001:db8::]:1""#).endpoint == .tcp(address(documentation, port: 1, .ipv6)))
    #expect(
      try socket(#"listen: "tcp://[::ffff:1.2.3.4]:1""#).endpoint
        == .tcp(address(Array(repeating: 0, count: 10) + [0xFF, 0xFF, 1, 2, 3, 4], port: 1, .ipv6)))
    #expect(
      try socket(#"listen: "tcp://[1:2:3:4:5:6:7:8]:1""#).endpoint
        == .tcp(address([0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8], port: 1, .ipv6)))
  }

  @Test(arguments: [
    "[1:2:3:4:5:6:7]:1", "[1:2:3:4:5:6:7:8:9]:1", "[::1::]:1", "[:1]:1", "[1:]:1", "[12345::]:1", "[g::]:1",
    "[1.2.3.4::]:1", "[1:2:3:4:5:6:7:1.2.3.4]:1", "[fe80::1%eth0]:1", "[]:1", "[::1]", "[:::]:1", "1.2.3:1",
    "1.2.3.4.5:1", "1.2.3.4:", "1.2.3.4:+1", "1.2.3.4:01", "+1.2.3.4:1", " 1.2.3.4:1", "0x1.2.3.4:1",
    "[1:2:3:4:5:6:7::8]:1",
  ])
  func `text that is no address is none`(_ text: String) {
    #expect(lines("version: 1\nobjects:\n  a: { kind: socket, listen: \"tcp://\(text)\" }\n").count == 1)
  }

  @Test func `patterns have prefixes and ports`() throws {
    let found = try socket(
      #"listen: "udp://0.0.0.0:53", send-to: ["10.0.0.0/8:53-60", 10.0.0.1, "[fe80::]/10", "[::1]:7", "::1", 0.0.0.0/0]"#
    ).sendTo
    let loopback = address(Array(repeating: 0, count: 15) + [1], port: 0, .ipv6)
    #expect(
      found == [
        AddressPattern(address: address([10], port: 0, .ipv4), prefixLength: 8, ports: 53...60),
        AddressPattern(address: address([10, 0, 0, 1], port: 0, .ipv4), prefixLength: 32),
        AddressPattern(address: address([0xFE, 0x80], port: 0, .ipv6), prefixLength: 10),
        AddressPattern(address: loopback, prefixLength: 128, ports: 7...7),
        AddressPattern(address: loopback, prefixLength: 128),
        AddressPattern(address: address([], port: 0, .ipv4), prefixLength: 0),
      ])
  }

  @Test func `options carry level and number`() throws {
    let found = try socket(#"listen: "tcp://0.0.0.0:80", options: [SO_KEEPALIVE, TCP_NODELAY, IP_TTL, IPV6_V6ONLY]"#)
    #expect(
      found.options == [
        SocketOption(name: "SO_KEEPALIVE", level: 1, option: 9), SocketOption(name: "TCP_NODELAY", level: 6, option: 1),
        SocketOption(name: "IP_TTL", level: 0, option: 2), SocketOption(name: "IPV6_V6ONLY", level: 41, option: 26),
      ])
  }

  @Test func `what is left out of a socket allows nothing`() throws {
    let found = try socket(#"listen: "tcp://0.0.0.0:80""#)
    #expect(found.connect.isEmpty && found.sendTo.isEmpty && found.options.isEmpty)
    #expect(found.network == .host)
    #expect(try socket(#"listen: "tcp://0.0.0.0:80", network: /run/netns/blue"#).network == .path("/run/netns/blue"))
  }

  @Test func `a disk is whole, read-only and shared unless it says otherwise`() throws {
    #expect(try object("kind: disk, path: /a").specification == .disk(DiskSpecification(path: "/a")))
    #expect(
      try object("kind: disk, path: /a, access: read-write, exclusive: true, range: { offset: 4KiB, length: 1MiB }")
        .specification
        == .disk(
          DiskSpecification(
            path: "/a", range: ByteRange(offset: 4096, length: 1 << 20), access: .readWrite, exclusive: true)))
    #expect(
      try object("kind: disk, path: /a, range: { length: 512 }").specification
        == .disk(DiskSpecification(path: "/a", range: ByteRange(offset: 0, length: 512))))
  }

  @Test func `every bus is read`() throws {
    #expect(try device("bus: i2c, path: /dev/i2c-1, address: 0x48") == .i2c(path: "/dev/i2c-1", address: 0x48))
    #expect(try device("bus: i2c, path: /dev/i2c-1, address: 72") == .i2c(path: "/dev/i2c-1", address: 72))
    #expect(
      try device("bus: spi, path: /dev/spidev0.0, speed: 1000000")
        == .spi(path: "/dev/spidev0.0", mode: 0, speed: 1_000_000, bits: 8))
    #expect(
      try device("bus: gpio, path: /dev/gpiochip0, lines: [4, 17], direction: in, edge: both")
        == .gpio(path: "/dev/gpiochip0", lines: [4, 17], direction: .input, edge: .both))
    #expect(
      try device("bus: gpio, path: /dev/gpiochip0, lines: [4], direction: out")
        == .gpio(path: "/dev/gpiochip0", lines: [4], direction: .output, edge: .none))
    #expect(
      try device("bus: serial, path: /dev/ttyS0, baud: 9600, parity: odd, stop-bits: 2")
        == .serial(path: "/dev/ttyS0", baud: 9600, parity: .odd, stopBits: 2))
    #expect(
      try device("bus: serial, path: /dev/ttyS0, baud: 115200")
        == .serial(path: "/dev/ttyS0", baud: 115200, parity: .none, stopBits: 1))
    #expect(
      try device("bus: pci, path: \"0000:00:04.0\", region: bar5") == .pci(address: "0000:00:04.0", region: .bar(5)))
    #expect(try device("bus: hid, path: /dev/hidraw0") == .hid(path: "/dev/hidraw0"))
    #expect(try device("bus: usb, path: /dev/bus/usb/001/002") == .usb(path: "/dev/bus/usb/001/002"))
    for simulated in SimulatedDevice.allCases {
      #expect(try device("bus: simulated, device: \(simulated.rawValue)") == .simulated(simulated))
    }
  }

  @Test func `quoted and plain scalars mean the same`() throws {
    #expect(
      try object(#"kind: "disk", path: '/a', exclusive: "true", range: { length: "512" }"#)
        == object("kind: disk, path: /a, exclusive: true, range: { length: 512 }"))
  }

  @Test func `a name that YAML would take for a number or a truth value stays a name`() throws {
    let model = try model(
      """
      version: 1
      objects:
        yes: { kind: disk, path: /a }
        0x10: { kind: disk, path: /b }
        null: { kind: disk, path: /c }
        1.0: { kind: disk, path: /d }
        "1": { kind: disk, path: /e }
      """)
    #expect(model.objects.map(\.name) == ["yes", "0x10", "null", "1.0", "1"])
  }

  @Test func `an application has every key`() throws {
    let model = try model(
      """
      version: 1
      applications:
        a:
          user: alice
          group: 44
          executable: /bin/a
          cgroup: /system.slice/a.service
          processes: 3
          traceable: true
          namespace: { pid: /run/ns/pid, network: host }
          requests-per-second: 100
        b: { group: video }
      """)
    #expect(
      model.applications == [
        ApplicationDefinition(
          name: "a", user: NamedID(name: "alice", id: 1000), group: NamedID(name: "44", id: 44), executable: "/bin/a",
          cgroup: "/system.slice/a.service", processes: 3, traceable: true, pidNamespace: "/run/ns/pid",
          networkNamespace: .host, requestsPerSecond: 100),
        ApplicationDefinition(name: "b", group: NamedID(name: "video", id: 44)),
      ])
  }

  @Test func `a grant has every key`() throws {
    let model = try model(
      """
      version: 1
      objects:
        disk: { kind: disk, path: /a, access: read-write }
        dns: { kind: socket, listen: "tcp://0.0.0.0:53", connect: [10.0.0.0/8], send-to: [10.0.0.0/8], options: [SO_MARK] }
        pad: { kind: bus, bus: hid, path: /dev/hidraw0, ioctls: [HIDIOCGRDESC] }
      applications:
        a: { user: alice }
      grants:
        - application: a
          object: disk
          operations: [read]
          on-fork: deny
          on-exec: keep
          expires: 15m
          path: direct
          handover: true
          audit: first-use
          mmap: true
          on-stuck-revoke: kill
          range: { offset: 512, length: 512 }
          access: read-only
          message: ask
        - application: a
          object: dns
          operations: [connect, send, setoption]
          connect: [10.1.0.0/16]
          send-to: [10.2.0.0/16]
          options: [SO_MARK]
          accepted: recall
        - application: a
          object: pad
          operations: [control]
          ioctls: [HIDIOCGRDESC]
      """)
    var disk = GrantRule(
      application: "a", object: "disk", operations: OperationSet(.read), onFork: .deny, onExec: .keep, expires: 900,
      path: .only(.direct), handover: true, audit: .firstUse, mmap: true, killOnStuckRevoke: true)
    disk.range = ByteRange(offset: 512, length: 512)
    disk.access = .readOnly
    disk.message = "ask"
    #expect(model.grants.first == disk)
    #expect(model.grants[1].connect?.map(\.prefixLength) == [16])
    #expect(model.grants[1].sendTo?.map(\.prefixLength) == [16])
    #expect(model.grants[1].options?.map(\.name) == ["SO_MARK"])
    #expect(model.grants[1].recallAccepted)
    #expect(model.grants[2].ioctls == [ControlRequest(name: "HIDIOCGRDESC", request: 0x9004_4802)])
  }

  @Test func `a grant's keys that are left out have their defaults`() throws {
    let model = try model(
      """
      version: 1
      objects: { d: { kind: disk, path: /a } }
      applications: { a: { user: alice } }
      grants: [{ application: a, object: d, operations: [read] }]
      """)
    #expect(model.grants == [GrantRule(application: "a", object: "d", operations: OperationSet(.read))])
    #expect(model.limits == UserLimits())
    #expect(model.audit == AuditSettings())
  }

  @Test func `settings are read`() throws {
    let model = try model(
      """
      version: 1
      admins: postern-admin
      limits: { connections-per-user: 1, requests-per-user: 2, objects-per-user: 3 }
      audit:
        retention: 30d
        segment: 1MiB
        redact: [operands, cgroup]
        readers: audit-group
        sinks: [journald, "file:/var/log/p"]
        checkpoints: /mnt/elsewhere
      """)
    #expect(model.admins == "postern-admin")
    #expect(model.adminsID == 990)
    #expect(model.limits == UserLimits(connections: 1, requests: 2, objects: 3))
    #expect(
      model.audit
        == AuditSettings(
          retention: 30 * 86400, segment: 1 << 20, redact: [.operands, .cgroup], readers: "audit-group",
          sinks: [.journald, .file(path: "/var/log/p")], readersID: 991, checkpoints: "/mnt/elsewhere"))
  }

  @Test(arguments: [("30s", 30), ("15m", 900), ("8h", 28800), ("90d", 7_776_000), ("0", 0)] as [(String, UInt64)])
  func `a duration is seconds`(_ text: String, _ seconds: UInt64) throws {
    #expect(try model("version: 1\naudit: { retention: \(text) }\n").audit.retention == seconds)
  }

  @Test func `a message may be a block of one line`() throws {
    let model = try model(
      "version: 1\nobjects:\n  a:\n    kind: disk\n    path: /a\n    message: >\n      ask the\n      team\n")
    #expect(model.objects.first?.message == "ask the team")
  }
}
