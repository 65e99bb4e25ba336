import TestSupport
import Testing

/// A broker that runs as an ordinary user: rings of programs of that user.
@Suite struct RingOrdinaryUserTests {
  private func run(_ policy: String, _ body: (Scene) throws -> Void) throws {
    try Scene.run(policy, broker: .application, application: .application, body)
  }

  @Test func `sockets can be put into rings, and are taken back`() throws {
    try run(RingPolicies.udp()) { scene in
      let process = try scene.start("library-ring", arguments: [])
      _ = try process("ring")
      #expect(try process("open dns") == "0")
      try scene.sendDatagram("early")
      #expect(try process("do receive") == "5")
      #expect(try process("do write") == "EACCES")
      _ = try process("start receive")
      #expect(try scene.postern("revoke", "--object", "dns").status == 0)
      let last = try process("end")
      #expect(["ECANCELED", "0"].contains(last), "\(last)")
      #expect(try process("do receive") == "EBADF")
    }
  }

  @Test func `a listener can be put into a ring, and is taken back`() throws {
    try run(RingPolicies.listener()) { scene in
      let process = try scene.start("library-ring", arguments: [])
      let client = try scene.start("library-ring", arguments: [])
      _ = try process("ring")
      #expect(try process("open web") == "0")
      #expect(try client("connect \(scene.address) 7778") == "0")
      #expect(Int(try process("do accept")) ?? -1 > 2)
      let revoked = try scene.postern("revoke", "--object", "web")
      #expect(revoked.status == 0, "\(revoked.output)\(revoked.errors)")
      #expect(try process("do accept") == "EBADF")
      #expect(try client("connect \(scene.address) 7778") == "ECONNREFUSED")
    }
  }

  @Test func `disks cannot, and doctor, the list of associations and the refusal say why`() throws {
    try run(RingPolicies.image()) { scene in
      let doctor = try scene.postern("doctor").output.split(separator: "\n")
      #expect(doctor.contains { $0.hasPrefix("path ring ") && $0.contains("works") }, "\(doctor)")
      for subject in ["path ring for disks", "path ring, app on image"] {
        #expect(
          doctor.contains { $0.hasPrefix(subject) && $0.contains("refused") && $0.contains("loop device") },
          "\(subject): \(doctor)")
      }
      let list = try scene.postern("association", "list").errors
      #expect(list.contains("path ring, app on image: a loop device"), "\(list)")
      let process = try scene.start("library-ring", arguments: [])
      _ = try process("ring")
      #expect(try process("open image") == "EKEYREJECTED refused")
      let refusal = try scene.journal().last { $0.kind == "refusal" }
      #expect(refusal?.message?.contains("loop device") ?? false, "\(refusal?.message ?? "nothing")")
    }
  }
}
