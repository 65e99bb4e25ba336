/// The policies of these tests.
enum Policies {
  /// Listeners in the scene's network namespace, for its user. The arguments go on in the entries.
  static func sockets(
    _ endpoints: KeyValuePairs<String, String>, grant: String = ", handover: true", application: String = "",
    operations: String = "bind, listen, accept"
  ) -> String {
    var text = "version: 1\nobjects:\n"
    for (name, endpoint) in endpoints {
      text += "  \(name): { kind: socket, listen: \"\(endpoint)\", network: $NETWORK }\n"
    }
    text += "applications:\n  app: { user: $USER\(application) }\ngrants:\n"
    for (name, _) in endpoints {
      text += "  - { application: app, object: \(name), operations: [\(operations)]\(grant) }\n"
    }
    return text
  }

  static func web(grant: String = ", handover: true", application: String = "") -> String {
    sockets(["web": "tcp://0.0.0.0:80"], grant: grant, application: application)
  }
}
