import Glibc

/// Descriptor 2.
public enum StandardError {
  /// Writes `text`; a failure to do so has nowhere to go and is dropped.
  public static func write(_ text: String) {
    let bytes = Array(text.utf8)
    var written = 0
    while written < bytes.count {
      let count = unsafe bytes.withUnsafeBytes { buffer in
        // SAFETY: the part that is given lies inside the array's storage.
        unsafe Glibc.write(2, buffer.baseAddress.map { unsafe $0 + written }, bytes.count - written)
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { return }
      written += count
    }
  }
}

extension ProcFile {
  /// Removes a name; one that is gone is no error.
  public static func remove(_ path: String) throws(SystemError) {
    do {
      _ = try retrying("unlink", path) {
        // SAFETY: the string lives during the call.
        unsafe Int(unlink(path))
      }
    } catch  where error.errno == ENOENT {}
  }
}
