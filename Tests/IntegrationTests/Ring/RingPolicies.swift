import TestSupport

extension Tier {
  /// To make loop devices, and to take rings of other users.
  static let rings = root
}

/// Policies whose objects go into rings.
enum RingPolicies {
  static func image(object: String = "", grant: String = "", operations: String = "read") -> String {
    """
    version: 1
    objects:
      image: { kind: disk, path: $IMAGE\(object) }
    applications:
      app: { user: $USER }
    grants:
      - { application: app, object: image, operations: [\(operations)], path: ring\(grant) }

    """
  }

  /// A socket for each ring.
  static func udp(grant: String = "", operations: String = "receive") -> String {
    """
    version: 1
    objects:
      dns: { kind: socket, listen: "udp://$ADDRESS:7777", send-to: ["0.0.0.0/0"] }
    applications:
      app: { user: $USER }
    grants:
      - { application: app, object: dns, operations: [\(operations)], path: ring\(grant) }

    """
  }

  /// A socket that may send to one place only.
  static let connected = """
    version: 1
    objects:
      dns: { kind: socket, listen: "udp://$ADDRESS:7777", send-to: ["$ADDRESS:7779"] }
    applications:
      app: { user: $USER }
    grants:
      - { application: app, object: dns, operations: [send, receive], path: ring }

    """

  /// For a program of the broker's own user, which may revoke.
  static let own = """
    version: 1
    objects:
      image: { kind: disk, path: $IMAGE }
      dns: { kind: socket, listen: "udp://$ADDRESS:7777" }
      web: { kind: socket, listen: "tcp://$ADDRESS:7778" }
    applications:
      app: { user: root }
    grants:
      - { application: app, object: image, operations: [read], path: ring }
      - { application: app, object: dns, operations: [receive], path: ring }
      - { application: app, object: web, operations: [listen, accept], path: ring }

    """
}

extension Scene {
  /// One datagram to the scene's own address.
  func sendDatagram(_ text: String, port: Int = 7777) throws {
    try Command.demand(["/bin/bash", "-c", "printf %s '\(text)' >/dev/udp/\(address)/\(port)"])
  }

  /// How many loop devices have the scene's image.
  func loopDevices() throws -> Int {
    try Command.demand(["/sbin/losetup", "--list", "--noheadings", "--output", "BACK-FILE"]).split(separator: "\n")
      .count { $0.hasPrefix(image) }
  }
}
