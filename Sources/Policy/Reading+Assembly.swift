import Authority
import Instructions
import Yams

/// Checks that need the whole policy: names of all files, and each grant against its object.
extension Reading {
  func assemble(_ draft: Draft) -> PolicyModel {
    let objects = Dictionary(draft.objects.map { ($0.value.name, $0.value) }) { first, _ in first }
    let applications = Set(draft.applications.map(\.value.name))
    var rules: [GrantRule] = []
    var first: [GrantKey: Place] = [:]
    for grant in draft.grants {
      let rule = grant.rule
      if !applications.contains(rule.application), !draft.brokenApplications.contains(rule.application) {
        error(
          place(of: "application", in: grant),
          "there is no application \"\(rule.application)\"; \(suggestion(for: rule.application, among: draft.applications.map(\.value.name)))"
        )
      }
      if let earlier = first[rule.key] {
        error(
          grant.place,
          "a second grant for application \"\(rule.application)\" and object \"\(rule.object)\"; first at \(earlier.policyPlace.description)"
        )
      } else {
        first[rule.key] = grant.place
      }
      guard let object = objects[rule.object] else {
        if !draft.brokenObjects.contains(rule.object) {
          let names = draft.objects.map(\.value.name)
          error(
            place(of: "object", in: grant),
            "there is no object \"\(rule.object)\"; \(suggestion(for: rule.object, among: names))")
        }
        continue
      }
      rules.append(check(grant, against: object))
    }
    return PolicyModel(
      admins: draft.admins?.name, objects: draft.objects.map(\.value), applications: draft.applications.map(\.value),
      grants: rules, limits: draft.limits, audit: draft.audit, adminsID: draft.admins?.id)
  }

  private func place(of key: String, in grant: DraftGrant) -> Place {
    guard let entry = grant.fields[key] else { return grant.place }
    return place(entry.value, near: entry.place)
  }

  /// A node's place in the file of `other`.
  private func place(_ node: Node, near other: Place) -> Place {
    guard let mark = node.mark else { return other }
    return Place(order: other.order, file: other.file, position: Position(mark))
  }

  private func check(_ grant: DraftGrant, against object: ObjectDefinition) -> GrantRule {
    var rule = grant.rule
    let foreign = grant.operations.filter { !object.kind.operations.contains($0.opcode) }
    for (opcode, place) in foreign {
      error(
        place,
        "a \(object.kind.name) does not know \"\(opcode.name)\"; expected: \(object.kind.operations.names.joined(separator: ", "))"
      )
    }
    checkKeys(grant, object)
    switch object.specification {
    case .disk(let disk): check(grant, disk: disk, name: object.name)
    case .socket(let socket): check(grant, socket: socket, name: object.name)
    case .bus(let bus): rule.ioctls = check(grant, bus: bus, name: object.name)
    }
    if rule.recallAccepted, rule.path == .only(.ring), let entry = grant.fields["accepted"] {
      error(entry.place, "accepted: recall does not work on path: ring")
    }
    if foreign.isEmpty { warnAboutNothing(grant, rule, object) }
    warnAboutRing(grant, rule, object)
    warnAboutHandover(grant, rule, object)
    return rule
  }

  /// Says why opens of all that is granted will be refused; who asks for less may get it.
  private func warnAboutRing(_ grant: DraftGrant, _ rule: GrantRule, _ object: ObjectDefinition) {
    guard rule.path == .only(.ring), let entry = grant.fields["path"],
      let limits = try? LimitSet(object, narrowedBy: rule),
      let obstacle = object.ringObstacle(rule, operations: limits.effective(rule.operations), sendTo: limits.sendTo)
    else { return }
    warn(entry.place, "path: ring does not take all of this grant: \(obstacle)")
  }

  /// Says what a descriptor that is given away cannot keep to: nothing of it may come as a surprise.
  private func warnAboutHandover(_ grant: DraftGrant, _ rule: GrantRule, _ object: ObjectDefinition) {
    guard rule.handover else {
      if rule.killOnStuckRevoke, rule.path == .only(.mediated), let entry = grant.fields["on-stuck-revoke"] {
        warn(entry.place, "on-stuck-revoke: kill has no effect on the path mediated: the broker itself performs")
      }
      return
    }
    guard let entry = grant.fields["handover"] else { return }
    if rule.path == .only(.mediated) || rule.path == .only(.ring), let path = grant.fields["path"] {
      warn(path.place, "this path excludes handover: true")
    } else if let obstacle = object.handoverObstacle(rule) {
      warn(entry.place, "handover: true has no effect on \"\(object.name)\": \(obstacle)")
    } else {
      let unchecked = object.whatNobodyChecks(rule)
      if !unchecked.isEmpty { warn(entry.place, "handover: true: \(unchecked)") }
    }
    guard rule.onExec == .keep || grant.fields["on-exec"] == nil else {
      return warn(entry.place, "handover: true: a descriptor lives through an exec, whatever on-exec says")
    }
  }

