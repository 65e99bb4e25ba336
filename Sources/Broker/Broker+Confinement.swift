import Authority
import Instructions
import Linux
import Supervision

extension Broker {
  /// Gives up, before the first request, everything that this policy does not need; see SECURITY for the table.
  ///
  /// A reload that needs more than was kept fails when the object is opened, and says so: a broker is started again
  /// for that.
  func confine() throws(SystemError) {
    _ = try Confinement.raiseDescriptorLimit()
    handoverObstacle = HandoverTrial.run()
    tryRings()
    try Confinement.noNewPrivileges()
    try Confinement.notDumpable()
    var needed = Self.capabilities(for: policy, givesObjects: direct != nil)
    // bpf(2) on maps and links, and letting go what a process was given for an exec it did not make. Who is traced by
    // somebody else, or waits in an exec, can only be stopped by a signal.
    if direct != nil { needed.formUnion([.bpf, .perfmon, .sysAdmin, .kill]) }
    try Confinement.limitCapabilities(to: needed)
    try (direct == nil ? SystemCallFilter.broker : SystemCallFilter.brokerOfKernel).install()
  }

  /// The capabilities that the objects and applications of a policy need (capabilities(7)).
  ///
  /// - Parameter givesObjects: the path direct is there, so that every grant may give a program the object itself.
  static func capabilities(for policy: PolicyModel, givesObjects: Bool) -> Set<Capability> {
    // Looking at other users' processes: /proc/PID/exe and pagemap are PTRACE_MODE_READ (proc(5)), and fork events,
    // which the socket that is open already goes on receiving without a capability.
    var needed: Set<Capability> = [.sysPtrace, .dacReadSearch]
    for object in policy.objects {
      switch object.specification {
      case .socket(let socket): needed.formUnion(capabilities(for: socket))
      case .disk: needed.insert(.dacOverride)
      case .bus(let bus):
        needed.insert(.dacOverride)
        switch bus.device {
        // The configuration space beyond its first 64 bytes, and ioctls of raw devices.
        case .pci: needed.insert(.sysAdmin)
        case .usb, .hid: needed.insert(.sysRawio)
        default: break
        }
      }
    }
    if policy.grants.contains(where: \.killOnStuckRevoke) { needed.insert(.kill) }
    for grant in policy.grants where grant.handover || givesObjects {
      guard let object = policy.objects.first(where: { $0.name == grant.object }),
        case .socket(let socket) = object.specification
      else { continue }
      switch socket.endpoint {
      // setfsuid(2), setfsgid(2): a socket's file belongs to the program that binds it.
      case .unix: needed.formUnion([.setuid, .setgid])
      // So does a socket that was made for it.
      case .raw, .packet: needed.insert(.chown)
      // Newer kernels let nobody else put a filter on a TCP socket, which is what keeps a listener from listening again.
      case .tcp: if grant.handover { needed.insert(.netAdmin) }
      case .udp: break
      }
    }
    return needed
  }

  private static func capabilities(for socket: SocketSpecification) -> Set<Capability> {
    var needed: Set<Capability> = []
    switch socket.endpoint {
    case .tcp(let address), .udp(let address):
      if address.port != 0, address.port < 1024 { needed.insert(.netBindService) }
    case .unix: needed.insert(.dacOverride)
    case .raw, .packet: needed.insert(.netRaw)
    }
    // setns(2) into a network namespace.
    if case .path = socket.network { needed.insert(.sysAdmin) }
    return needed
  }
}
