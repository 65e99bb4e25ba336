import Linux

extension JournalDirectory {
  /// The bytes of a small file; nil: there is none.
  borrowing func contents(_ name: String, limit: Int) throws(SystemError) -> [UInt8]? {
    guard let file = try openToRead(name) else { return nil }
    var bytes: [UInt8] = []
    while bytes.count < limit {
      if try file.read(into: &bytes, count: limit - bytes.count, at: UInt64(bytes.count)) == 0 { break }
    }
    return bytes
  }

  /// Makes a file with these bytes; nothing waits for the disk.
  borrowing func write(_ bytes: [UInt8], to name: String) throws(SystemError) {
    let file = try create(name)
    var done = 0
    while done < bytes.count {
      done += try file.write(bytes.span.extracting(done..<bytes.count), at: UInt64(done))
    }
  }

  /// Waits until a file's content is on disk; one that is not there is no error.
  borrowing func synchronize(_ name: String) throws(SystemError) { try openToWrite(name)?.synchronize() }

  /// Puts another content in a file's place, so that every reader finds the one or the other.
  borrowing func replace(_ name: String, with bytes: [UInt8]) throws(SystemError) {
    let draft = name + ".new"
    try erase(draft)
    try write(bytes, to: draft)
    try synchronize(draft)
    try rename(draft, to: name)
    try synchronize()
  }

  /// Overwrites a file with zeros, brings that to disk and removes it; one that is not there is no error.
  borrowing func erase(_ name: String) throws(SystemError) {
    guard let file = try openToWrite(name) else { return }
    let zeros = [UInt8](repeating: 0, count: Int(min(try file.size(), 1 << 20)))
    var done = 0
    while done < zeros.count {
      done += try file.write(zeros.span.extracting(done..<zeros.count), at: UInt64(done))
    }
    try file.synchronize()
    try remove(name)
    try synchronize()
  }
}
