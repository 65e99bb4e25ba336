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

  /// Where else a broker is found: root's, and that of the user's own session.
  public static var otherSockets: [String] {
    let own = Environment["XDG_RUNTIME_DIR"].map { $0 + "/postern/postern.sock" }
    return ["/run/postern/postern.sock", own].compactMap { $0 }.filter {
      $0 != socket && ProcessFacts.identity($0) != nil
    }
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

  /// Where systemd-journald takes records; `$POSTERN_JOURNALD_SOCKET` names another place.
  public static var journald: String { Environment["POSTERN_JOURNALD_SOCKET"] ?? "/run/systemd/journal/socket" }

  /// Where the local syslog daemon takes messages; `$POSTERN_SYSLOG_SOCKET` names another place.
  public static var syslog: String { Environment["POSTERN_SYSLOG_SOCKET"] ?? "/dev/log" }

  /// Where programs of the path direct are pinned.
  public static let pins = "/sys/fs/bpf/postern"

  /// The kernel programs: beside this program, where a build puts them, or below `../lib/postern`, where they are installed.
  public static var kernelPrograms: String {
    if let path = Environment["POSTERN_KERNEL_PROGRAMS"], !path.isEmpty { return path }
    return beside("postern.bpf.o")
  }

  /// The server of `postern audit serve`, in the same places.
  public static var pageServer: String { beside("postern-audit-serve") }

  private static func beside(_ name: String) -> String {
    let program = (try? ProcFile.readLink("/proc/self/exe")) ?? ""
    let folder = program.split(separator: "/").dropLast().map { "/" + $0 }.joined()
    let beside = folder + "/" + name
    return ProcessFacts.identity(beside) == nil ? folder + "/../lib/postern/" + name : beside
  }

  private static func own(_ variable: String, _ rest: String) -> String? {
    guard Environment.effectiveUser != 0, let folder = Environment[variable], !folder.isEmpty else { return nil }
    return folder + rest
  }
}

extension StandardPath {
  /// `path` from the root folder; as it is where the working folder has no name here.
  public static func absolute(_ path: String) -> String {
    guard !path.hasPrefix("/"), let folder = try? ProcFile.readLink("/proc/self/cwd") else { return path }
    return folder + (folder.hasSuffix("/") ? "" : "/") + path
  }

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
