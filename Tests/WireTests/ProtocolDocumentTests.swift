import FoundationEssentials
import Instructions
import Testing

@testable import Wire

/// A path under the package's root.
private func path(_ relative: String, from file: String = #filePath) -> String {
  "/" + file.split(separator: "/").dropLast(3).joined(separator: "/") + "/" + relative
}

/// PROTOCOL.md's lines.
private func document() throws -> [Substring] {
  try String(contentsOfFile: path("PROTOCOL.md"), encoding: .utf8)
    .split(separator: "\n", omittingEmptySubsequences: false)
}

private struct NotHex: Error { var line: String }

/// The blocks marked `wire NAME`, without what follows a #.
private func blocks() throws -> [(name: String, bytes: [UInt8])] {
  var found: [(name: String, bytes: [UInt8])] = []
  var inside = false
  for line in try document() {
    if line.hasPrefix("```wire ") {
      found.append((String(line.dropFirst("```wire ".count)), []))
      inside = true
    } else if line.hasPrefix("```") {
      inside = false
    } else if inside {
      for word in line.prefix(while: { $0 != "#" }).split(separator: " ") {
        guard word.utf8.count == 2, let byte = UInt8(word, radix: 16) else { throw NotHex(line: String(line)) }
        found[found.count - 1].bytes.append(byte)
      }
    }
  }
  return found
}

@Suite struct `The protocol document` {
  @Test func `shows exactly the bytes that the codec makes`() throws {
    let samples = try Decoders.allCases.flatMap { try $0.samples() }
    let shown = try blocks()
    #expect(shown.map(\.name).sorted() == samples.map(\.name).sorted())
    for (name, bytes) in samples {
      let block = try #require(shown.first { $0.name == name }, "\(name) is not shown")
      #expect(block.bytes == bytes, "\(name)")
    }
  }

  @Test func `shows bytes that decode to the samples`() throws {
    let shown = try blocks()
    func bytes(_ name: String) throws -> [UInt8] { try #require(shown.first { $0.name == name }).bytes }
    for (name, id, request) in Samples.requests {
      let block = try bytes(name)
      let decoded = try Request.decode(block.span)
      #expect(decoded.id == id && decoded.request == request, "\(name)")
    }
    for (name, id, reply) in try Samples.replies() {
      let block = try bytes(name)
      let decoded = try Reply.decode(block.span)
      #expect(decoded.id == id && decoded.reply == reply, "\(name)")
    }
    for (name, datagram) in Samples.instructions {
      #expect(try InstructionFrame.decode(try bytes(name)) == datagram, "\(name)")
    }
    for (name, datagram) in Samples.completions {
      #expect(try CompletionFrame.decode(try bytes(name)) == datagram, "\(name)")
    }
  }

  @Test func `has a sample of every kind of message`() throws {
    #expect(Set(Samples.requests.map(\.request.kind)) == Set(Request.Kind.allCases))
    #expect(Set(try Samples.replies().map(\.reply.kind)) == Set(Reply.Kind.allCases))
    let kinds = Samples.completions.flatMap(\.datagram.frames).map(\.kind)
    #expect(Set(kinds) == Set(CompletionFrame.Kind.allCases))
  }

  @Test func `lists every reason with its errno, every detail and every opcode`() throws {
    let lines = try document()
    for reason in Reason.allCases {
      #expect(lines.contains { $0 == "| \(reason.rawValue) | \(reason.name) | \(reason.errnoSymbol) |" }, "\(reason)")
    }
    for detail in RefusalDetail.allCases {
      #expect(lines.contains { $0 == "| \(detail.rawValue) | \(detail.name) |" }, "\(detail)")
    }
    let text = lines.joined(separator: " ")
    for opcode in Opcode.allCases { #expect(text.contains("\(opcode.rawValue) \(opcode.name)"), "\(opcode)") }
  }

  @Test func `is what the fuzzers start from`() throws {
    for block in try blocks() {
      let target = block.name.hasPrefix("request ") || block.name.hasPrefix("reply ") ? "FuzzControl" : "FuzzChannel"
      let file = path("Fuzz/Corpus/\(target)/" + block.name.split(separator: " ").joined(separator: "-"))
      let seed = [UInt8](try Data(contentsOf: URL(filePath: file)))
      #expect(seed == block.bytes, "\(block.name): run Fuzz/seed")
    }
  }

  @Test func `requests are even and replies odd`() {
    #expect(Request.Kind.allCases.allSatisfy { $0.rawValue % 2 == 0 })
    #expect(Reply.Kind.allCases.allSatisfy { $0.rawValue % 2 == 1 })
  }
}
