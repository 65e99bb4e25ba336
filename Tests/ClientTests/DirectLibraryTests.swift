import CPostern
import Glibc
import Instructions
import Linux
import Synchronization
import Testing
import Wire

/// The functions of postern.h on the object's own descriptor.
@Suite struct DirectLibraryTests {
  private func disk(_ bytes: [UInt8], second: Refusal? = nil) -> FakeDirect {
    FakeDirect(.disk, length: UInt64(bytes.count), second: second) { try scratchFile(bytes) }
  }

  private func socket(_ kind: SocketKind) -> FakeDirect {
    FakeDirect(.socket) {
      let socket = try Descriptor.socket(kind)
      try socket.bind(
        to: NetworkAddress(
          family: .ipv4, bytes: [127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], port: 0))
      return socket
    }
  }

  @Test func `the path can be asked for`() throws {
    try CLibrary.opening(disk([1]).broker()) { object in
      #expect(postern_path(object.fd) == POSTERN_PATH_DIRECT)
      #expect(postern_close(object.fd) == 0)
    }
    try CLibrary.opening(FakeBroker(answer: memoryDisk(8))) { object in
      #expect(postern_path(object.fd) == POSTERN_PATH_MEDIATED)
      #expect(postern_close(object.fd) == 0)
    }
  }

  @Test func `a disk is read, written, flushed, discarded and described`() throws {
    try CLibrary.opening(disk([1, 2, 3, 4]).broker()) { disk in
      #expect(disk.read(8, at: 1).bytes == [2, 3, 4])
      #expect(disk.write([7, 8], at: 2) == 2)
      #expect(disk.write([7, 8], at: 3) == -Int(EPERM))
      #expect(CLibrary.lastReason.reason == POSTERN_LIMIT)
      #expect(postern_flush(disk.fd) == 0)
      #expect(postern_discard(disk.fd, 0, 2) == 0)
      #expect(disk.read(4, at: 0).bytes == [0, 0, 7, 8])
      let information = disk.info()
      #expect(information.count == 32 && information[0] == 4)
      #expect(disk.transfer(reading: 1) == -Int(EOPNOTSUPP))
      #expect(CLibrary.lastReason.reason == 0)
      #expect(postern_close(disk.fd) == 0)
    }
  }

  @Test func `a device request that only answers takes the caller's memory as it is`() throws {
    let terminal = try Pseudoterminal()
    try CLibrary.opening(FakeDirect(.bus) { try terminal.near.duplicate() }.broker()) { line in
      terminal.arrive([1, 2, 3])
      #expect(line.wait() == 0)
      let (result, waiting) = line.control(0x541b)
      #expect(result == 0 && waiting == 3)
      #expect(postern_close(line.fd) == 0)
    }
  }

  @Test func `a request that only answers carries nothing on the path mediated`() throws {
    let broker = try FakeBroker(kind: .bus) { frames, channel in
      for frame in frames {
        channel.complete([frame.payload.isEmpty ? frame.done([5, 0, 0, 0], result: 4) : frame.done(result: -22)])
      }
    }
    try CLibrary.opening(broker) { line in
      #expect(line.control(0x541b).value == 5)
      // TIOCMBIS reads its argument.
      #expect(line.control(0x5416).result == -EINVAL)
      #expect(postern_close(line.fd) == 0)
    }
  }

  @Test func `a datagram socket sends, receives, connects and has options`() throws {
    try CLibrary.opening(socket(.udp(.ipv4)).broker()) { socket in
      let (sent, connected) = socket.sendToItself([1, 2, 3])
      #expect(sent == 3 && connected == 0)
      let (length, bytes) = socket.receive(2, Int32(MSG_TRUNC))
      #expect(length == 3 && bytes == [1, 2])
      #expect(socket.receive(2, Int32(MSG_DONTWAIT)).result == -Int(EAGAIN))
      #expect(socket.send([4]) == 1)
      #expect(socket.receive(2, 0).result == 1)
      #expect(socket.option(SO_TYPE).value == Int32(SOCK_DGRAM.rawValue))
      #expect(socket.setOption(SO_PRIORITY, 2) == 0)
      #expect(socket.option(SO_PRIORITY).value == 2)
      #expect(postern_shutdown(socket.fd, 0) == 0)
      #expect(postern_close(socket.fd) == 0)
    }
  }

  @Test func `a listener binds, listens and accepts with flags`() throws {
    try CLibrary.opening(socket(.tcp(.ipv4)).broker()) { listener in
      #expect(postern_bind(listener.fd) == 0)
      #expect(postern_listen(listener.fd, 4) == 0)
      #expect(listener.accept() == -EAGAIN)
      let bound = try Descriptor(adopting: fcntl(listener.fd, F_DUPFD_CLOEXEC, 0)).localAddress()
      let there = try #require(bound)
      let client = try Descriptor.socket(.tcp(.ipv4))
      try client.setFlags(nonblocking: false, closeOnExec: true)
      try client.connect(to: there)
      let accepted = listener.accept(Int32(SOCK_NONBLOCK.rawValue))
      #expect(accepted >= 0)
      #expect(fcntl(accepted, F_GETFL) & O_NONBLOCK != 0)
      #expect(fcntl(accepted, F_GETFD) == 0)
      close(accepted)
      #expect(postern_close(listener.fd) == 0)
    }
  }

  @Test func `batches complete at once`() throws {
    try CLibrary.opening(disk([1, 2, 3]).broker()) { disk in
      let (taken, completed, bytes) = disk.submitRead(3, userData: 77)
      #expect(taken == 1)
      #expect(completed.map(\.0) == [77] && completed.map(\.1) == [3])
      #expect(bytes == [1, 2, 3])
      #expect(postern_close(disk.fd) == 0)
    }
  }

  @Test func `a refusal of the revalidation is the last reason, with the policy's message`() throws {
    let direct = disk([1, 2, 3], second: Refusal(.refused, message: "no children here"))
    try CLibrary.opening(direct.broker()) { disk in
      let fd = disk.fd
      try FakeCheck { _, _ in EKEYEXPIRED }.checking(fd) {
        var bytes = [UInt8](repeating: 0, count: 3)
        let result = unsafe postern_read(fd, &bytes, 3, 0)
        #expect(result == -Int(EKEYREJECTED))
        let (reason, message) = CLibrary.lastReason
        #expect(reason == POSTERN_REFUSED && message == "no children here")
        #expect(postern_revalidate(fd) == -EKEYREJECTED)
      }
      #expect(direct.state.withLock { $0.revalidations } == ["object", "object"])
      #expect(postern_close(fd) == 0)
    }
  }

  @Test func `without automatic revalidation the first error comes through, and revalidating by hand helps`() throws {
    let direct = disk([1, 2, 3])
    try CLibrary.opening(direct.broker()) { disk in
      disk.setAutomaticRevalidation(false)
      let fd = disk.fd
      let check = FakeCheck { _, _ in direct.state.withLock { $0.revalidations.isEmpty } ? EKEYEXPIRED : 0 }
      try check.checking(fd) {
        var bytes = [UInt8](repeating: 0, count: 3)
        let first = unsafe postern_read(fd, &bytes, 3, 0)
        #expect(first == -Int(EKEYEXPIRED))
        #expect(CLibrary.lastReason.reason == POSTERN_NOT_ASSOCIATED)
        #expect(postern_revalidate(fd) == 0)
        let second = unsafe postern_read(fd, &bytes, 3, 0)
        #expect(second == 3)
      }
      #expect(postern_close(fd) == 0)
    }
  }
}
