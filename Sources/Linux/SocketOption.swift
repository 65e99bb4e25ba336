import Glibc

extension Descriptor {
  /// getsockopt(2): appends the option's value.
  ///
  /// - Parameter limit: at most this many bytes, and never more than `output` has room for.
  /// - Returns: how many bytes the value has.
  public borrowing func getOption(level: Int32, name: Int32, upTo limit: Int, into output: inout OutputRawSpan)
    throws(SystemError) -> Int
  {
    let number = rawValue
    return try unsafe output.withUnsafeMutableBytes { (buffer, filled) throws(SystemError) -> Int in
      // SAFETY: only the free part of the buffer is given to the kernel.
      let free = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
      let room = min(limit, free.count)
      var length = socklen_t(room)
      // SAFETY: the buffer is valid during the call and has `length` bytes.
      _ = try retrying("getsockopt") { unsafe Int(getsockopt(number, level, name, free.baseAddress, &length)) }
      let count = min(Int(length), room)
      filled += count
      return count
    }
  }

  /// setsockopt(2)
  public borrowing func setOption(level: Int32, name: Int32, to value: RawSpan) throws(SystemError) {
    let number = rawValue
    _ = try unsafe value.withUnsafeBytes { (buffer) throws(SystemError) -> Int in
      // SAFETY: the buffer is valid during the call.
      try retrying("setsockopt") {
        unsafe Int(setsockopt(number, level, name, buffer.baseAddress, socklen_t(buffer.count)))
      }
    }
  }

  /// setsockopt(2) of an `int`.
  public borrowing func setOption(level: Int32, name: Int32, to value: Int32) throws(SystemError) {
    let number = rawValue
    var value = value
    // SAFETY: the value is valid during the call and has the size given.
    _ = try retrying("setsockopt") {
      unsafe Int(setsockopt(number, level, name, &value, socklen_t(MemoryLayout<Int32>.size)))
    }
  }
}
