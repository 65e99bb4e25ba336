import Foundation
import TestSupport
import Testing

/// Programs that open disks, which know nothing of Postern, as an ordinary user without a capability.
@Suite(.enabled(if: Tier.root, "needs root: network namespaces, loop devices"), .timeLimit(.minutes(3)))
struct DiskToolTests {
  @Test func `dd reads the granted device, and is refused another`() throws {
    try Scene.run(disks: 2) {
      Policies.granting([.disk("disk", $0.paths[0])])
    } _: { scene, disks in
      let read = try scene.runToEnd("dd", "if=\(disks.paths[0])", "count=1", "status=none")
      #expect(read.status == 0, "\(read.errors)")
      #expect(read.output.hasPrefix("disk 0\n"))
      let other = try scene.runToEnd("dd", "if=\(disks.paths[1])", "count=1", "status=none")
      #expect(other.status == 1)
      #expect(other.errors.contains("Permission denied"))
      #expect(other.output.isEmpty)
    }
  }

  @Test func `dd is refused the granted device without Postern`() throws {
    try Scene.run(disks: 1) {
      Policies.granting([.disk("disk", $0.paths[0])])
    } _: { scene, disks in
      let read = try scene.plainly("dd", "if=\(disks.paths[0])", "count=1", "status=none")
      #expect(read.status == 1)
      #expect(read.errors.contains("Permission denied"))
    }
  }

  @Test func `fio reads the granted device in several processes, and is refused another`() throws {
    try Scene.run(disks: 2) {
      Policies.granting([.disk("disk", $0.paths[0])])
    } _: { scene, disks in
      func fio(_ path: String) throws -> Command.Result {
        try scene.runToEnd(
          "fio", "--name=test", "--filename=\(path)", "--rw=randread", "--bs=4k", "--size=256k", "--readonly",
          "--numjobs=3", "--direct=1", "--ioengine=psync")
      }
      let read = try fio(disks.paths[0])
      #expect(read.status == 0, "\(read.output)\(read.errors)")
      #expect(read.output.components(separatedBy: "err= 0:").count == 4, "\(read.output)")
      let other = try fio(disks.paths[1])
      #expect(other.status != 0)
      #expect((other.output + other.errors).contains("Permission denied"))
    }
  }

  @Test func `a grant to read does not open for writing, and the refusal is recorded`() throws {
    try Scene.run(disks: 1) {
      Policies.granting([.writableDisk("disk", $0.paths[0])]).replacing("read, write", with: "read")
    } _: { scene, disks in
      for flags in ["O_RDWR", "O_WRONLY"] {
        let opened = try scene.runToEnd("python3", "-c", "import os; os.open('\(disks.paths[0])', os.\(flags))")
        #expect(opened.errors.contains("PermissionError: [Errno 13]"), "\(flags): \(opened.errors)")
      }
      let refused = try scene.refusals(of: "disk")
      #expect(refused.map(\.reason) == ["operation", "operation"])
      #expect(refused.allSatisfy { $0.message?.contains("not granted: write") == true }, "\(refused)")
      #expect(try String(contentsOfFile: disks.images[0], encoding: .utf8).hasPrefix("disk 0\n"))
    }
  }

  @Test func `a grant to write writes to the device itself`() throws {
    try Scene.run(disks: 1) {
      Policies.granting([.writableDisk("disk", $0.paths[0])])
    } _: { scene, disks in
      let written = try scene.shell(
        "printf written | $RUN dd of=\(disks.paths[0]) conv=notrunc,fsync status=none")
      #expect(written.status == 0, "\(written.errors)")
      #expect(try String(contentsOfFile: disks.images[0], encoding: .utf8).hasPrefix("written"))
    }
  }

  @Test func `a part of a disk is not opened, and both the plan and the record say why`() throws {
    let part = "range: { offset: 0, length: 64KiB }"
    try Scene.run(disks: 1) {
      Policies.granting([
        GrantedObject("part", "kind: disk, path: \($0.paths[0]), \(part)", "read"), .disk("other", $0.images[0]),
      ])
    } _: { scene, disks in
      let why = "a descriptor of the whole disk cannot keep to it"
      let named = try scene.runToEnd("true", options: ["--object", "part"])
      #expect(named.status == 125)
      #expect(named.errors.contains(why), "\(named.errors)")
      let opened = try scene.runToEnd("dd", "if=\(disks.paths[0])", "count=1", "status=none")
      #expect(opened.errors.contains("Permission denied"))
      #expect(opened.output.isEmpty)
      let refused = try scene.refusals(of: "part")
      #expect(refused.contains { $0.detail == "object-unavailable" && $0.message?.contains(why) == true }, "\(refused)")
    }
  }

  @Test func `a grant of a part of a disk gives away none of it, by run or by open`() throws {
    try Scene.run(disks: 1) {
      Policies.granting([.disk("disk", $0.paths[0])])
        .replacing("[read]", with: "[read], range: { offset: 64KiB, length: 64KiB }")
    } _: { scene, disks in
      let why = "a descriptor of the whole disk cannot keep to it"
      let opened = try scene.shell("$POSTERN open disk -- head -n 1 /proc/self/fd/3; echo $?; $RUN true; echo $?")
      #expect(opened.output == "125\n125\n")
      #expect(opened.errors.components(separatedBy: why).count == 3, "\(opened.errors)")
    }
  }

  @Test func `an image file is a disk too, under every name it has`() throws {
    try Scene.run(disks: 1) {
      Policies.granting([.disk("image", $0.images[0])])
    } _: { scene, disks in
      try FileManager.default.linkItem(atPath: disks.images[0], toPath: disks.folder + "/second")
      try FileManager.default.createSymbolicLink(
        atPath: disks.folder + "/link", withDestinationPath: "second")
      for name in ["image0", "second", "link"] {
        let read = try scene.runToEnd("head", "-1", "\(disks.folder)/\(name)")
        #expect(read.output == "disk 0\n", "\(name): \(read.errors)")
      }
      let write = try scene.runToEnd("dd", "if=/dev/zero", "of=\(disks.images[0])", "count=1")
      #expect(write.errors.contains("Permission denied"))
    }
  }
}
