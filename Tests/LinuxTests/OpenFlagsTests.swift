import Foundation
import Glibc
import Linux
import Testing

@Suite struct OpenFlagsTests {
  @Test func `the kernel's numbers are the C library's`() {
    #expect(OpenFlags.create.rawValue == UInt64(O_CREAT))
    #expect(OpenFlags.exclusive.rawValue == UInt64(O_EXCL))
    #expect(OpenFlags.truncate.rawValue == UInt64(O_TRUNC))
    #expect(OpenFlags.append.rawValue == UInt64(O_APPEND))
    #expect(OpenFlags.nonBlocking.rawValue == UInt64(O_NONBLOCK))
    #expect(OpenFlags.noControllingTerminal.rawValue == UInt64(O_NOCTTY))
    #expect(OpenFlags.directory.rawValue == UInt64(O_DIRECTORY))
    #expect(OpenFlags.noFollow.rawValue == UInt64(O_NOFOLLOW))
    #expect(OpenFlags.closeOnExec.rawValue == UInt64(O_CLOEXEC))
    #expect(OpenFlags.sync.rawValue == UInt64(O_SYNC))
    #expect(OpenFlags.dataSync.rawValue == UInt64(O_DSYNC))
    #expect(OpenFlags.async.rawValue == UInt64(O_ASYNC))
    #expect(OpenFlags.creat.rawValue == UInt64(O_CREAT | O_WRONLY | O_TRUNC))
  }

  @Test(
    arguments: [
      .path, .directory, .temporary, [.create, .exclusive], .truncate, [.truncate, .create],
      [.writeOnly, .readWrite], OpenFlags(rawValue: 1 << 30), OpenFlags(rawValue: 1 << 40), [.readWrite, .temporary],
    ] as [OpenFlags])
  func `what is left to the kernel is not served`(_ flags: OpenFlags) {
    #expect(OpenFlags.servable(flags) == nil)
  }

  @Test func `every single unknown bit is left to the kernel`() {
    let known: OpenFlags = [
      .writeOnly, .readWrite, .create, .noControllingTerminal, .append, .nonBlocking, .sync, .async, .direct,
      .largeFile, .noFollow, .noAccessTime, .closeOnExec, .exclusive,
    ]
    for bit in 0..<UInt64(64) {
      let flag = OpenFlags(rawValue: 1 << bit)
      #expect((OpenFlags.servable(flag) != nil) == known.isSuperset(of: flag), "bit \(bit)")
    }
  }

  @Test func `what is served keeps what the program asked for`() throws {
    let read = try #require(OpenFlags.servable([.largeFile, .async, .noControllingTerminal, .create]))
    #expect(read.access == .readOnly && read.flags.isEmpty && read.follow && !read.closeOnExec && !read.truncates)
    let write = try #require(
      OpenFlags.servable([.readWrite, .truncate, .append, .sync, .direct, .noFollow, .closeOnExec, .nonBlocking]))
    #expect(write.access == .readWrite && !write.follow && write.closeOnExec && write.truncates)
    #expect(write.flags == [.truncate, .append, .sync, .direct, .nonBlocking])
    #expect(OpenFlags.servable(.creat)?.access == .writeOnly)
  }
}

@Suite(.serialized) struct ReopenTests {
  private func flags(_ file: borrowing Descriptor) -> Int32 { fcntl(file.rawValue, F_GETFL) }

  private func served(_ flags: OpenFlags) throws -> Served { try #require(OpenFlags.servable(flags)) }

  @Test func `the access mode and the flags are the program's`() throws {
    let tree = try PathTree()
    try tree.file("f")
    let pin = try Descriptor.pin(tree("f"))
    #expect(flags(try PathSurroundings.reopen(pin, as: served([]))) & O_ACCMODE == O_RDONLY)
    let writer = flags(try PathSurroundings.reopen(pin, as: served([.writeOnly, .append, .dataSync])))
    #expect(writer & O_ACCMODE == O_WRONLY && writer & O_APPEND != 0 && writer & O_DSYNC != 0)
    #expect(try pin.status().size == 1)
    _ = try PathSurroundings.reopen(pin, as: served([.readWrite, .truncate]))
    #expect(try pin.status().size == 0)
  }

  @Test func `a tty is not waited for, blocks afterwards unless the program asked, and is never ours`() throws {
    let pair = try Pseudoterminal()
    let number = ProcessInfo.processInfo.processIdentifier
    let name = pair.slavePath
    let pin = try Descriptor.pin(name)
    #expect(try pin.fileDescription().isOnDevpts)
    #expect(flags(try PathSurroundings.reopen(pin, as: served(.readWrite))) & O_NONBLOCK == 0)
    #expect(flags(try PathSurroundings.reopen(pin, as: served([.readWrite, .nonBlocking]))) & O_NONBLOCK != 0)
    // Field 7 of proc_pid_stat(5): the controlling terminal, none of this name.
    let terminal = try String(contentsOfFile: "/proc/\(number)/stat", encoding: .utf8).split(separator: ")").last ?? ""
    #expect(UInt64(terminal.split(separator: " ")[4]) != (try pin.status().specialDevice))
    // The same number in another devpts would be another terminal.
    let description = try pin.fileDescription()
    #expect(throws: SystemError.self) {
      _ = try PathSurroundings.reopen(devicePath: name, matching: description, as: served(.readWrite))
    }
  }

  @Test func `the opener's own terminal, FIFOs and folders are never opened`() throws {
    let tree = try PathTree()
    let made = unsafe mkfifo(tree("fifo"), 0o666)
    #expect(made == 0)
    for path in ["/dev/tty", tree("fifo"), tree.path] {
      let pin = try Descriptor.pin(path)
      #expect(throws: SystemError(errno: EACCES, operation: "open")) {
        _ = try PathSurroundings.reopen(pin, as: served([]))
      }
    }
  }

  @Test(.enabled(if: PathTier.root)) func `a node on a nodev mount is opened by the broker's name for the device`()
    throws
  {
    let (stand, tree) = (try PathStand(), try PathTree())
    defer { stand.end() }
    try stand.has("mounts")
    try stand.has("tmpfs", tree.path, "nodev")
    try stand.has("node", tree("zero"), "1", "5")
    let surroundings = try stand.surroundings()
    let pin = try surroundings.resolve(Array(tree("zero").utf8))
    let description = try pin.fileDescription()
    #expect(throws: SystemError(errno: EACCES, operation: "open")) {
      _ = try PathSurroundings.reopen(pin, as: served([]))
    }
    let opened = try PathSurroundings.reopen(devicePath: "/dev/zero", matching: description, as: served([]))
    #expect(try opened.status().specialDevice == description.status.specialDevice)
    #expect(throws: SystemError(errno: EACCES, operation: "open", path: "/dev/null")) {
      _ = try PathSurroundings.reopen(devicePath: "/dev/null", matching: description, as: served([]))
    }
  }
}
