import Foundation
import Glibc
import Instructions
import Testing

@testable import Linux

/// A socket that was handed over, its holder, and strangers who send to it.
@Suite(.serialized) struct RecallTests {
  private let loopback = NetworkAddress.loopback(port: 0)

  /// Whether a connection comes about. On loopback it does at once or never.
  private func connects(to address: NetworkAddress) throws -> Bool {
    let client = try Descriptor.socket(.tcp(.ipv4))
    var last: Int32 = 0
    for _ in 0..<20 {
      do {
        try client.connect(to: address)
        return true
      } catch {
        last = error.errno
        if last == EISCONN { return true }
        if last == ECONNREFUSED { return false }
      }
      usleep(10_000)
    }
    #expect(last == EALREADY || last == EINPROGRESS)
    return false
  }

  /// Listens on a port that is asked for by number, as privileged ones are: only such a port outlives a shutdown.
  private func listen(_ socket: borrowing Descriptor) throws -> NetworkAddress {
    for _ in 0..<100 {
      let free = try Descriptor.socket(.tcp(.ipv4))
      try free.bind(to: loopback)
      let address = try #require(try free.localAddress())
      _ = consume free
      do {
        try socket.bind(to: address)
      } catch {
        guard error.isAddressInUse else { throw error }
        continue
      }
      try socket.listen(backlog: 8)
      return address
    }
    throw HarnessFailure(description: "no free port")
  }

  @Test(.enabled(if: Tier.root, "needs root"))
  func `a tcp listener takes no connection after its holder listened again`() throws {
    let socket = try Descriptor.socket(.tcp(.ipv4))
    let address = try listen(socket)
    let holder = try socket.duplicate()
    #expect(try connects(to: address), "nothing to recall")
    try socket.recallSocket()
    #expect(try connects(to: address) == false)
    try holder.listen(backlog: 8)
    #expect(try connects(to: address) == false)
    // What it may try to get rid of the filter with: SO_DETACH_FILTER, SO_LOCK_FILTER.
    for name: Int32 in [27, 44] {
      let error = #expect(throws: SystemError.self) { try holder.setOption(level: SOL_SOCKET, name: name, to: 0) }
      #expect(error?.errno == EPERM)
    }
    #expect(try connects(to: address) == false)
  }

  @Test func `a tcp listener that is only shut down listens again`() throws {
    let socket = try Descriptor.socket(.tcp(.ipv4))
    let address = try listen(socket)
    let holder = try socket.duplicate()
    try socket.shutdown(how: 2)
    #expect(try connects(to: address) == false)
    try holder.listen(backlog: 8)
    #expect(try connects(to: address), "the filter is for nothing")
  }

  @Test(.enabled(if: Tier.root, "needs root"))
  func `connections that waited to be accepted are gone`() throws {
    let socket = try Descriptor.socket(.tcp(.ipv4))
    let address = try listen(socket)
    let client = try Descriptor.socket(.tcp(.ipv4))
    _ = #expect(throws: SystemError.self) { try client.connect(to: address) }
    #expect(try isReadable(socket.rawValue, timeoutMilliseconds: 1000))
    try socket.recallSocket()
    try socket.listen(backlog: 8)
    guard case .wouldBlock = try socket.accept() else {
      Issue.record("accepted")
      return
    }
  }

  @Test func `a udp socket receives nothing more, with or without the filter it would try`() throws {
    let socket = try Descriptor.socket(.udp(.ipv4))
    try socket.bind(to: loopback)
    let address = try #require(try socket.localAddress())
    let sender = try Descriptor.socket(.udp(.ipv4))
    _ = try send([1], from: sender, to: address)
    #expect(arrived(at: socket) == 1)
    try socket.recallSocket()
    _ = try send([2, 2], from: sender, to: address)
    #expect(arrived(at: socket) == nil)
  }

  @Test func `a udp socket that is only shut down receives`() throws {
    let socket = try Descriptor.socket(.udp(.ipv4))
    try socket.bind(to: loopback)
    let address = try #require(try socket.localAddress())
    let sender = try Descriptor.socket(.udp(.ipv4))
    _ = #expect(throws: SystemError.self) { try socket.shutdown(how: 2) }
    _ = try send([2, 2], from: sender, to: address)
    #expect(arrived(at: socket) == 2, "the filter is for nothing")
  }

  @Test(.enabled(if: Tier.root, "needs root"), arguments: [true, false])
  func `a raw socket receives nothing more, and does when only shut down`(whole: Bool) throws {
    // 253: for experiments (RFC 3692); nothing else on this machine sends it.
    let socket = try Descriptor.socket(.raw(.ipv4, ipProtocol: 253))
    let sender = try Descriptor.socket(.raw(.ipv4, ipProtocol: 253))
    if whole {
      try socket.recallSocket()
    } else {
      _ = #expect(throws: SystemError.self) { try socket.shutdown(how: 2) }
    }
    _ = try send([7], from: sender, to: loopback)
    #expect((arrived(at: socket) != nil) == !whole)
  }

