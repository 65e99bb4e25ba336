import Foundation
import Glibc
import TestSupport

/// An OCI bundle with busybox in it, run by crun.
final class Container {
  /// crun refuses to run where cgroups of both versions are mounted, so it gets a view with one.
  static let prefix = [
    "/usr/bin/unshare", "--mount", "/bin/sh", "-c", #"mount -t cgroup2 none /sys/fs/cgroup && exec "$@""#, "sh",
  ]
  private static let applets = ["sh", "httpd", "cat", "sleep", "ls", "dd", "kill"]

  let folder: String
  let id = "postern-\(UUID().uuidString.prefix(8))"
  private let process = Process()

  /// - Parameters:
  ///   - namespaces: entries of `linux.namespaces`; the others are the host's.
  ///   - calls: what the filter notifies of.
  ///   - command: runs as the applications' user without capabilities, below a root folder of its own.
  init(
    _ scene: Scene, namespaces: [[String: String]] = [["type": "mount"], ["type": "ipc"]], calls: [String],
    mounts: [[String: Any]] = [], devices: [[String: Any]] = [], command: String
  ) throws {
    folder = scene.folder + "/bundle-\(id)"
    let files = FileManager.default
    for name in ["bin", "www", "proc", "dev"] {
      try files.createDirectory(atPath: folder + "/rootfs/" + name, withIntermediateDirectories: true)
    }
    try files.copyItem(atPath: "/bin/busybox", toPath: folder + "/rootfs/bin/busybox")
    for applet in Self.applets {
      try files.createSymbolicLink(atPath: folder + "/rootfs/bin/" + applet, withDestinationPath: "busybox")
    }
    try "from the container\n".write(toFile: folder + "/rootfs/www/index.html", atomically: false, encoding: .utf8)
    let configuration: [String: Any] = [
      "ociVersion": "1.0.2",
      "process": [
        "user": ["uid": 65534, "gid": 65534], "args": ["/bin/sh", "-c", command], "env": ["PATH=/bin"], "cwd": "/",
        "capabilities": [:], "noNewPrivileges": true,
      ],
      "root": ["path": "rootfs"], "mounts": mounts,
      "linux": [
        "namespaces": namespaces, "devices": devices,
        "seccomp": [
          "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": scene.agentSocket, "listenerMetadata": "of a test",
          "syscalls": [["names": calls, "action": "SCMP_ACT_NOTIFY"]],
        ],
      ],
    ]
    try JSONSerialization.data(withJSONObject: configuration)
      .write(to: URL(fileURLWithPath: folder + "/config.json"))
    try scene.write("output-\(id)", "")
    let output = try FileHandle(forWritingTo: URL(fileURLWithPath: scene.folder + "/output-\(id)"))
    outputPath = scene.folder + "/output-\(id)"
    let line =
      [try Programs.path("launch")] + Self.prefix + [
        "/usr/bin/crun", "--cgroup-manager=disabled", "--root", folder + "/state", "run", "--bundle", folder, id,
      ]
    process.executableURL = URL(fileURLWithPath: line[0])
    process.arguments = Array(line.dropFirst())
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = output
    try ChildProcess.start(process)
  }

  private let outputPath: String

  /// What the container and crun have said.
  var output: String { (try? String(contentsOfFile: outputPath, encoding: .utf8)) ?? "" }

  /// Waits for its end by itself, and gives its exit status.
  func waitForEnd() -> Int32 {
    guard eventually({ !process.isRunning }) else {
      end()
      return -1
    }
    return process.terminationStatus
  }

  /// Ends the container and crun, which started it. `crun delete --force` leaves processes alone where the container has
  /// neither a cgroup nor a pid namespace.
  func end() {
    for pid in Self.descendants(of: process.processIdentifier) { kill(pid, SIGKILL) }
    process.waitUntilExit()
  }

  private static func descendants(of pid: Int32) -> [Int32] {
    let children = (try? String(contentsOfFile: "/proc/\(pid)/task/\(pid)/children", encoding: .utf8)) ?? ""
    return children.split(separator: " ").compactMap { Int32($0) }.flatMap { [$0] + descendants(of: $0) }
  }
}
