import Audit
import AuditAnalysis
import Authority
import Instructions
import Policy
import Testing

/// A policy as people write them: both styles, comments everywhere, a second file.
private let text = """
  # The machine's policy.
  version: 1
  objects:
    # The shop's port.
    web: { kind: socket, listen: "tcp://0.0.0.0:80" }   # everybody's
    disk:
      kind: disk          # half a device
      path: /dev/vdb
      range: { offset: 4096, length: 8192 }
      access: read-write
    backup: { kind: disk, path: /dev/vdc }
    ping: { kind: socket, listen: "raw://icmp", send-to: ["127.0.0.0/8"] }
    dns:
      kind: socket
      listen: "udp://0.0.0.0:5353"
      send-to: ["10.0.0.1:53", "10.0.0.2:53"]   # ours
      options: [SO_BROADCAST]
    pad: { kind: bus, bus: hid, path: /dev/hidraw0, ioctls: [HIDIOCGRDESC] }
  applications:
    # Programs.
    shop: { user: www, executable: /bin/shop }
    keeper:
      user: ann
      group: disk
    # The last one.
    worker: { user: www }
  grants:
    - application: shop
      object: web
      operations: [bind, listen, accept]   # no more
    - { application: shop, object: disk, operations: [read], range: { offset: 4096, length: 4096 } }
    - application: keeper
      object: disk
      operations:
        - read
        - write
    - { application: keeper, object: backup, operations: [read], on-fork: deny }
    - { application: keeper, object: ping, operations: [send, receive] }
    - { application: shop, object: dns, operations: [bind, send, receive, setoption], send-to: ["10.0.0.1:53"] }
    - { application: keeper, object: dns, operations: [bind, send] }
    - { application: shop, object: pad, operations: [read, control] }

  """

private func scene() throws -> Scene {
  try Scene(
    text,
    fragments: [
      """
      applications:
        extra: { user: bob, executable: /bin/extra }   # kept apart
      grants:
        - { application: extra, object: disk, operations: [info] }   # asks only

      """
    ])
}

@Suite struct SuggestionTests {
  @Test func `a stranger gets an application of its own and exactly what it asked for`() throws {
    let before = try scene()
    let subject = Scene.subject(1001, "/bin/tool", groups: [6])
    let request = OpenRequest(subject: subject, object: "disk", operations: OperationSet([.read]))
    let (suggestion, after, diff) = try before.suggest(before.record(request, program: "/bin/tool"))
    #expect(after.judge(request).authorization?.operations == OperationSet(.read))
    #expect(diff.contains("+  tool: { user: \"bob\", executable: \"/bin/tool\" }"), "\(diff)")
    #expect(suggestion.changes.count == 2)
    // Comments and everything else stand as they stood.
    #expect(diff.split(separator: "\n").filter { $0.hasPrefix("-") && !$0.hasPrefix("---") }.isEmpty, "\(diff)")
  }

  @Test func `a program that the policy has under that name is not described twice`() throws {
    let before = try scene()
    let request = OpenRequest(
      subject: Scene.subject(1001, "/bin/extra"), object: "backup", operations: OperationSet(.read))
    let (_, after, diff) = try before.suggest(before.record(request, program: "/bin/extra"))
    #expect(after.policy.applications == before.policy.applications)
    #expect(after.judge(request).authorization?.application == "extra")
    #expect(diff.contains("+  - { application: extra, object: backup, operations: [read] }"), "\(diff)")
  }

  @Test func `an operation is added to the list where it stands, in either style`() throws {
    let before = try scene()
    let shop = OpenRequest(
      subject: Scene.subject(33, "/bin/shop"), object: "web", operations: OperationSet([.accept, .shutdown]))
    let (_, afterShop, shopDiff) = try before.suggest(before.record(shop, program: "/bin/shop"))
    #expect(shopDiff.contains("+    operations: [bind, listen, accept, shutdown]   # no more"), "\(shopDiff)")
    #expect(afterShop.judge(shop).authorization != nil)
    let keeper = OpenRequest(
      subject: Scene.subject(1000, "/bin/any", groups: [6]), object: "disk", operations: OperationSet([.flush]))
    let (_, afterKeeper, keeperDiff) = try before.suggest(before.record(keeper, program: "/bin/any"))
    #expect(keeperDiff.contains("+      - flush"), "\(keeperDiff)")
    #expect(afterKeeper.judge(keeper).authorization?.operations == OperationSet(.flush))
  }

