import Authority
import Foundation
import Instructions
import Policy
import Testing

@Suite struct ExampleTests {
  /// The contract's example, as it stands in the design.
  static let contract = """
    version: 1
    admins: postern-admin                                         # a group; root and the broker's own user always
    objects:
      web:     { kind: socket, listen: "tcp://0.0.0.0:80" }      # udp:// unix:///path raw://icmp packet://eth0; network: host
      scratch:
        kind: disk
        path: /dev/loop0
        range: { offset: 0, length: 1048576 }                     # bytes; default the whole object
        access: read-only                                         # default; or read-write
        exclusive: false                                          # default
      sensor:  { kind: bus, bus: i2c, path: /dev/i2c-1, address: 0x48 }   # i2c spi gpio serial pci hid usb simulated
      panel:   { kind: bus, bus: gpio, path: /dev/gpiochip0, lines: [4, 17], direction: in, edge: both }
      dac:     { kind: bus, bus: spi, path: /dev/spidev0.0, mode: 0, speed: 1000000, bits: 8 }
      modem:   { kind: bus, bus: serial, path: /dev/ttyS0, baud: 115200, parity: none, stop-bits: 1 }
      card:    { kind: bus, bus: pci, path: "0000:00:04.0", region: config }          # or bar0 … bar5
      pad:     { kind: bus, bus: hid, path: /dev/hidraw0, ioctls: [HIDIOCGRDESC] }    # allow-list, also for usb, serial
      eeprom:  { kind: bus, bus: simulated, device: 24c02 }
      ping:    { kind: socket, listen: "raw://icmp", send-to: ["127.0.0.0/8"] }       # connect:, send-to:, options: are limits
    applications:
      shop:                                                       # every key given must match; at least one
        user: www-data                                            # effective uid; also group
        executable: /usr/sbin/nginx                               # by device and inode at match time
        cgroup: /system.slice/nginx.service                       # this one or below
        processes: 16                                             # live process resources with an association at once; default 64
        traceable: false                                          # default; namespace: {pid: PATH, network: host|PATH}; requests-per-second:
    grants:
      - application: shop
        object: web
        operations: [bind, listen, accept]
        on-fork: revalidate                                       # default (run: inherit); inherit | deny
        on-exec: drop                                             # default; keep
        expires: 8h                                               # from association; default never
        path: any                                                 # default; mediated | ring | direct
        handover: false                                           # default
        accepted: leave                                           # default; recall
        audit: refusals                                           # default; first-use | all
        mmap: false                                               # default
        on-stuck-revoke: report                                   # default; kill
        range: { offset: 0, length: 4096 }                        # range, access, addresses may be narrowed per grant, never widened
        message: "ask the platform team for port 80"              # also allowed on objects
    limits:    { connections-per-user: 64, requests-per-user: 256, objects-per-user: 256 }
    audit:     { retention: 90d, segment: 64MiB, redact: [], readers: audit-group, sinks: [journald] }
    """

  @Test func `the contract's example is read without an error`() throws {
    #expect(
      lines(Self.contract) == [
        // It stands in a grant for a socket, to show the key.
        "p.yaml:39:5: warning: range means nothing for \"web\", which is a tcp socket"
      ])
    let model = try model(Self.contract)
    #expect(model.objects.count == 10)
    #expect(model.grants.first?.expires == 8 * 3600)
  }
}

extension ExampleTests {
  @Test func `the packaged example is read without an error`() throws {
    let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("packaging/policy.example.yaml")
    let text = try String(contentsOf: path, encoding: .utf8)
    #expect(lines(text) == [])
    let example = try model(text)
    let contract = try model(Self.contract)
    // It shows the contract's own objects and applications.
    #expect(example.objects == contract.objects)
    #expect(example.applications == contract.applications)
    #expect(example.limits == contract.limits)
    #expect(example.audit == contract.audit)
  }
}
