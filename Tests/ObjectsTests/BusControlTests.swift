import Authority
import Glibc
import Instructions
import Linux
import Objects
import Testing

@Suite struct `The table of control requests` {
  @Test func `has the numbers of the kernel's headers`() throws {
    for (name, number) in KernelRequests.all {
      let bus: BusControl.Bus = name.hasPrefix("HID") ? .hid : name.hasPrefix("USB") ? .usb : .serial
      let control = try #require(BusControl(name: name, on: bus), "\(name)")
      #expect(control.request == number, "\(name)")
      #expect(BusControl(request: number, on: bus) == control, "\(name)")
      for other in BusControl.Bus.allCases where other != bus {
        #expect(BusControl(name: name, on: other) == nil, "\(name)")
        #expect(BusControl(request: number, on: other) == nil, "\(name)")
      }
    }
    #expect(KernelRequests.all.count == 36)
  }

  @Test(arguments: BusControl.Bus.allCases)
  func `names what it has`(bus: BusControl.Bus) {
    for name in BusControl.names(on: bus) {
      let sized = String(name.prefix { $0 != "(" }) + (name.hasSuffix("(N)") ? "(8)" : "")
      #expect(BusControl(name: sized, on: bus)?.name == sized)
    }
    #expect(BusControl.Bus.allCases.reduce(0) { $0 + BusControl.names(on: $1).count } == KernelRequests.all.count)
  }

  @Test func `knows every length of a request that says its length`() {
    #expect(BusControl(name: "HIDIOCGFEATURE(1)", on: .hid)?.request == 0xc001_4807)
    #expect(BusControl(name: "HIDIOCGFEATURE(16383)", on: .hid)?.request == 0xffff_4807)
    #expect(
      BusControl(request: 0xc040_4806, on: .hid)?.argument == .structure(size: 64, isInput: true, isOutput: false))
    #expect(BusControl(name: "HIDIOCGRAWNAME", on: .hid)?.name == "HIDIOCGRAWNAME(256)")
  }

  @Test(arguments: [
    "HIDIOCGFEATURE", "HIDIOCGFEATURE()", "HIDIOCGFEATURE(0)", "HIDIOCGFEATURE(16384)", "HIDIOCGFEATURE(08)",
    "HIDIOCGFEATURE(8", "HIDIOCGFEATURE(-8)", "HIDIOCGFEATURE(+8)", "HIDIOCGRDESC(8)", "HIDIOCREVOKE", "", "(8)",
  ])
  func `does not know what is not there`(name: String) {
    #expect(BusControl(name: name, on: .hid) == nil)
  }

  @Test(
    arguments: [
      0x8038_550a, 0x4008_550c, 0xc010_5512, 0x8010_550e, 0x4008_550d, 0x5516, 0x8008_551c, 0x40045520, 0x8108_551b,
    ] as [UInt32])
  func `has no usbfs request with pointers, signals or memory of others`(request: UInt32) {
    // SUBMITURB, REAPURB, IOCTL, DISCSIGNAL, REAPURBNDELAY, DISCONNECT, ALLOC_STREAMS, DROP_PRIVILEGES, DISCONNECT_CLAIM
    #expect(BusControl(request: request, on: .usb) == nil)
  }
}

/// No hidraw or usbfs device is on this machine: what reaches the kernel is shown up to the system call, which a file
/// that is no such device refuses with ENOTTY.
@Suite struct `A hid object` {
  private func open() throws -> any OpenObject {
    BusObject.hid(try BusDevice(path: "/dev/null"))
  }

  @Test(arguments: ["/dev/null", "/dev/kmsg", "/dev/ptmx", "/proc/self/environ"])
  func `is not opened on anything else`(path: String) {
    #expect { try BusObject.open(BusSpecification(device: .hid(path: path)), simulation: SimulatedBuses()) } throws: {
      [ENOTTY, EINVAL, EACCES].contains(($0 as? SystemError)?.errno)
    }
  }

  @Test func `passes a request of the table on, on a pool thread`() throws {
    let pad = try open()
    let request = try #require(BusControl(name: "HIDIOCGRDESCSIZE", on: .hid)).request
    #expect(pad.run(.control, request: request, blocking: false).outcome == .blocks)
    #expect(pad.run(.control, request: request) == (.failed(ENOTTY), []))
  }

  @Test func `checks the size of what goes in and comes out before the call`() throws {
    let pad = try open()
    let feature = try #require(BusControl(name: "HIDIOCGFEATURE(8)", on: .hid)).request
    #expect(pad.run(.control, Array(repeating: 0, count: 7), request: feature) == (.failed(EINVAL), []))
    #expect(pad.run(.control, Array(repeating: 0, count: 9), request: feature) == (.failed(EINVAL), []))
    #expect(pad.run(.control, Array(repeating: 0, count: 8), request: feature, room: 7) == (.failed(EINVAL), []))
    #expect(pad.run(.control, Array(repeating: 0, count: 8), request: feature) == (.failed(ENOTTY), []))
  }

  @Test func `writes reports of 1 to 16,384 bytes`() throws {
    let pad = try open()
    #expect(pad.run(.write, []).outcome == .failed(EINVAL))
    #expect(pad.run(.write, Array(repeating: 0, count: 16385)).outcome == .failed(EINVAL))
    #expect(pad.run(.write, Array(repeating: 0, count: 16384)).outcome == .done(16384))
  }

  @Test func `reads at least one byte of a report, within the room`() throws {
    let pad = try open()
    #expect(pad.run(.read, length: 0).outcome == .failed(EINVAL))
    #expect(pad.run(.read, length: 9, room: 8).outcome == .failed(EINVAL))
  }

  @Test(arguments: Opcode.allCases.filter { ![.read, .write, .wait, .control].contains($0) })
  func `other operations do not exist`(opcode: Opcode) throws {
    #expect(!BusSpecification(device: .hid(path: "/dev/null")).supports(opcode))
    #expect(try open().run(opcode, [0], length: 1) == (.failed(EINVAL), []))
  }
}

