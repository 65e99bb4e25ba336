import Foundation
import Glibc
import TestSupport
import Testing

/// The library's own rings: the same calls as on the other paths.
@Suite(.enabled(if: Tier.rings, "rings of others need root")) struct RingLibraryTests {
  @Test func `a child and a grandchild read through rings of their own without an error`() throws {
    var lines: [String] = []
    try Scene.run(RingPolicies.image()) { scene in
      let process = try scene.start("library", arguments: ["image"])
      while let line = Optional(process.heard()), line != "ended" { lines.append(line) }
    }
    #expect(lines == ["parent 4 AAAA", "child 4 AAAA", "grandchild 4 AAAA", "parent 4 AAAA"])
  }

  @Test func `without automatic revalidation a child sees the first error`() throws {
    var lines: [String] = []
    try Scene.run(RingPolicies.image()) { scene in
      let process = try scene.start("library", arguments: ["image", "manual"])
      while let line = Optional(process.heard()), line != "ended" { lines.append(line) }
    }
    #expect(
      lines == [
        "parent 4 AAAA", "child Key has expired not-associated", "grandchild Key has expired not-associated",
        "parent 4 AAAA",
      ])
  }

  @Test func `commands read and write a disk through a ring`() throws {
    try Scene.run(
      RingPolicies.image(object: ", access: read-write", operations: "read, write, flush, info, discard")
    ) { scene in
      let read = try scene.postern("read", "image", "--length", "4", as: scene.applicationUser)
      #expect(read.output == "AAAA", "\(read.errors)")
      #expect(try scene.journal().contains { $0.kind == "grant" && $0.path == "ring" })
      #expect(try eventually { try scene.associations().isEmpty })
      #expect(try eventually { try scene.loopDevices() == 0 })
    }
  }

  @Test func `a fork while a thread waits for a datagram leaves parent and child correct`() throws {
    try Scene.run(RingPolicies.udp()) { scene in
      let process = try scene.start("library-ring-count", arguments: ["dns"])
      #expect(try process("open") == "0")
      // EAGAIN: by a ring of the child's own, on which nothing is.
      #expect(try process("fork") == "-11")
      try scene.sendDatagram("hello")
      #expect(try process("received") == "5")
    }
  }

  /// Whoever takes another thread's completion must not leave that thread in the kernel for good.
  @Test func `a thread that asks for completions keeps no other from its own`() throws {
    try Scene.run(RingPolicies.image()) { scene in
      let process = try scene.start("library-ring-count", arguments: ["image"])
      #expect(try process("open") == "0")
      try process.tell("beside 100000")
      #expect(process.heard(within: 60) == "100000")
    }
  }

  @Test func `a batch on a disk completes each of its instructions`() throws {
    try Scene.run(RingPolicies.image(object: ", access: read-write", operations: "read, write")) { scene in
      let process = try scene.start("library-ring-count", arguments: ["image"])
      #expect(try process("open") == "0")
      let reads = Array(repeating: "64", count: 16).joined(separator: " ")
      #expect(try process("batch") == "19: \(reads) 0 7 \(-EACCES) of 19")
    }
  }

  @Test func `a batch on a socket completes as datagrams come, and what is left with the revoke`() throws {
    try Scene.run(RingPolicies.udp()) { scene in
      let process = try scene.start("library-ring-count", arguments: ["dns"])
      #expect(try process("open") == "0")
      #expect(try process("expect") == "3")
      for text in ["one", "two"] {
        try scene.sendDatagram(text)
        #expect(try process("collect") == text)
      }
      #expect(try scene.postern("revoke", "--object", "dns").status == 0)
      #expect(try process("collect") == "EKEYREVOKED revoked")
    }
  }

  @Test func `a child waits as little as its parent has said that a descriptor does`() throws {
    try Scene.run(RingPolicies.udp()) { scene in
      let process = try scene.start("library-ring-count", arguments: ["dns"])
      #expect(try process("open") == "0")
      // EAGAIN, by the ring that the child's first call has got it.
      #expect(try process("child") == "-11")
      #expect(try scene.journal().contains { $0.kind == "revalidate" && $0.path == "ring" })
    }
  }

  /// strace(1) counts what all threads of the broker do while a program makes a hundred thousand reads.
  @Test(.enabled(if: Tier.has("strace"), "strace counts"))
  func `the broker makes no system call for an operation`() throws {
    try Scene.run(RingPolicies.image()) { scene in
      // Some are about processes of the whole machine, whose forks and ends the kernel tells, at times thousands meanwhile: the least
      // of a few counts is what the reads are at the most.
      var fewest = Int.max
      for _ in 0..<5 where fewest >= 5000 {
        let calls = try callsOfBroker(scene, "library-ring-count")
        #expect(calls.reads == 100_000)
        fewest = min(fewest, calls.calls)
      }
      #expect(fewest < 5000, "\(fewest) system calls")
    }
  }

  /// What the same count says on the path mediated.
  @Test(.enabled(if: Tier.has("strace"), "strace counts"))
  func `on the path mediated the count is more than one for each operation`() throws {
    try Scene.run(Policies.image()) { scene in
      let calls = try callsOfBroker(scene, "library-ring-count", reads: 1000)
      #expect(calls.reads == 1000)
      #expect(calls.calls > 1000, "\(calls.calls) system calls")
    }
  }

  private func callsOfBroker(
    _ scene: Scene, _ program: String, reads: Int = 100_000
  ) throws -> (reads: Int, calls: Int) {
    let process = try scene.start(program, arguments: ["image"])
    #expect(try process("open") == "0")
    let counted = scene.folder + "/calls"
    let strace = try scene.start(
      ["/usr/bin/strace", "-f", "-c", "-o", counted, "-p", "\(scene.brokerPID)"], as: .own)
    // Attached once the broker is traced.
    let isTraced = try eventually {
      try String(contentsOfFile: "/proc/\(scene.brokerPID)/status", encoding: .utf8).contains(
        "TracerPid:\t\(strace.pid)")
    }
    #expect(isTraced)
    usleep(200_000)
    let done = Int(try process("read \(reads)")) ?? 0
    usleep(200_000)
    kill(strace.pid, SIGINT)
    #expect(strace.heard() == "ended")
    var calls = 0
    for line in try String(contentsOfFile: counted, encoding: .utf8).split(separator: "\n").dropFirst(2) {
      let words = line.split(separator: " ")
      guard words.count >= 5, words.last != "total", let count = Int(words[3]) else { continue }
      calls += count
    }
    return (done, calls)
  }
}
