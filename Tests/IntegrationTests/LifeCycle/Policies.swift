/// The policies of the life-cycle tests.
enum Policies {
  /// One image file to read, for the applications' user. The arguments go on in the entries.
  static func image(object: String = "", application: String = "", grant: String = "") -> String {
    """
    version: 1
    objects:
      image: { kind: disk, path: $IMAGE\(object) }
    applications:
      app: { user: $USER\(application) }
    grants:
      - { application: app, object: image, operations: [read]\(grant) }

    """
  }

  /// One listener in the folder that every user may write to.
  static func listener(grant: String = "") -> String {
    """
    version: 1
    objects:
      web: { kind: socket, listen: "unix://$FOLDER/open/web" }
    applications:
      app: { user: $USER }
    grants:
      - { application: app, object: web, operations: [bind, listen, accept]\(grant) }

    """
  }

  static let imageAndListener = """
    version: 1
    objects:
      image: { kind: disk, path: $IMAGE }
      web: { kind: socket, listen: "unix://$FOLDER/open/web" }
    applications:
      app: { user: $USER }
    grants:
      - { application: app, object: image, operations: [read] }
      - { application: app, object: web, operations: [bind, listen, accept] }

    """
}
