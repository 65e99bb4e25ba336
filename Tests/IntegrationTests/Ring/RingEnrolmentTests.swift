import Glibc
import Linux
import TestSupport
import Testing

/// Which rings are taken.
@Suite(.enabled(if: Tier.rings, "rings of others need root")) struct RingEnrolmentTests {
  private func refused(_ ring: String, _ why: String, _ open: String = "open image") throws {
    try Scene.run(RingPolicies.image()) { scene in
      let process = try scene.start("library-ring", arguments: [])
      #expect(try process(ring) == "0")
      #expect(try process(open) == "EKEYREJECTED refused")
      let refusal = try scene.journal().last { $0.kind == "refusal" }
      #expect(refusal?.detail == "path-unavailable" && refusal?.path == "ring")
      #expect(refusal?.message?.contains(why) ?? false, "\(refusal?.message ?? "nothing")")
      #expect(try scene.associations().isEmpty)
      #expect(try scene.loopDevices() == 0)
      // Nothing came into it on the way.
      #expect(try process("do read") != "512")
    }
  }

  @Test func `a ring that was enabled beforehand is refused`() throws {
    try refused("ring enabled", "enabled already")
  }

  @Test func `a ring that was restricted beforehand is refused`() throws {
    try refused("ring restricted", "restricted already")
  }

  @Test func `a ring that has files is refused`() throws { try refused("ring files", "files already") }

  @Test func `a ring with a kernel thread is refused`() throws { try refused("ring sqpoll", "SQPOLL") }

  @Test func `a ring of one thread only is refused`() throws { try refused("ring single", "SINGLE_ISSUER") }

  @Test func `what is no ring is refused`() throws { try refused("ring", "no ring", "open image 0") }

  @Test func `a number that is no descriptor is refused`() throws {
    try refused("ring", "does not let the broker take", "open image 77")
  }

  /// The number of another process's ring means something else, or nothing, in the one that offers it.
  @Test func `another process's ring cannot be offered`() throws {
    try Scene.run(RingPolicies.image()) { scene in
      let owner = try scene.start("library-ring", arguments: [])
      let other = try scene.start("library-ring", arguments: [])
      _ = try owner("ring")
      let number = try owner("number")
      #expect(try other("open image \(number)") == "EKEYREJECTED refused")
      #expect(try owner("do read") != "512")
    }
  }

  /// Says whether the asker ended between the hand's answer and its association: that the order is on its way shows in the broker's
  /// descriptors, the answer is waited for by time.
  private func killedWhilePrepared() throws -> Bool {
    var isReached = false
    try Scene.run(RingPolicies.image()) { scene in
      let forker = try scene.ringHolders().forker
      let process = try scene.start("library-ring", arguments: [])
      _ = try process("ring")
      // A child keeps its connection, which so does not end together with it.
      try process.tell("later image")
      usleep(100_000)
      let before = scene.descriptorCount
      kill(forker, SIGSTOP)
      try process.tell("open image")
      // The asker, pinned; its object, twice; the hand's socket.
      _ = eventually(within: 1) { scene.descriptorCount >= before + 5 }
      usleep(100_000)
      scene.signal(SIGSTOP)
      kill(forker, SIGCONT)
      _ = try eventually(within: 1) { try !scene.ringHolders().hands.isEmpty }
      usleep(300_000)
      kill(process.pid, SIGKILL)
      process.waitForEnd()
      scene.signal(SIGCONT)
      let isEmpty = try eventually(within: 30) { try scene.ringHolders().hands.isEmpty }
      let holders = try scene.ringHolders()
      #expect(isEmpty, "\(holders)")
      isReached = try scene.journal().contains { $0.message == "the asker could not be followed" }
      let left = try scene.table { $0.statistics() }
      #expect(left.live + left.tombstones + left.processes + left.limits == 0, "\(left)")
    }
    return isReached
  }

  @Test func `who is killed while its ring is prepared leaves nothing in the table`() throws {
    let isReached = try (1...5).contains { _ in try killedWhilePrepared() }
    #expect(isReached)
  }

  /// What is answered, and what a write says then, where another policy is read while a ring to read and write by is prepared. A program
  /// makes that last by its ring's lock; here the process that forks hands is stopped.
  private func reloaded(to operations: String) throws -> (answer: String, write: String) {
    func policy(_ operations: String) -> String {
      RingPolicies.image(object: ", access: read-write", operations: operations)
    }
    var said = (answer: "", write: "")
    try Scene.run(policy("read, write")) { scene in
      let forker = try scene.ringHolders().forker
      let process = try scene.start("library-ring", arguments: [])
      _ = try process("ring")
      let before = scene.descriptorCount
      kill(forker, SIGSTOP)
      try process.tell("open image")
      // Judged: the asker, pinned; its object, twice; the hand's socket.
      #expect(eventually { scene.descriptorCount >= before + 5 })
      try scene.write("policy.yaml", try scene.expand(policy(operations)))
      #expect(try scene.postern("reload").status == 0)
      kill(forker, SIGCONT)
      said.answer = process.heard()
      said.write = try process("do write")
      let refusals = try scene.journal().filter { $0.kind == "refusal" }
      #expect(refusals.contains { $0.message?.contains("changed meanwhile") ?? false } == (operations == "read"))
    }
    return said
  }

  @Test func `what a reload takes away while a ring is prepared is not in it`() throws {
    let said = try reloaded(to: "read")
    #expect(said.answer == "EKEYREJECTED refused")
    #expect(said.write != "11")
  }

  @Test func `a reload that leaves the grant as it was keeps no ring from being made`() throws {
    let said = try reloaded(to: "read, write")
    #expect(said.answer == "0")
    #expect(said.write == "11")
  }

  @Test func `what was not granted with path ring is no ring's`() throws {
    try Scene.run(Policies.image()) { scene in
      let process = try scene.start("library-ring", arguments: [])
      _ = try process("ring")
      #expect(try process("open image") == "EKEYREJECTED refused")
    }
  }

  @Test func `doctor and the list of associations say of a grant that no ring can keep to why`() throws {
    let policy =
      RingPolicies.image()
      + "  - { application: app, object: registers, operations: [transfer], path: ring }\n"
    try Scene.run(
      policy.replacing(
        "applications:", with: "  registers: { kind: bus, bus: simulated, device: registers }\napplications:")
    ) { scene in
      let lines = try scene.postern("doctor").output.split(separator: "\n")
      #expect(lines.contains { $0.hasPrefix("path ring ") && $0.contains("works") }, "\(lines)")
      #expect(lines.contains { $0.hasPrefix("path ring, app on registers") && $0.contains("a bus") }, "\(lines)")
      let list = try scene.postern("association", "list").errors
      #expect(list.contains("path ring, app on registers: a bus"), "\(list)")
      let other = try scene.postern("association", "list", "--object", "image").errors
      #expect(!other.contains("registers"), "\(other)")
      // Which grants there are is for administrators.
      for words in [["doctor"], ["association", "list"]] {
        let told = try scene.postern(words, as: .nobody)
        #expect(!(told.output + told.errors).contains("registers"), "\(told)")
      }
    }
  }
}