  @Test func `writing to what is read-only widens the object, and no other grant of it`() throws {
    let before = try scene()
    let request = OpenRequest(
      subject: Scene.subject(1000, "/bin/any", groups: [6]), object: "backup", operations: OperationSet(.write))
    let (suggestion, after, _) = try before.suggest(before.record(request, program: "/bin/any"))
    #expect(after.judge(request).authorization?.operations == OperationSet(.write))
    #expect(suggestion.warnings.contains { $0.contains("whole of /dev/vdc") }, "\(suggestion.warnings)")
    #expect(suggestion.warnings.contains { $0.contains("overwritten") })
  }

  @Test func `a range grows to exactly what was written, and other grants keep theirs`() throws {
    let before = try scene()
    let operands = Operands(offset: 8192, length: 512)
    let record = before.refusal(.limit, "keeper", "disk", .write, operands)
    let (suggestion, after, _) = try before.suggest(record)
    #expect(after.limits("keeper", "disk")?.range == ByteRange(offset: 4096, length: 8704))
    #expect(after.limits("shop", "disk") == before.limits("shop", "disk"))
    #expect(after.limits("extra", "disk") == before.limits("extra", "disk"))
    #expect(suggestion.alsoAllows.contains { $0.hasPrefix("read of the same bytes") }, "\(suggestion.alsoAllows)")
  }

