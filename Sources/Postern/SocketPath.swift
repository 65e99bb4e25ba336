import Linux

/// Where the broker listens unless a caller says otherwise.
public enum SocketPath {
  /// `$POSTERN_SOCKET`, else `/run/postern/postern.sock` for root and `$XDG_RUNTIME_DIR/postern/postern.sock` for others.
  ///
  /// A set-user-ID program sees no environment (secure_getenv(3)) and gets the path in /run.
  public static var standard: String {
    if let path = Environment["POSTERN_SOCKET"], !path.isEmpty { return path }
    if Environment.effectiveUser != 0, let directory = Environment["XDG_RUNTIME_DIR"], !directory.isEmpty {
      return directory + "/postern/postern.sock"
    }
    return "/run/postern/postern.sock"
  }
}
