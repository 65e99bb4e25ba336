import TestSupport
import Testing

@Suite struct QuotaTests {
  @Test func `a third process of an application that may have two is refused with quota`() throws {
    try Scene.run(Policies.image(application: ", processes: 2")) { scene in
      let first = try scene.actor()
      let second = try scene.actor()
      let third = try scene.actor()
      #expect(try first("open image") == "ok")
      #expect(try second("open image") == "ok")
      #expect(try third("open image") == "quota")
      #expect(try scene.journal(of: "\(third.pid)").last?.errno == "EDQUOT")
      #expect(try first("read") == "ok")
    }
  }

  @Test func `a child that would be the third process is refused with quota, until another ends`() throws {
    try Scene.run(Policies.image(application: ", processes: 2")) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      _ = try parent("fork")
      _ = try parent("fork")
      #expect(try parent("child 0 adopt") == "ok")
      #expect(try parent("child 0 revalidate") == "ok")
      #expect(try parent("child 1 adopt") == "ok")
      #expect(try parent("child 1 revalidate") == "quota")
      #expect(try parent("reap 0") == "1")
      #expect(try parent("child 1 revalidate") == "ok")
      #expect(try parent("child 1 read") == "ok")
    }
  }

  @Test func `an exclusive object is busy while another process holds it`() throws {
    try Scene.run(Policies.image(object: ", exclusive: true")) { scene in
      let first = try scene.actor()
      let second = try scene.actor()
      #expect(try first("open image") == "ok")
      #expect(try second("open image") == "busy")
      #expect(try scene.journal(of: "\(second.pid)").last?.errno == "EBUSY")
      #expect(try first("read") == "ok")
      #expect(try first("exit") == "exiting")
      first.waitForEnd()
      #expect(try second("open image") == "ok")
      #expect(try second("read") == "ok")
    }
  }

  @Test func `an exclusive object is busy for a child too`() throws {
    try Scene.run(Policies.image(object: ", exclusive: true")) { scene in
      let parent = try scene.actor()
      #expect(try parent("open image") == "ok")
      _ = try parent("fork")
      #expect(try parent("child 0 adopt") == "ok")
      #expect(try parent("child 0 revalidate") == "busy")
    }
  }

  @Test func `exclusive compares devices and ranges, not names`() throws {
    let policy = """
      version: 1
      objects:
        low: { kind: disk, path: $IMAGE, range: { offset: 0, length: 4096 }, exclusive: true }
        across: { kind: disk, path: $IMAGE, range: { offset: 2048, length: 4096 }, exclusive: true }
        high: { kind: disk, path: $IMAGE, range: { offset: 4096, length: 4096 }, exclusive: true }
      applications:
        app: { user: $USER }
      grants:
        - { application: app, object: low, operations: [read] }
        - { application: app, object: across, operations: [read] }
        - { application: app, object: high, operations: [read] }
      """
    try Scene.run(policy) { scene in
      let first = try scene.actor()
      let second = try scene.actor()
      #expect(try first("open low") == "ok")
      #expect(try second("open across") == "busy")
      #expect(try second("open high") == "ok")
      #expect(try first("read") == "ok")
      #expect(try second("read") == "ok")
    }
  }
}
