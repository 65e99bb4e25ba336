import Instructions
import Policy

/// The smallest policy under which a program's refused calls would have been granted. Does no I/O.
struct LearnedPolicy {
  private struct Object {
    var name: String
    /// As in the policy, behind `kind:`.
    var keys: String
    var warnings: [String]
  }

  private struct Application: Hashable {
    var user: String
    var executable: String
  }

  private struct GrantLine {
    var application: String
    var object: String
    var operations: OperationSet
  }

  private var objects: [Object] = []
  private var applications: [(application: Application, name: String)] = []
  private var grants: [GrantLine] = []
  /// What Postern could not give, or not so.
  private var remarks: [String] = []

  /// - Parameter interface: which one a packet socket is probably for; the call does not say.
  init(_ calls: [RefusedCall], interface: String) {
    var calls = calls
    for call in calls where !call.executable.isPolicyPath {
      remark("the program \(call.executable.escapedForTerminal) has a path that no policy can name")
    }
    calls.removeAll { !$0.executable.isPolicyPath }
    // A disk that anybody writes is a writable one for all, so everything is looked at before anything is written.
    let subjects = calls.reduce(into: [RefusedCall.Subject]()) { subjects, call in
      LearnedPolicy.merge(call.subject, into: &subjects)
    }
    var names: [RefusedCall.Subject: String] = [:]
    for subject in subjects {
      let name = unique(subject.objectName, among: objects.map(\.name))
      switch subject.object(interface: interface) {
      case .success(let (keys, warnings)):
        objects.append(Object(name: name, keys: keys, warnings: warnings))
        names[subject.identity] = name
      case .failure(let obstacle): remark(obstacle.text)
      }
    }
    for call in calls {
      guard let object = names[call.subject.identity] else { continue }
      let application = name(of: Application(user: call.user, executable: call.executable))
      if let index = grants.firstIndex(where: { $0.application == application && $0.object == object }) {
        grants[index].operations.formUnion(call.subject.operations)
      } else {
        grants.append(GrantLine(application: application, object: object, operations: call.subject.operations))
      }
    }
  }

  private mutating func remark(_ text: String) {
    if !remarks.contains(text) { remarks.append(text) }
  }

  /// The same device is one subject, whatever it was opened for.
  private static func merge(_ subject: RefusedCall.Subject, into subjects: inout [RefusedCall.Subject]) {
    guard let index = subjects.firstIndex(where: { $0.identity == subject.identity }) else {
      return subjects.append(subject)
    }
    guard case .device(var device) = subjects[index], case .device(let other) = subject else { return }
    device.reads = device.reads || other.reads
    device.writes = device.writes || other.writes
    subjects[index] = .device(device)
  }

  private mutating func name(of application: Application) -> String {
    if let known = applications.first(where: { $0.application == application }) { return known.name }
    let file = application.executable.split(separator: "/").last.map(String.init) ?? "program"
    let name = unique(file.policyName, among: applications.map(\.name))
    applications.append((application, name))
    return name
  }

  /// Whether there is anything to grant.
  var isEmpty: Bool { objects.isEmpty }

  /// Lines of YAML, each with its line end; only comments where nothing can be granted, and nothing where nothing was
  /// refused.
  var text: String {
    var text = remarks.map { "# \($0)\n" }.joined()
    guard !isEmpty else { return text }
    text += "version: 1\nobjects:\n"
    for object in objects {
      for warning in object.warnings { text += "  # warning: \(warning)\n" }
      text += "  \(object.name): { \(object.keys) }\n"
    }
    text += "applications:\n"
    for (application, name) in applications {
      let user = application.user.quotedForPolicy
      text += "  \(name): { user: \(user), executable: \(application.executable.quotedForPolicy) }\n"
    }
    text += "grants:\n"
    for grant in grants {
      let operations = grant.operations.names.joined(separator: ", ")
      text += "  - { application: \(grant.application), object: \(grant.object), operations: [\(operations)], "
      text += "handover: true }\n"
    }
    return text
  }
}

/// Why a subject is no object, in a comment's words.
private struct Remark: Error {
  var text: String
}

extension RefusedCall.Subject {
  /// What tells two subjects apart: not what a device was opened for.
  fileprivate var identity: Self {
    guard case .device(var device) = self else { return self }
    device.reads = false
    device.writes = false
    return .device(device)
  }

  fileprivate var objectName: String {
    switch self {
    case .port(let address, let isStream): "\(isStream ? "tcp" : "udp")-\(address.port)"
    case .rawSocket(let family, let number):
      "raw-" + (LearnedPolicy.rawName(family, number) ?? "\(family == .ipv4 ? "ipv4" : "ipv6")-\(number)")
    case .packetSocket: "packet"
    case .device(let device):
      device.path.split(separator: "/").drop { $0 == "dev" }.joined(separator: "-").policyName
    }
  }

