import Glibc

/// Where everything is unless a caller says otherwise; the same for the broker and its clients.
///
/// A set-user-ID program sees no environment (secure_getenv(3)) and gets the paths of root.
public enum StandardPath {
  /// `$POSTERN_SOCKET`, else `/run/postern/postern.sock` for root and `$XDG_RUNTIME_DIR/postern/postern.sock` for others.
  public static var socket: String {
    if let path = Environment["POSTERN_SOCKET"], !path.isEmpty { return path }
    return own("XDG_RUNTIME_DIR", "/postern/postern.sock") ?? "/run/postern/postern.sock"
  }

  /// `/var/lib/postern` for root, `$XDG_STATE_HOME/postern` or `~/.local/state/postern` for others.
  public static var state: String {
    own("XDG_STATE_HOME", "/postern") ?? own("HOME", "/.local/state/postern") ?? "/var/lib/postern"
  }

  /// `/etc/postern/policy.yaml` for root, `$XDG_CONFIG_HOME/postern/policy.yaml` or `~/.config/…` for others.
  public static var policy: String {
    own("XDG_CONFIG_HOME", "/postern/policy.yaml") ?? own("HOME", "/.config/postern/policy.yaml")
      ?? "/etc/postern/policy.yaml"
  }

  private static func own(_ variable: String, _ rest: String) -> String? {
    guard Environment.effectiveUser != 0, let folder = Environment[variable], !folder.isEmpty else { return nil }
    return folder + rest
  }
}

extension StandardPath {
  /// Makes the folder that `path` lies in, and those above it that are missing: root's for everybody to enter, an
  /// ordinary user's for that user alone.
  public static func makeFolder(of path: String) throws(SystemError) {
    let mode: mode_t = Environment.effectiveUser == 0 ? 0o755 : 0o700
    var folder = path.hasPrefix("/") ? "" : "."
    for component in path.split(separator: "/").dropLast() {
      folder += "/" + component
      do {
        // SAFETY: the string lives during the call.
        _ = try retrying("mkdir", folder) { unsafe Int(mkdir(folder, mode)) }
      } catch  where error.errno == EEXIST {}
    }
  }
}