  @Test func `a grant's own range grows inside its object's`() throws {
    let before = try scene()
    let record = before.refusal(
      .limit, "shop", "disk", .discard, Operands(offset: 4096, length: 1), holding: OperationSet(.read))
    let (suggestion, after, _) = try before.suggest(record)
    #expect(after.limits("shop", "disk")?.range == ByteRange(offset: 4096, length: 4097))
    #expect(after.policy.objects == before.policy.objects)
    #expect(
      after.policy.grants.first { $0.application == "shop" && $0.object == "disk" }?.operations
        == OperationSet([.read, .discard]))
    #expect(!suggestion.changes.isEmpty)
  }

  @Test func `an address is added for the one grant, as a host with its port`() throws {
    let before = try scene()
    let address = NetworkAddress(family: .ipv4, bytes: bytes([192, 0, 2, 9]), port: 53)
    let record = before.refusal(.limit, "shop", "dns", .send, Operands(length: 10, address: address))
    let (_, after, diff) = try before.suggest(record)
    let added = AddressPattern(
      address: NetworkAddress(family: .ipv4, bytes: bytes([192, 0, 2, 9]), port: 0), prefixLength: 32, ports: 53...53)
    #expect(after.limits("shop", "dns")?.sendTo?.last?.covers(added) == true, "\(diff)")
    #expect(after.limits("shop", "dns")?.sendTo?.count == 2)
    #expect(after.limits("keeper", "dns") == before.limits("keeper", "dns"))
  }

  @Test func `an IPv4 address that an IPv6 socket names is written as what it is`() throws {
    let before = try scene()
    let mapped = NetworkAddress(
      family: .ipv6, bytes: bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 9]), port: 53)
    let record = before.refusal(.limit, "keeper", "dns", .send, Operands(length: 1, address: mapped))
    let (_, after, diff) = try before.suggest(record)
    #expect(diff.contains("\"192.0.2.9:53\""), "\(diff)")
    #expect(after.limits("keeper", "dns")?.sendTo?.count == 3)
  }

  @Test func `an option and a control request are added by their names`() throws {
    let before = try scene()
    let keepAlive = UInt32(1) << 16 | 9
    let option = before.refusal(.limit, "shop", "dns", .setoption, Operands(request: keepAlive))
    let (_, afterOption, optionDiff) = try before.suggest(option)
    #expect(optionDiff.contains("options: [SO_BROADCAST, SO_KEEPALIVE]"), "\(optionDiff)")
    #expect(afterOption.limits("shop", "dns")?.options?.map(\.name) == ["SO_BROADCAST", "SO_KEEPALIVE"])
    let request = try #require(BusControl(name: "HIDIOCGRDESCSIZE", on: .hid))
    let control = before.refusal(.limit, "shop", "pad", .control, Operands(request: request.request))
    let (_, afterControl, controlDiff) = try before.suggest(control)
    #expect(controlDiff.contains("ioctls: [HIDIOCGRDESC, HIDIOCGRDESCSIZE]"), "\(controlDiff)")
    #expect(afterControl.limits("shop", "pad")?.controls?.count == 2)
  }

  @Test func `what refused the grant's rules is the key that is changed`() throws {
    let before = try scene()
    var child = OpenRequest(
      subject: Scene.subject(1000, "/bin/any", groups: [6]), object: "backup", operations: OperationSet(.read))
    child.descendsFromHolder = true
    var forked = before.record(child, program: "/bin/any")
    forked.circumstances?.descendsFromHolder = true
    let (_, afterFork, forkDiff) = try before.suggest(forked)
    #expect(forkDiff.contains("on-fork: revalidate"), "\(forkDiff)")
    #expect(afterFork.judge(child).authorization != nil)
    let traced = OpenRequest(
      subject: Scene.subject(33, "/bin/shop", traced: true), object: "web", operations: OperationSet(.accept))
    let (suggestion, afterTrace, traceDiff) = try before.suggest(before.record(traced, program: "/bin/shop"))
    #expect(traceDiff.contains("+  shop: { user: www, executable: /bin/shop, traceable: true }"), "\(traceDiff)")
    #expect(afterTrace.judge(traced).authorization != nil)
    #expect(suggestion.warnings.contains { $0.contains("trace") })
    var run = OpenRequest(subject: Scene.subject(33, "/bin/shop"), object: "web")
    run.door = .run
    let (_, afterRun, runDiff) = try before.suggest(before.record(run, program: "/bin/shop"))
    #expect(runDiff.contains("+    handover: true"), "\(runDiff)")
    #expect(afterRun.judge(run).authorization?.path == .handover)
  }

  @Test func `reasons that are no policy's get the command to run and no diff`() throws {
    let before = try scene()
    for (reason, command) in [
      (Reason.revoked, "postern grant --application shop --object disk --operations read"),
      (.busy, "postern association list --object disk"), (.quota, "postern association list --application shop"),
      (.undecidable, "postern doctor"), (.stale, "postern object show disk"), (.expired, "postern object show disk"),
    ] {
      let (suggestion, _, diff) = try before.suggest(before.refusal(reason, "shop", "disk", .read))
      #expect(diff.isEmpty)
      #expect(suggestion.commands.contains(command), "\(reason): \(suggestion.commands)")
      #expect(!suggestion.remarks.isEmpty)
    }
    let (suggestion, _, diff) = try before.suggest(before.refusal(.notAssociated, "shop", "disk", .read))
    #expect(diff.isEmpty)
    #expect(suggestion.remarks.contains { $0.contains("postern_revalidate") })
    #expect(suggestion.commands.contains { $0.hasPrefix("postern can-i read disk") })
    #expect(suggestion.commands.contains("postern association list --object disk"))
  }

  @Test func `a hostile object name never gets into a command line`() throws {
    let before = try scene()
    var record = before.refusal(.busy, "shop", "disk", .read)
    record.object = "x; rm -rf /\n"
    record.application = "$(reboot)"
    let (suggestion, _, _) = try before.suggest(record)
    #expect(suggestion.commands.isEmpty, "\(suggestion.commands)")
    #expect(suggestion.lines.allSatisfy { !$0.contains("\n") })
  }

  @Test func `nothing is suggested from a record whose text was cut`() throws {
    let before = try scene()
    let request = OpenRequest(
      subject: Scene.subject(1001, "/bin/tool"), object: "disk", operations: OperationSet(.read))
    var record = before.record(request, program: "/bin/tool")
    record.isTruncated = true
    let (suggestion, _, diff) = try before.suggest(record)
    #expect(diff.isEmpty)
    #expect(suggestion.remarks == ["a text of the record was cut, so that it does not say what was asked"])
  }

  @Test func `an interpreter, a low port and a raw socket are warned of`() throws {
    let before = try scene()
    for (object, operation, warning) in [
      ("web", Opcode.accept, "port 80 is one that others trust"),
      ("ping", .receive, "a raw socket receives what others"),
      ("web", .accept, "python3.11 runs whatever script"), ("backup", .read, "this is the whole of /dev/vdc"),
      ("pad", .read, "what is typed on /dev/hidraw0 can be read"),
    ] {
      let request = OpenRequest(
        subject: Scene.subject(1001, "/usr/bin/python3.11"), object: object, operations: OperationSet(operation))
      let (suggestion, after, _) = try before.suggest(before.record(request, program: "/usr/bin/python3.11"))
      #expect(suggestion.warnings.contains { $0.hasPrefix(warning) }, "\(object): \(suggestion.warnings)")
      #expect(after.judge(request).authorization != nil)
    }
  }

  @Test func `what cannot be known is said, not guessed`() throws {
    let before = try scene()
    let unknown = OpenRequest(subject: Scene.subject(33, "/bin/shop"), object: "dusk", operations: OperationSet(.read))
    let (suggestion, _, diff) = try before.suggest(before.record(unknown, program: "/bin/shop"))
    #expect(diff.isEmpty)
    #expect(suggestion.remarks.contains { $0.contains("did the program mean disk?") }, "\(suggestion.remarks)")
    let elsewhere = OpenRequest(
      subject: Scene.subject(33, "/bin/shop", pidNamespace: FileIdentity(device: 9, inode: 9)), object: "web",
      operations: OperationSet(.accept))
    let (other, _, otherDiff) = try before.suggest(before.record(elsewhere, program: "/bin/shop"))
    #expect(otherDiff.isEmpty)
    #expect(other.remarks.contains { $0.contains("namespace:") }, "\(other.remarks)")
  }

  @Test func `several records give one diff, and what an earlier change allows is not changed again`() throws {
    let before = try scene()
    let request = OpenRequest(
      subject: Scene.subject(33, "/bin/shop"), object: "web", operations: OperationSet(.shutdown))
    let record = before.record(request, program: "/bin/shop")
    var suggester = Suggester(
      try before.evaluator(), files: before.files, directory: Scene.Names(), userName: Scene.userName)
    #expect(suggester.suggest(for: History(of: record)).changes.count == 1)
    let again = suggester.suggest(for: History(of: record))
    #expect(again.changes.isEmpty)
    #expect(again.remarks.contains { $0.contains("the policy allows it") })
    let limit = before.refusal(.limit, "keeper", "disk", .write, Operands(offset: 8192, length: 1))
    #expect(!suggester.suggest(for: History(of: limit)).changes.isEmpty)
    let after = try Scene(files: try before.patched(suggester.diff))
    #expect(after.judge(request).authorization != nil)
    #expect(after.limits("keeper", "disk")?.range?.length == 8193)
  }
}

extension Scene {
  /// What a grant comes to.
  func limits(_ application: String, _ object: String) -> LimitSet? {
    guard let definition = policy.objects.first(where: { $0.name == object }),
      let rule = policy.grants.first(where: { $0.application == application && $0.object == object })
    else { return nil }
    return try? LimitSet(definition, narrowedBy: rule)
  }
}

func bytes(_ values: [UInt8]) -> InlineArray<16, UInt8> {
  var bytes = InlineArray<16, UInt8>(repeating: 0)
  for (index, value) in values.enumerated() { bytes[index] = value }
  return bytes
}