  fileprivate var operations: OperationSet {
    switch self {
    case .port(_, let isStream): OperationSet(isStream ? [.bind, .listen, .accept] : [.bind, .receive])
    case .rawSocket: OperationSet([.send, .receive])
    case .packetSocket: OperationSet([.send, .receive])
    case .device(let device): OperationSet((device.reads ? [.read] : []) + (device.writes ? [.write] : []))
    }
  }

  fileprivate func object(interface: String) -> Result<(keys: String, warnings: [String]), Remark> {
    switch self {
    case .port(let address, let isStream):
      return .success(("kind: socket, listen: \"\(isStream ? "tcp" : "udp")://\(address.text)\"", []))
    case .rawSocket(let family, let number):
      let word =
        LearnedPolicy.rawName(family, number) ?? "\(family == .ipv4 ? "ipv4" : "ipv6")/\(number)"
      let everywhere = family == .ipv4 ? "0.0.0.0/0" : "[::]/0"
      return .success(
        (
          "kind: socket, listen: \"raw://\(word)\", send-to: [\"\(everywhere)\"]",
          ["with a raw socket the program can send to every address, with any content, and sees what others receive"]
        ))
    case .packetSocket:
      return .success(
        (
          "kind: socket, listen: \"packet://\(interface)\"",
          [
            "with a packet socket the program sees every frame of the interface, and can send any",
            "which interface it is for cannot be seen from the call; \(interface) is a guess",
          ]
        ))
    case .device(let device): return device.object
    }
  }
}

extension RefusedCall.Device {
  private var purpose: String {
    switch (reads, writes) {
    case (true, true): "for reading and writing"
    case (false, true): "for writing"
    default: "for reading"
    }
  }

  fileprivate var object: Result<(keys: String, warnings: [String]), Remark> {
    guard path.isPolicyPath else {
      return .failure(Remark(text: "\(path.escapedForTerminal), opened \(purpose), has a path that no policy can name"))
    }
    if isBlock {
      return .success(
        (
          "kind: disk, path: \(path.quotedForPolicy)\(writes ? ", access: read-write" : "")",
          ["this is the whole of \(path.escapedForTerminal), with everybody's files on it"]
        ))
    }
    switch subsystem.isEmpty ? guessedSubsystem : subsystem {
    case "tty":
      return .success(
        (
          "kind: bus, bus: serial, path: \(path.quotedForPolicy), baud: 115200",
          [
            "the program can do to this terminal line whatever its driver offers, and read what is typed there",
            "115200 is a guess",
          ]
        ))
    case "hidraw":
      return .success(
        (
          "kind: bus, bus: hid, path: \(path.quotedForPolicy)",
          ["the program can send the device every report and request that it knows"]
        ))
    case "usb":
      return .success(
        (
          "kind: bus, bus: usb, path: \(path.quotedForPolicy)",
          ["the program can do to this USB device whatever usbfs offers"]
        ))
    case "spidev":
      return .success(
        (
          "kind: bus, bus: spi, path: \(path.quotedForPolicy), speed: 1000000",
          ["the program can change the line's settings; 1000000 is a guess"]
        ))
    case "i2c-dev": return .failure(Remark(text: mediatedOnly("i2c", "address: 0x…", "every address of the bus")))
    case "gpio": return .failure(Remark(text: mediatedOnly("gpio", "lines: […]", "every line of the chip")))
    default:
      return .failure(
        Remark(text: "\(path.escapedForTerminal), opened \(purpose), is of no kind that Postern can broker"))
    }
  }

  private func mediatedOnly(_ bus: String, _ limit: String, _ reach: String) -> String {
    "\(path.escapedForTerminal), opened \(purpose), reaches \(reach), so that it is not handed over; a program that uses "
      + "libpostern can have { kind: bus, bus: \(bus), path: \(path.quotedForPolicy), \(limit) } on the path mediated"
  }

  /// From the names that udev(7) gives.
  private var guessedSubsystem: String {
    let names: KeyValuePairs<String, String> = [
      "/dev/tty": "tty", "/dev/pts/": "tty", "/dev/hidraw": "hidraw", "/dev/bus/usb/": "usb", "/dev/spidev": "spidev",
      "/dev/i2c-": "i2c-dev", "/dev/gpiochip": "gpio",
    ]
    return names.first { path.hasPrefix($0.key) }?.value ?? ""
  }
}

extension LearnedPolicy {
  /// The word of postern.yaml(5) for the protocols that programs have raw sockets of.
  fileprivate static func rawName(_ family: NetworkAddress.Family, _ number: UInt8) -> String? {
    switch (family, number) {
    case (.ipv4, 1): "icmp"
    case (.ipv6, 58): "icmpv6"
    default: nil
    }
  }

  /// `name`, or with a number behind it where there is one of that name.
  private func unique(_ name: String, among taken: [String]) -> String {
    guard taken.contains(name) else { return name }
    var number = 2
    while taken.contains("\(name)-\(number)") { number += 1 }
    return "\(name)-\(number)"
  }
}