  /// Keys that mean nothing for the object's kind: they can widen nothing, but a limit that limits nothing misleads.
  private func checkKeys(_ grant: DraftGrant, _ object: ObjectDefinition) {
    let keys: [String]
    switch object.specification {
    case .disk: keys = ["connect", "send-to", "options", "ioctls", "accepted"]
    case .socket(let socket):
      switch socket.endpoint {
      case .tcp: keys = ["range", "access", "ioctls"]
      case .udp, .raw: keys = ["range", "access", "ioctls", "accepted"]
      case .unix: keys = ["range", "access", "ioctls", "connect", "send-to"]
      case .packet: keys = ["range", "access", "ioctls", "connect", "send-to", "accepted"]
      }
    case .bus: keys = ["range", "access", "connect", "send-to", "options", "accepted"]
    }
    for key in keys {
      guard let entry = grant.fields[key] else { continue }
      warn(entry.place, "\(key) means nothing for \"\(object.name)\", which is \(object.description)")
    }
  }

  private func check(_ grant: DraftGrant, disk: DiskSpecification, name: String) {
    if let range = grant.rule.range, let wider = disk.range, !wider.contains(range), let entry = grant.fields["range"] {
      error(
        place(entry.value, near: entry.place),
        "the range is not inside that of \"\(name)\", offset \(wider.offset), length \(wider.length) (both count from the device's start)"
      )
    }
    if grant.rule.access == .readWrite, disk.access == .readOnly, let entry = grant.fields["access"] {
      error(place(entry.value, near: entry.place), "the access is wider than that of \"\(name)\", which is read-only")
    }
    let readOnly = disk.access == .readOnly || grant.rule.access == .readOnly
    guard readOnly else { return }
    for (opcode, place) in grant.operations where opcode == .write || opcode == .discard {
      let whose = disk.access == .readOnly ? "\"\(name)\" is" : "the grant's access is"
      error(place, "\"\(opcode.name)\" needs access: read-write, and \(whose) read-only")
    }
  }

  private func check(_ grant: DraftGrant, socket: SocketSpecification, name: String) {
    let count = (grant.rule.connect ?? socket.connect).count + (grant.rule.sendTo ?? socket.sendTo).count
    checkAddressCount(count, at: grant.fields["send-to"] ?? grant.fields["connect"])
    for (key, narrower, wider) in [
      ("connect", grant.rule.connect, socket.connect), ("send-to", grant.rule.sendTo, socket.sendTo),
    ] {
      guard let narrower, let entry = grant.fields[key] else { continue }
      for (index, pattern) in narrower.enumerated() where !wider.contains(where: { $0.covers(pattern) }) {
        error(itemPlace(entry, index, count: narrower.count), "this address is wider than \(key) of \"\(name)\"")
      }
    }
    guard let options = grant.rule.options, let entry = grant.fields["options"] else { return }
    for (index, option) in options.enumerated() where !socket.options.contains(option) {
      error(itemPlace(entry, index, count: options.count), "\(option.name) is not among the options of \"\(name)\"")
    }
  }

  private func check(_ grant: DraftGrant, bus: BusSpecification, name: String) -> [ControlRequest]? {
    guard let entry = grant.fields["ioctls"] else { return nil }
    guard let kind = bus.controlBus else {
      reportForeignControls(entry, name)
      return nil
    }
    return within(entry.place) { () -> [ControlRequest]? in
      let requests = controls(entry, on: kind) ?? []
      for (index, request) in requests.enumerated() where !bus.ioctls.contains(where: { $0.request == request.request })
      {
        error(itemPlace(entry, index, count: requests.count), "\(request.name) is not among the ioctls of \"\(name)\"")
      }
      return requests
    }
  }

  /// The place of the item of a list, or the key's where items were left out as wrong.
  private func itemPlace(_ entry: Entry, _ index: Int, count: Int) -> Place {
    guard case .sequence(let sequence) = entry.value, sequence.count == count else { return entry.place }
    return place(sequence[index], near: entry.place)
  }

  /// Says which granted operations come to nothing because a limit key is missing.
  private func warnAboutNothing(_ grant: DraftGrant, _ rule: GrantRule, _ object: ObjectDefinition) {
    guard let limits = try? LimitSet(object, narrowedBy: rule) else { return }
    let effective = limits.effective(rule.operations)
    let missing: [(Opcode, String)] = [
      (.connect, "connect"), (.send, "send-to"), (.setoption, "options"), (.control, "ioctls"),
    ]
    for (opcode, key) in missing where rule.operations.contains(opcode) && !effective.contains(opcode) {
      guard let place = grant.operations.first(where: { $0.opcode == opcode })?.place else { continue }
      warn(place, "\"\(opcode.name)\" grants nothing: neither the object nor the grant lists anything under \(key)")
    }
  }
}

extension ObjectDefinition {
  /// For mistakes: "a disk", "a udp socket".
  fileprivate var description: String {
    switch specification {
    case .disk: "a disk"
    case .bus: "a bus"
    case .socket(let socket):
      switch socket.endpoint {
      case .tcp: "a tcp socket"
      case .udp: "a udp socket"
      case .unix: "a unix socket"
      case .raw: "a raw socket"
      case .packet: "a packet socket"
      }
    }
  }
}
