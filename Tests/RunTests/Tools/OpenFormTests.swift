import Foundation
import TestSupport
import Testing

/// Every way to open a file gives what it gives without Postern to somebody who may open it: to root.
@Suite(.enabled(if: Tier.root, "needs root: network namespaces, loop devices"), .timeLimit(.minutes(3)))
struct OpenFormTests {
  /// What `opens` prints for each way: as root without Postern, and as the ordinary user by `postern run`.
  private func compare(
    _ path: String, _ scene: Scene, _ disks: LoopDisks
  ) throws -> (root: [String: String], program: [String: String]) {
    let link = "\(disks.folder)/link"
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: path)
    let opens = try Programs.path("opens")
    let root = try scene.rootShell("\(opens) \(path) \(link)")
    let program = try scene.runToEnd(opens, path, link)
    #expect(root.status == 0 && program.status == 0, "\(root.errors)\(program.errors)")
    return (lines(root.output), lines(program.output))
  }

  private func lines(_ text: String) -> [String: String] {
    var found: [String: String] = [:]
    for line in text.split(separator: "\n") {
      let parts = line.components(separatedBy: ": ")
      found[parts[0]] = parts.dropFirst().joined(separator: ": ")
    }
    return found
  }

  /// The fourth access mode is left to the kernel. O_ASYNC does nothing in open(2) and is not among the flags that fcntl(2)
  /// shows afterwards, nor is O_NOFOLLOW.
  private let different = ["O_ASYNC", "O_NOFOLLOW", "open of access mode 3"]

  @Test func `a device that may be read and written opens as it does for root`() throws {
    try Scene.run(disks: 1) {
      Policies.granting([.writableDisk("disk", $0.paths[0])])
    } _: { scene, disks in
      let (root, program) = try compare(disks.paths[0], scene, disks)
      #expect(root.count > 40)
      #expect(root.keys.filter { root[$0] != program[$0] }.sorted() == different, "\(root)\n\(program)")
      #expect(program["open of access mode 3"] == "EACCES")
      for way in ["O_ASYNC", "O_NOFOLLOW"] {
        #expect(program[way]?.contains("read 4096 disk ") == true, "\(program[way] ?? "")")
      }
    }
  }

  @Test func `a device that may be read opens as it does for root, but for writing`() throws {
    try Scene.run(disks: 1) {
      Policies.granting([.disk("disk", $0.paths[0])])
    } _: { scene, disks in
      let (root, program) = try compare(disks.paths[0], scene, disks)
      let writing = ["creat", "open O_RDWR", "open O_WRONLY"]
      #expect(root.keys.filter { root[$0] != program[$0] }.sorted() == (different + writing).sorted())
      for way in writing { #expect(program[way] == "EACCES", "\(way)") }
    }
  }

  @Test func `a disk is claimed as by O_EXCL, and is not while somebody else claims it`() throws {
    try Scene.run(disks: 1) {
      Policies.granting([.disk("disk", $0.paths[0])])
    } _: { scene, disks in
      let claim =
        "import os, sys; os.open('\(disks.paths[0])', os.O_RDONLY | os.O_EXCL); print('claimed', flush=True); sys.stdin.read()"
      #expect(try scene.runToEnd("python3", "-c", claim).output == "claimed\n")
      let both = try scene.shell(
        """
        mkfifo $W/end
        $RUN python3 -c "\(claim)" < $W/end > $W/first &
        exec 9> $W/end
        until grep -q claimed $W/first; do sleep 0.05; done
        $RUN python3 -c "\(claim)" < /dev/null
        $RUN head -n 1 \(disks.paths[0])
        """)
      #expect(both.output == "disk 0\n", "\(both.errors)")
      #expect(both.errors.contains("[Errno 16] Device or resource busy"), "\(both.errors)")
    }
  }

  @Test func `another node of the device in another folder is the same object`() throws {
    try Scene.run(disks: 1) {
      Policies.granting([.disk("disk", $0.paths[0])])
    } _: { scene, disks in
      try disks.addNode(0, at: disks.folder + "/node")
      let (root, program) = try compare(disks.folder + "/node", scene, disks)
      #expect(program["open O_RDONLY"] == root["open O_RDONLY"])
      #expect(program["a link"] == root["a link"])
      #expect(program["open O_RDWR"] == "EACCES")
    }
  }

  @Test func `in a chroot the program's own root counts`() throws {
    try Scene.run(disks: 2) {
      Policies.granting([.disk("disk", $0.paths[0])])
    } _: { scene, disks in
      let root = disks.folder + "/root"
      try FileManager.default.createDirectory(atPath: root + "/dev", withIntermediateDirectories: true)
      try FileManager.default.copyItem(atPath: "/bin/busybox", toPath: root + "/busybox")
      try disks.addNode(0, at: root + "/mine")
      // Under the name of the granted one lies another device.
      try disks.addNode(1, at: root + disks.paths[0])
      func head(_ path: String) throws -> Command.Result {
        try scene.runToEnd("unshare", "--user", "--map-root-user", "chroot", root, "/busybox", "head", "-n", "1", path)
      }
      let mine = try head("/mine")
      #expect(mine.output == "disk 0\n", "\(mine.errors)")
      let other = try head(disks.paths[0])
      #expect(other.output.isEmpty)
      #expect(other.errors.contains("Permission denied"), "\(other.errors)")
    }
  }

  @Test func `a node on a file system without devices leads to the device all the same`() throws {
    try Scene.run(disks: 1) {
      Policies.granting([.disk("disk", $0.paths[0])])
    } _: { scene, disks in
      let nodes = disks.folder + "/nodes"
      try FileManager.default.createDirectory(atPath: nodes, withIntermediateDirectories: false)
      try disks.addNode(0, at: nodes + "/node")
      let read = try scene.rootShell(
        """
        exec unshare --mount bash -c 'mount --bind \(nodes) \(nodes) && mount -o remount,bind,nodev \(nodes)
        head -n 1 \(nodes)/node >&2
        exec setpriv --reuid 65534 --regid 65534 --clear-groups $POSTERN run -- head -n 1 \(nodes)/node'
        """)
      #expect(read.output == "disk 0\n")
      // Root itself.
      #expect(read.errors.contains("Permission denied"), "\(read.errors)")
    }
  }

  @Test func `a link that names the disk as the system does leads to it`() throws {
    try Scene.run(disks: 1) {
      Policies.granting([.disk("disk", $0.folder + "/by-id/disk-0")])
    } _: { scene, disks in
      let folder = disks.folder + "/by-id"
      for path in [folder + "/disk-0", disks.paths[0]] {
        let read = try scene.runToEnd("head", "-n", "1", path)
        #expect(read.output == "disk 0\n", "\(path): \(read.errors)")
      }
    }
  }
}