@Suite struct `A usb object` {
  private func open() throws -> any OpenObject {
    BusObject.usb(try BusDevice(path: "/dev/null"))
  }

  @Test(arguments: ["/dev/null", "/dev/ptmx"])
  func `is not opened on anything else`(path: String) {
    #expect { try BusObject.open(BusSpecification(device: .usb(path: path)), simulation: SimulatedBuses()) } throws: {
      [ENOTTY, EINVAL].contains(($0 as? SystemError)?.errno)
    }
  }
  private let control: UInt32 = 0xc018_5500
  private let bulk: UInt32 = 0xc018_5502

  @Test func `reads a setup packet as the specification lays it out`() {
    #expect(
      USBSetup(payload: [0x80, 6, 0x00, 0x01, 0x09, 0x04, 0x12, 0x00])
        == USBSetup(requestType: 0x80, request: 6, value: 0x0100, index: 0x0409, length: 18))
    #expect(
      USBSetup(payload: [0x21, 9, 0x00, 0x02, 0, 0, 2, 0, 0xaa, 0xbb])
        == USBSetup(requestType: 0x21, request: 9, value: 0x0200, index: 0, length: 2))
  }

  @Test(arguments: [
    [], [0x80, 6, 0, 1, 0, 0, 18], [0x21, 9, 0, 2, 0, 0, 2, 0], [0x21, 9, 0, 2, 0, 0, 2, 0, 1],
    [0x21, 9, 0, 2, 0, 0, 2, 0, 1, 2, 3],
  ])
  func `a control transfer whose data is not what the packet announces is EINVAL`(payload: [UInt8]) throws {
    #expect(USBSetup(payload: payload) == nil)
    #expect(try open().run(.control, payload, request: control) == (.failed(EINVAL), []))
  }

  @Test func `transfers that are well formed reach the kernel`() throws {
    let device = try open()
    #expect(device.run(.control, [0x80, 6, 0, 1, 0, 0, 18, 0], request: control) == (.failed(ENOTTY), []))
    #expect(device.run(.control, [0x81, 0, 0, 0, 64, 0, 0, 0], request: bulk) == (.failed(ENOTTY), []))
    #expect(device.run(.control, [0x01, 0, 0, 0, 1, 0, 0, 0, 7], request: bulk) == (.failed(ENOTTY), []))
  }

  @Test(arguments: [
    [], [0x81, 0, 0, 0, 64, 0, 0], [0x01, 0, 0, 0, 2, 0, 0, 0, 1],
    [0x81, 0, 0, 0, 1, 0, 1, 0], [0x81, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
  ])
  func `a bulk transfer that is not what it announces, or too long, is EINVAL`(payload: [UInt8]) throws {
    #expect(try open().run(.control, payload, request: bulk, room: 1 << 20) == (.failed(EINVAL), []))
  }

  @Test func `one buffer for both ways may be longer than what goes in`() throws {
    let device = try open()
    let room = Array(repeating: UInt8(0), count: 10)
    #expect(device.run(.control, [0x80, 6, 0, 1, 0, 0, 18, 0] + room, request: control) == (.failed(ENOTTY), []))
    #expect(device.run(.control, [0x81, 0, 0, 0, 18, 0, 0, 0] + room, request: bulk) == (.failed(ENOTTY), []))
    let pad = BusObject.hid(try BusDevice(path: "/dev/null"))
    let size = try #require(BusControl(name: "HIDIOCGRDESCSIZE", on: .hid)).request
    #expect(pad.run(.control, [0, 0, 0, 0], request: size) == (.failed(ENOTTY), []))
    #expect(pad.run(.control, [0, 0, 0], request: size) == (.failed(EINVAL), []))
  }

  @Test func `data for which there is no room is EINVAL`() throws {
    #expect(
      try open().run(.control, [0x80, 6, 0, 1, 0, 0, 18, 0], request: control, room: 17) == (.failed(EINVAL), []))
    #expect(try open().run(.control, [0x81, 0, 0, 0, 64, 0, 0, 0], request: bulk, room: 63) == (.failed(EINVAL), []))
  }

  @Test(arguments: Opcode.allCases.filter { $0 != .control })
  func `only control exists`(opcode: Opcode) throws {
    #expect(!BusSpecification(device: .usb(path: "/dev/null")).supports(opcode))
    #expect(try open().run(opcode, [0], length: 1) == (.failed(EINVAL), []))
  }
}

@Suite struct `The operations of a gpio object` {
  @Test(
    arguments: [
      (.input, .none, [.read]), (.input, .both, [.read, .wait]), (.input, .rising, [.read, .wait]),
      (.output, .none, [.read, .write]), (.output, .both, [.read, .write]),
    ] as [(BusSpecification.Direction, BusSpecification.Edge, [Opcode])])
  func `depend on direction and edge`(
    direction: BusSpecification.Direction, edge: BusSpecification.Edge, operations: [Opcode]
  ) {
    let specification = BusSpecification(
      device: .gpio(path: "/dev/gpiochip0", lines: [4, 17], direction: direction, edge: edge))
    #expect(specification.operations.opcodes == operations)
  }
}
