import Authority
import Entity
import Foundation
import Instructions
import Linux

/// One line of vectors.txt; the file's header says what the words mean.
struct Vector: Sendable {
  struct Step: Sendable {
    var words: [String]
    var expected: String

    func value(_ key: String) -> String? {
      words.dropFirst().first { $0.hasPrefix("\(key)=") }.map { String($0.dropFirst(key.count + 1)) }
    }

    func has(_ word: String) -> Bool { words.dropFirst().contains(word) }

    func number(_ key: String, _ fallback: UInt64) -> UInt64 {
      guard let text = value(key) else { return fallback }
      return text == "max" ? .max : UInt64(text) ?? fallback
    }

    func list(_ key: String) -> [String]? {
      value(key).map { $0 == "none" || $0 == "-" ? [] : $0.split(separator: ",").map(String.init) }
    }

    func operations(_ key: String) -> OperationSet? {
      list(key).map { OperationSet($0.compactMap { Opcode(name: $0) }) }
    }
  }

  var name: String
  var steps: [Step]

  /// Whether Swift's types can express it.
  var isForSwift: Bool { !name.hasPrefix("[c]") }

  static func readAll() throws -> [Vector] {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Vectors/vectors.txt")
    return try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
      .filter { !$0.hasPrefix("#") }
      .map { line in
        let halves = line.split(separator: "|", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
        let steps = halves[1].split(separator: ";").map { text in
          let parts = text.components(separatedBy: "=>").map { $0.trimmingCharacters(in: .whitespaces) }
          return Step(
            words: parts[0].split(separator: " ").map(String.init), expected: parts.count > 1 ? parts[1] : "granted")
        }
        return Vector(name: halves[0], steps: steps)
      }
  }
}

/// A vector's text that this reader does not understand.
struct MalformedVector: Error { var text: String }

/// tgid[.epoch][@start]
func process(_ text: String) throws -> ProcessResource {
  let halves = text.split(separator: "@")
  let numbers = halves[0].split(separator: ".")
  guard let tgid = UInt32(numbers[0]) else { throw MalformedVector(text: text) }
  return ProcessResource(
    tgid: tgid, start: halves.count > 1 ? UInt64(halves[1]) ?? 0 : 1,
    execEpoch: numbers.count > 1 ? UInt32(numbers[1]) ?? 0 : 0)
}

/// 127.0.0.1 or [::1], and what follows it.
func address(_ text: Substring) throws -> (address: NetworkAddress, rest: Substring) {
  var bytes = InlineArray<16, UInt8>(repeating: 0)
  if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
    let halves = text[text.index(after: text.startIndex)..<end].components(separatedBy: "::")
    let groups = halves.map { $0.split(separator: ":").compactMap { UInt16($0, radix: 16) } }
    for (index, group) in groups[0].enumerated() { place(group, at: index) }
    if groups.count > 1 {
      for (index, group) in groups[1].enumerated() { place(group, at: 8 - groups[1].count + index) }
    }
    return (NetworkAddress(family: .ipv6, bytes: bytes, port: 0), text[text.index(after: end)...])
  }
  let end = text.firstIndex { $0 == "/" || $0 == ":" } ?? text.endIndex
  let parts = text[..<end].split(separator: ".").compactMap { UInt8($0) }
  guard parts.count == 4 else { throw MalformedVector(text: String(text)) }
  for index in 0..<4 { bytes[index] = parts[index] }
  return (NetworkAddress(family: .ipv4, bytes: bytes, port: 0), text[end...])

  func place(_ group: UInt16, at index: Int) {
    bytes[index * 2] = UInt8(group >> 8)
    bytes[index * 2 + 1] = UInt8(group & 0xff)
  }
}

/// ADDRESS/PREFIX[:FIRST[-LAST]]
func pattern(_ text: String) throws -> AddressPattern {
  let (parsed, rest) = try address(text[...])
  let parts = rest.dropFirst().split(separator: ":")
  let ports = parts.count > 1 ? parts[1].split(separator: "-").compactMap { UInt16($0) } : [0, 65535]
  guard let prefix = UInt8(parts[0]), let first = ports.first, let last = ports.last else {
    throw MalformedVector(text: text)
  }
  return AddressPattern(address: parsed, prefixLength: prefix, ports: first...last)
}
