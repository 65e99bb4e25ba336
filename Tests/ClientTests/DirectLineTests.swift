import FakeKernel
import Glibc
import Instructions
import Linux
import Postern
import Synchronization
import Testing
import Wire

/// The two ends of a pseudoterminal: what one writes the other reads, raw.
final class Pseudoterminal: Sendable {
  let far: Descriptor
  let near: Descriptor

  init() throws {
    let ends = fake_kernel_terminal()
    guard ends.first >= 0, ends.second >= 0 else { throw ToolFailure(text: "no pseudoterminal") }
    far = Descriptor(adopting: ends.first)
    near = Descriptor(adopting: ends.second)
  }

  func arrive(_ bytes: [UInt8]) {
    var bytes = bytes
    _ = unsafe Glibc.write(far.rawValue, &bytes, bytes.count)
  }
}

@Suite struct DirectLineTests {
  private func line(
    _ operations: OperationSet = [.init(.read), .init(.write), .init(.wait), .init(.control)],
    _ body: (DirectObject, Pseudoterminal) throws -> Void
  ) throws {
    let terminal = try Pseudoterminal()
    try FakeDirect(.bus, operations: operations) { try terminal.near.duplicate() }.opened { try body($0, terminal) }
  }

  @Test func `a read takes what has arrived, whatever offset is named`() throws {
    try line { line, terminal in
      #expect(line.isLine)
      terminal.arrive([1, 2, 3])
      try #expect(read(line, 10, at: 5000) == [1, 2, 3])
    }
  }

  @Test func `a write goes out`() throws {
    try line { line, terminal in
      try #expect(line.write([5, 6, 7].span, at: 99) == 3)
      var bytes = [UInt8](repeating: 0, count: 8)
      let count = unsafe Glibc.read(terminal.far.rawValue, &bytes, 8)
      #expect(count == 3)
      #expect(bytes[..<3] == [5, 6, 7])
    }
  }

  @Test func `wait tells when there is something to read, and waits for it unless it may not`() throws {
    try line { line, terminal in
      var none: [UInt8] = []
      var empty = none.mutableSpan
      try #expect(line.wait(into: &empty, nonblocking: true) == nil)
      let thread = try Thread("arrives") {
        _ = try? isReadable(-1, timeoutMilliseconds: 50)
        terminal.arrive([1])
      }
      try #expect(line.wait(into: &empty) == 0)
      thread.join()
      try #expect(line.wait(into: &empty, nonblocking: true) == 0)
    }
  }

  @Test func `with O_NONBLOCK a read of an empty line is EAGAIN, and so is wait`() throws {
    try line { line, _ in
      #expect(fcntl(line.number, F_SETFL, O_NONBLOCK) == 0)
      #expect(failure { _ = try read(line, 1) } == .failed(errno: EAGAIN, text: ""))
      var none: [UInt8] = []
      var empty = none.mutableSpan
      try #expect(line.wait(into: &empty) == nil)
    }
  }

  @Test func `device requests go out with their arguments and come back with their answers`() throws {
    try line { line, terminal in
      let fionread: UInt32 = 0x541b
      let nothing: [UInt8] = []
      terminal.arrive([1, 2, 3, 4, 5])
      var none: [UInt8] = []
      var empty = none.mutableSpan
      try #expect(line.wait(into: &empty) == 0)
      var answer = [UInt8](repeating: 0xFF, count: 4)
      var span = answer.mutableSpan
      try #expect(line.control(fionread, argument: nothing.span, into: &span) == 0)
      #expect(answer == [5, 0, 0, 0])
      // TCFLSH: the number says which direction.
      try #expect(line.control(0x540b, argument: [0, 0, 0, 0].span, into: &empty) == 0)
      span = answer.mutableSpan
      try #expect(line.control(fionread, argument: nothing.span, into: &span) == 0)
      #expect(answer == [0, 0, 0, 0])
    }
  }

  @Test func `requests that are not known, that hold pointers, or of another size are not made`() throws {
    try line { line, _ in
      let nothing: [UInt8] = []
      var answer = [UInt8](repeating: 0, count: 2)
      var span = answer.mutableSpan
      // TIOCSTI
      #expect(failure { _ = try line.control(0x5412, argument: [65].span, into: &span) }?.errno == EINVAL)
      #expect(failure { _ = try line.control(0x541b, argument: nothing.span, into: &span) }?.errno == EINVAL)
      #expect(failure { _ = try line.control(0x540b, argument: [0].span, into: &span) }?.errno == EINVAL)
      // USBDEVFS_CONTROL
      let setup = [UInt8](repeating: 0, count: 8)
      #expect(failure { _ = try line.control(0xc018_5500, argument: setup.span, into: &span) }?.errno == EOPNOTSUPP)
    }
  }

  @Test func `what arrives in pieces is gathered until the time is over or there is no more room`() throws {
    try line { line, terminal in
      let thread = try Thread("arrives") {
        for byte in UInt8(0)..<4 {
          terminal.arrive([byte])
          _ = try? isReadable(-1, timeoutMilliseconds: 30)
        }
      }
      var bytes = [UInt8](repeating: 0xEE, count: 3)
      var span = bytes.mutableSpan
      try #expect(line.readArriving(into: &span, within: 10_000_000_000) == 3)
      #expect(bytes == [0, 1, 2])
      thread.join()
      var more = [UInt8](repeating: 0xEE, count: 3)
      span = more.mutableSpan
      try #expect(line.readArriving(into: &span, within: 100_000_000) == 1)
      #expect(more[0] == 3)
    }
  }

  @Test func `a region of a bus has offsets, and a write that crosses its end is EINVAL and writes nothing`() throws {
    let region = FakeDirect(.bus, operations: [.init(.read), .init(.write)], length: 8) {
      try scratchFile([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    }
    try region.opened { region in
      #expect(!region.isLine)
      try #expect(read(region, 4, at: 2) == [2, 3, 4, 5])
      try #expect(read(region, 4, at: 6) == [6, 7])
      try #expect(read(region, 4, at: 8) == [])
      try #expect(region.write([9].span, at: 7) == 1)
      #expect(failure { _ = try region.write([9, 9].span, at: 7) } == .failed(errno: EINVAL, text: ""))
      try #expect(read(region, 1, at: 7) == [9])
    }
  }
}
