import CLinux
import Glibc

/// A program file as execvp(3) would find it.
public struct Program: Sendable, Hashable {
  public enum Mistake: Error, Sendable, Hashable {
    case notFound
    /// It is there, and this is why it cannot be run.
    case notExecutable(SystemError)
  }

  /// As execve(2) takes it: absolute, or from the working directory.
  public let path: String

  /// Looks for `name` as a shell does: in the folders of `searchPath` (nil: the system's) unless it has a slash.
  public init(named name: String, searching searchPath: String?) throws(Mistake) {
    guard !name.isEmpty else { throw .notFound }
    if name.contains("/") {
      if let mistake = Program.mistake(about: name) { throw mistake }
      path = name
      return
    }
    var found: Mistake = .notFound
    // An empty part means the working directory (execvp(3)).
    for folder in (searchPath ?? "/bin:/usr/bin").split(separator: ":", omittingEmptySubsequences: false) {
      let candidate = folder.isEmpty ? "./\(name)" : "\(folder)/\(name)"
      switch Program.mistake(about: candidate) {
      case nil:
        path = candidate
        return
      case .notFound: continue
      case .notExecutable(let error):
        if case .notFound = found { found = .notExecutable(error) }
      }
    }
    throw found
  }

  private static func mistake(about path: String) -> Mistake? {
    guard !path.utf8.contains(0) else { return .notFound }
    let status: stat
    do { status = try ProcFile.status(path) } catch {
      switch error.errno {
      case ENOENT, ENOTDIR: return .notFound
      default: return .notExecutable(error)
      }
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      return .notExecutable(SystemError(errno: EACCES, operation: "execve", path: path))
    }
    // SAFETY: the string lives during the call.
    guard unsafe clinux_may_execute(path) == 0 else {
      return .notExecutable(SystemError(errno: errno, operation: "execve", path: path))
    }
    return nil
  }

  /// Pins the file that the kernel will map when this is run: itself, or for scripts their interpreter (execve(2)).
  ///
  /// What binfmt_misc is told to run instead is not found out.
  ///
  /// - Throws: ELOOP where scripts lead to scripts more than five times, as the kernel says.
  public func image() throws(SystemError) -> Descriptor {
    var file = try Descriptor.pin(path)
    for _ in 0..<5 {
      guard let interpreter = try Program.interpreter(of: file) else { return file }
      file = try Descriptor.pin(interpreter)
    }
    guard try Program.interpreter(of: file) == nil else {
      throw SystemError(errno: ELOOP, operation: "execve", path: path)
    }
    return file
  }

  private static func interpreter(of file: borrowing Descriptor) throws(SystemError) -> String? {
    guard try file.status().kind == .regular else { return nil }
    let content: Descriptor
    // What may be run and not be read is no script that its interpreter could read either.
    do { content = try file.reopen(.readOnly) } catch {
      guard error.isNotPermitted else { throw error }
      return nil
    }
    let number = content.rawValue
    var head = [UInt8](repeating: 0, count: ScriptHead.size)
    // As the kernel does it: zeros, into which the file's beginning is read.
    _ = try retrying("pread") {
      unsafe head.withUnsafeMutableBytes { buffer in
        // SAFETY: the array's storage with its size.
        unsafe pread(number, buffer.baseAddress, buffer.count, 0)
      }
    }
    return ScriptHead.interpreter(head)
  }
}

extension Program {
  /// What a file's owner or attributes would let it do, and no_new_privs keeps it from (execve(2), capabilities(7)).
  public enum Privilege: Sendable, Hashable {
    case user(UInt32)
    case group(UInt32)
    case capabilities
  }

  /// The privileges that running `image` would give to somebody who has not no_new_privs set.
  public static func privileges(of image: borrowing Descriptor) throws(SystemError) -> [Privilege] {
    var status = stat()
    let number = image.rawValue
    _ = try retrying("fstat") {
      // SAFETY: the structure is written by the call.
      unsafe Int(fstat(number, &status))
    }
    var found: [Privilege] = []
    if status.st_mode & S_ISUID != 0, status.st_uid != geteuid() { found.append(.user(status.st_uid)) }
    // Without the right to execute it means something else (inode(7)).
    if status.st_mode & (S_ISGID | S_IXGRP) == S_ISGID | S_IXGRP, status.st_gid != getegid() {
      found.append(.group(status.st_gid))
    }
    // Root has every capability that a file could add.
    if geteuid() != 0, clinux_has_file_capabilities(number) != 0 { found.append(.capabilities) }
    return found
  }
}

/// The first line of a script as the kernel reads it (fs/binfmt_script.c).
public enum ScriptHead {
  /// BINPRM_BUF_SIZE of linux/binfmts.h: nothing behind is looked at.
  public static let size = 256

  /// The interpreter that the first `size` bytes of a file name, zeros behind its end; nil: it is no script.
  public static func interpreter(_ head: [UInt8]) -> String? {
    guard head.count == size, head.starts(with: [UInt8(ascii: "#"), UInt8(ascii: "!")]) else { return nil }
    func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
    func endsName(_ byte: UInt8) -> Bool { isBlank(byte) || byte == 0 }
    let whole = head[2...]
    var line = whole
    // The kernel ends its search for a line's end at a zero byte.
    let end = whole.firstIndex { $0 == UInt8(ascii: "\n") || $0 == 0 }
    if let end, head[end] == UInt8(ascii: "\n") {
      line = line[..<end]
    } else {
      // A name that nothing ends within the buffer may have been cut. The last byte counts as an end and not as a part.
      guard let first = whole.firstIndex(where: { !isBlank($0) }), whole[first...].contains(where: endsName) else {
        return nil
      }
      line = whole.dropLast()
    }
    guard let first = line.firstIndex(where: { !isBlank($0) }) else { return nil }
    let name = line[first...].prefix { !endsName($0) }
    return name.isEmpty ? nil : String(decoding: name, as: UTF8.self)
  }
}
