import Linux
import Postern

/// The process that holds containers' seccomp listeners as well: when the broker has ended their calls go on without a
/// grant instead of failing with ENOSYS, and the broker that is started next serves them again.
enum ContainerKeeper {
  /// Works until its broker has ended and no container is left whose calls are notified.
  ///
  /// - Parameter socket: where brokers serve.
  /// - Returns: the exit status.
  static func run(socket: String) -> Int32 {
    do throws(SystemError) {
      // It answers and asks; nothing of that needs a privilege.
      try Confinement.noNewPrivileges()
      try Confinement.notDumpable()
      try Confinement.limitCapabilities(to: [])
      _ = try Confinement.raiseDescriptorLimit()
      let source = try OwnProcess.takeMessageSocket(OwnProcess.detachedDescriptor)
      OwnProcess.rename("postern-keep")
      var keeper = try ListenerKeeper(path: socket, source: source)
      try keeper.run()
      return 0
    } catch { return 69 }
  }
}
