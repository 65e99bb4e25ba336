import Audit
import Authority
import Instructions

/// What revokes block, as the state directory keeps it for the broker after this one: lines of words.
///
///     postern-revokes 1 BOOT
///     revoke OBJECT APPLICATION everyone      *: every object, every application
///     revoke OBJECT APPLICATION processes
///     process TGID START                      of the revoke above it; clock ticks since this boot
///     lifted OBJECT APPLICATION               the same; what a grant has freed
///     checksum CRC32C                         of all bytes before this line, in hexadecimal
struct RevokeFile: Sendable, Equatable {
  /// Why a file does not say what is revoked.
  enum Damage: Error, Sendable, Equatable {
    case tooLarge
    case checksum
    /// A later program wrote it.
    case version(String)
    case line(Int)
  }

  /// Bytes of a file: some hundred thousand processes.
  static let limit = 4 << 20

  var boot: BootID
  var revokes: [StandingRevoke]

  private static let head = "postern-revokes"
  private static let version = "1"
  private static let end = "checksum "

  func encoded() -> [UInt8] {
    var text = "\(Self.head) \(Self.version) \(boot.text)\n"
    for revoke in revokes where revoke.processes?.isEmpty != true {
      let whom = revoke.processes == nil ? "everyone" : "processes"
      text += "revoke \(revoke.object ?? "*") \(revoke.application ?? "*") \(whom)\n"
      for process in revoke.processes ?? [] { text += "process \(process.tgid) \(process.start)\n" }
      // In an order of their own, so that equal revokes are equal files.
      for key in revoke.lifted.sorted(by: { ($0.object, $0.application) < ($1.object, $1.application) }) {
        text += "lifted \(key.object) \(key.application)\n"
      }
    }
    let bytes = Array(text.utf8)
    return bytes + Array("\(Self.end)\(Self.checksum(bytes))\n".utf8)
  }

  init(boot: BootID, revokes: [StandingRevoke]) {
    self.boot = boot
    self.revokes = revokes
  }

  init(_ bytes: [UInt8]) throws(Damage) {
    guard bytes.count <= Self.limit else { throw .tooLarge }
    let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    // The last line ends with a newline, too.
    guard lines.count >= 3, lines[lines.count - 1].isEmpty else { throw .checksum }
    let last = lines[lines.count - 2]
    let sealed = Array(bytes[..<last.startIndex])
    guard String(decoding: last, as: UTF8.self) == Self.end + Self.checksum(sealed) else { throw .checksum }
    let head = Self.words(lines[0])
    guard head.count == 3, head[0] == Self.head else { throw .line(1) }
    guard head[1] == Self.version else { throw .version(head[1]) }
    guard let boot = BootID(text: head[2]) else { throw .line(1) }
    self.boot = boot
    revokes = []
    for (index, line) in lines[1..<(lines.count - 2)].enumerated() {
      guard read(Self.words(line)) else { throw .line(index + 2) }
    }
  }

  private mutating func read(_ words: [String]) -> Bool {
    switch words.first {
    case "revoke":
      guard words.count == 4, words[3] == "everyone" || words[3] == "processes" else { return false }
      revokes.append(
        StandingRevoke(
          id: UInt64(revokes.count + 1), object: words[1] == "*" ? nil : words[1],
          application: words[2] == "*" ? nil : words[2], processes: words[3] == "processes" ? [] : nil))
      return true
    case "process":
      guard words.count == 3, let tgid = UInt32(words[1]), let start = UInt64(words[2]),
        let last = revokes.indices.last, revokes[last].processes != nil
      else { return false }
      revokes[last].processes?.append(ProcessResource(tgid: tgid, start: start))
      return true
    case "lifted":
      guard words.count == 3, let last = revokes.indices.last else { return false }
      revokes[last].lifted.insert(GrantKey(application: words[2], object: words[1]))
      return true
    default: return false
    }
  }

  private static func words(_ line: ArraySlice<UInt8>) -> [String] {
    line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
      .map { String(decoding: $0, as: UTF8.self) }
  }

  private static func checksum(_ bytes: [UInt8]) -> String {
    let sum = CRC32C.checksum(bytes.span, 0..<bytes.count)
    let digits = String(sum, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
  }
}

extension RevokeFile.Damage: CustomStringConvertible {
  var description: String {
    switch self {
    case .tooLarge: "larger than \(RevokeFile.limit) bytes"
    case .checksum: "its checksum is wrong"
    case .version(let version): "of format \(version), which this program does not know"
    case .line(let number): "line \(number) means nothing"
    }
  }
}
