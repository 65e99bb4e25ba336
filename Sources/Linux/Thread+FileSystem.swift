import CLinux

extension Thread {
  /// Gives the calling thread a root, a working directory and a umask of its own (unshare(2), CLONE_FS).
  public static func unshareFileSystem() throws(SystemError) {
    _ = try retrying("unshare(CLONE_FS)") { Int(clinux_unshare_file_system()) }
  }
}
