import Audit
import Authority
import Instructions
import Policy

extension Suggester {
  /// What is dangerous about the object, the operations, or the form of a grant.
  func sensitivity(of proposal: Proposal, in policy: PolicyModel) -> [String] {
    guard let object = policy.objects.first(where: { $0.name == proposal.key.object }),
      let rule = policy.grants.first(where: { $0.key == proposal.key })
    else { return [] }
    var warnings = dangers(of: object, rule.operations, range: rule.range != nil)
    let application = policy.applications.first { $0.name == rule.application }
    if let application, application.executable == nil, application.cgroup == nil {
      warnings.append(
        "application \(rule.application) names no program: every program of its user or group has the grant")
    }
    if let program = application?.executable?.split(separator: "/").last, Self.isInterpreter(program) {
      warnings.append("\(program) runs whatever script it is given: every script of the user has the grant")
    }
    for edit in proposal.edits {
      switch edit {
      case .setInGrant(_, "handover", "true"): warnings.append(Self.handover)
      case .addGrant(_, _, let keys) where keys.contains(PolicyEdit.Key("handover", "true")):
        warnings.append(Self.handover)
      case .setInApplication(_, "traceable", "true"):
        warnings.append("who may trace the process can act as the process")
      case .addApplication(_, let keys) where keys.contains(PolicyEdit.Key("traceable", "true")):
        warnings.append("who may trace the process can act as the process")
      case .setInGrant(_, "accepted", "leave"):
        warnings.append("accepted connections are the application's own: a revoke does not end them")
      default: break
      }
    }
    return warnings.map(\.escapedForPeople)
  }

  private static let handover =
    "handover: the program holds the object's own descriptor, and without the BPF entity nobody checks what it does with it"

  private static func isInterpreter(_ program: Substring) -> Bool {
    let names = [
      "sh", "bash", "dash", "zsh", "ksh", "busybox", "python", "perl", "ruby", "node", "php", "lua", "java", "tclsh",
      "awk",
      "gawk", "mawk", "env",
    ]
    // python3.11, perl5.36.0
    let name = program.prefix { !$0.isNumber && $0 != "." && $0 != "-" }
    return names.contains(String(name))
  }

  private func dangers(of object: ObjectDefinition, _ operations: OperationSet, range: Bool) -> [String] {
    switch object.specification {
    case .disk(let disk):
      var warnings: [String] = []
      if disk.range == nil, !range {
        warnings.append("this is the whole of \(disk.path), with everything that anybody keeps on it")
      }
      if operations.contains(.write) || operations.contains(.discard) {
        warnings.append("what is on \(disk.path) can be overwritten, behind the back of a file system on it")
      }
      return warnings
    case .socket(let socket): return dangers(of: socket, operations)
    case .bus(let bus):
      switch bus.device {
      case .pci(let address, _):
        return ["who configures the PCI device \(address) can have it read and write any memory"]
      case .usb(let path): return ["the program can do to \(path) whatever usbfs offers, its firmware included"]
      case .hid(let path): return ["what is typed on \(path) can be read, and reports sent to it"]
      case .serial(let path, _, _, _):
        return ["who is behind \(path), a console perhaps, takes it for the administrator"]
      case .gpio(let path, _, .output, _): return ["the lines of \(path) drive whatever is wired to them"]
      case .i2c, .spi, .gpio, .simulated: return []
      }
    }
  }

  private func dangers(of socket: SocketSpecification, _ operations: OperationSet) -> [String] {
    var warnings: [String] = []
    switch socket.endpoint {
    case .raw:
      warnings.append("a raw socket receives what others receive, and sends any content to the addresses of send-to")
    case .packet(let interface): warnings.append("every frame of \(interface) can be seen, and any be sent")
    case .tcp(let address), .udp(let address):
      if address.port < 1024, address.port != 0 {
        warnings.append("port \(address.port) is one that others trust to be the administrator's")
      }
    case .unix: break
    }
    if operations.contains(.connect) || operations.contains(.send) {
      let wide = (socket.connect + socket.sendTo).filter { $0.prefixLength == 0 }
      if !wide.isEmpty { warnings.append("it reaches every address") }
    }
    let strong = socket.options.filter {
      ["SO_BINDTODEVICE", "SO_MARK", "IP_TRANSPARENT", "IP_FREEBIND"].contains($0.name)
    }
    if operations.contains(.setoption), !strong.isEmpty {
      warnings.append("\(strong.map(\.name).joined(separator: ", ")) is for administrators elsewhere")
    }
    return warnings
  }
}
