import Authority
import Yams

extension Reading {
  func readApplications(_ node: Node, into draft: inout Draft) {
    let entries = entries(node, expected: "a mapping of application names to selectors") ?? []
    readNamed(entries, "application", into: &draft, \.applications, broken: \.brokenApplications) { application($0) }
  }

  private func application(_ entry: Entry) -> ApplicationDefinition? {
    let errorsBefore = errorCount
    let selectors = ["user", "group", "executable", "cgroup"]
    guard
      let fields = fields(
        entry.value, of: "an application",
        keys: selectors + ["processes", "traceable", "namespace", "requests-per-second"])
    else { return nil }
    if !selectors.contains(where: { fields[$0] != nil }) {
      error(
        entry.place,
        "application \"\(entry.name)\" selects nobody; expected at least one of: \(selectors.joined(separator: ", "))")
    }
    var application = ApplicationDefinition(name: entry.name)
    application.user = user(fields["user"])
    application.group = group(fields["group"])
    application.executable = path(fields["executable"], expected: "the absolute path of a program")
    application.cgroup = path(
      fields["cgroup"], expected: "a cgroup as in /proc/PID/cgroup, such as /system.slice/x.service")
    if let value = number(fields["processes"], in: 1...1_000_000) { application.processes = UInt32(value) }
    application.traceable = boolean(fields["traceable"]) ?? false
    if let value = number(fields["requests-per-second"], in: 1...1_000_000_000) {
      application.requestsPerSecond = UInt32(value)
    }
    if let entry = fields["namespace"],
      let namespaces = self.fields(entry.value, of: "namespace", keys: ["pid", "network"])
    {
      application.pidNamespace = path(namespaces["pid"], expected: "the absolute path of a pid namespace")
      application.networkNamespace = network(namespaces["network"])
      if namespaces.entries.isEmpty { error(namespaces.place, "namespace is empty; expected pid, network or both") }
    }
    warnAboutWeakSelector(fields)
    return errorCount == errorsBefore ? application : nil
  }

  /// Says where a selector separates less than it seems to: another program of the same uid can be made to match.
  private func warnAboutWeakSelector(_ fields: Fields) {
    guard let executable = fields["executable"] else { return }
    let weak = "any program of the same user can run inside this executable (LD_PRELOAD, ld.so(8))"
    guard let cgroup = fields["cgroup"] else {
      warn(executable.place, "\(weak); add a cgroup that the user cannot write")
      return
    }
    // systemd delegates these to the user: user@.service(5).
    guard case .scalar(let scalar) = cgroup.value else { return }
    if scalar.string.split(separator: "/").contains(where: { $0 == "user.slice" || $0.hasPrefix("user@") }) {
      warn(cgroup.place, "the user can write this cgroup, and \(weak)")
    }
  }
}