  @Test(.enabled(if: Tier.root, "needs root"), arguments: [true, false])
  func `a packet socket receives nothing more, and does when only shut down`(whole: Bool) throws {
    let socket = try Descriptor.socket(.packet)
    try socket.bind(toInterface: "lo", receiving: true)
    if whole {
      try socket.recallSocket()
      drain(socket)
    } else {
      _ = #expect(throws: SystemError.self) { try socket.shutdown(how: 2) }
    }
    let sender = try Descriptor.socket(.udp(.ipv4))
    _ = try send([7], from: sender, to: .loopback(port: 9))
    #expect((arrived(at: socket) != nil) == !whole)
  }

  @Test func `a unix listener takes no connection after its holder listened again`() throws {
    let folder = FileManager.default.temporaryDirectory.path + "/postern-" + UUID().uuidString.prefix(8)
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let path = folder + "/s"
    let socket = try Descriptor.socket(.unixStream)
    try socket.bind(toPath: path)
    try socket.listen(backlog: 8)
    let holder = try socket.duplicate()
    let before = try Descriptor.socket(.unixStream)
    try before.connect(toPath: path)
    try socket.recallSocket()
    try holder.listen(backlog: 8)
    let after = try Descriptor.socket(.unixStream)
    let error = #expect(throws: SystemError.self) { try after.connect(toPath: path) }
    #expect(error?.errno == ECONNREFUSED)
  }

  @Test(.enabled(if: Tier.root, "needs root"))
  func `a tcp listener is shut down also by who may not attach a filter, and that is told`() throws {
    let socket = try Descriptor.socket(.tcp(.ipv4))
    let address = try listen(socket)
    let shared = SharedDescriptor(try socket.duplicate())
    let failure = try onThread {
      try Confinement.limitCapabilities(to: [])
      guard let socket = shared.take() else { throw HarnessFailure(description: "no socket") }
      return LinuxTests.failure { try socket.recallSocket() }
    }
    #expect(try connects(to: address) == false)
    try socket.listen(backlog: 8)
    // Kernels of before 2026 let everybody attach one.
    let connects = try connects(to: address)
    #expect((failure == EPERM) == connects)
    #expect(failure == EPERM || failure == nil)
    #expect(try SocketDescription(of: socket).isFilterLocked == (failure == nil))
  }

  @Test(.enabled(if: Tier.root, "needs root"))
  func `a socket that was recalled before is recalled again`() throws {
    let socket = try Descriptor.socket(.tcp(.ipv4))
    let address = try listen(socket)
    try socket.recallSocket()
    try socket.listen(backlog: 8)
    try socket.recallSocket()
    #expect(try SocketDescription(of: socket).isFilterLocked)
    #expect(try connects(to: address) == false)
  }

  @Test func `a holder that has locked a filter of its own is found out, and told`() throws {
    let socket = try Descriptor.socket(.tcp(.ipv4))
    let address = try listen(socket)
    let holder = try socket.duplicate()
    try holder.setOption(level: SOL_SOCKET, name: 44, to: 1)
    #expect(try SocketDescription(of: socket).isFilterLocked)
    let error = #expect(throws: SystemError.self) { try socket.recallSocket() }
    #expect(error?.errno == EPERM)
    #expect(try connects(to: address) == false, "it was shut down all the same")
    try holder.listen(backlog: 8)
    #expect(try connects(to: address), "then it was recalled, and the error is wrong")
  }

  @Test(.enabled(if: Tier.root, "needs root"))
  func `a recalled udp socket sends no more, raw and packet sockets do`() throws {
    let udp = try Descriptor.socket(.udp(.ipv4))
    let raw = try Descriptor.socket(.raw(.ipv4, ipProtocol: 253))
    let packet = try Descriptor.socket(.packet)
    try packet.bind(toInterface: "lo", receiving: true)
    try udp.recallSocket()
    try raw.recallSocket()
    try packet.recallSocket()
    let error = #expect(throws: SystemError.self) {
      _ = try send([1], from: udp, to: NetworkAddress.loopback(port: 9))
    }
    #expect(error?.errno == EPIPE)
    let sentRaw = try send([1], from: raw, to: loopback)
    #expect(sentRaw == 1)
    let frame = [UInt8](repeating: 0, count: 60)
    let sentFrame = try frame.withRawSpan { span throws(SystemError) in try packet.send(span, to: nil) }
    #expect(sentFrame == 60)
  }

  private func send(_ bytes: [UInt8], from socket: borrowing Descriptor, to address: NetworkAddress) throws -> Int? {
    try bytes.withRawSpan { span throws(SystemError) in try socket.send(span, to: address) }
  }

  /// The length of the datagram that comes, or nil.
  private func arrived(at socket: borrowing Descriptor) -> Int? {
    var buffer = [UInt8](repeating: 0, count: 64)
    usleep(50_000)
    let count = unsafe recv(socket.rawValue, &buffer, 64, Int32(MSG_DONTWAIT))
    return count > 0 ? count : nil
  }

  private func drain(_ socket: borrowing Descriptor) {
    var buffer = [UInt8](repeating: 0, count: 64)
    while unsafe recv(socket.rawValue, &buffer, 64, Int32(MSG_DONTWAIT)) > 0 {}
  }
}
