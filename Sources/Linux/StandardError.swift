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
