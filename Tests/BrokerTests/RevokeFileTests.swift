import Audit
import Authority
import Instructions
import Testing

@testable import Broker

@Suite struct RevokeFileTests {
  private static let file = RevokeFile(
    boot: BootID(high: 1, low: 2),
    revokes: [
      StandingRevoke(id: 1),
      StandingRevoke(id: 2, object: "web", lifted: [GrantKey(application: "shop", object: "web")]),
      StandingRevoke(
        id: 3, application: "shop",
        processes: [ProcessResource(tgid: 7, start: 70), ProcessResource(tgid: 8, start: 80)]),
    ])

  @Test func `what is written is read`() throws {
    #expect(try RevokeFile(Self.file.encoded()) == Self.file)
    let empty = RevokeFile(boot: BootID(high: 1, low: 2), revokes: [])
    #expect(try RevokeFile(empty.encoded()) == empty)
  }

  @Test func `the format is this text`() {
    let lines = String(decoding: Self.file.encoded(), as: UTF8.self).split(separator: "\n")
    #expect(
      lines.dropLast() == [
        "postern-revokes 1 00000000-0000-0001-0000-000000000002", "revoke * * everyone", "revoke web * everyone",
        "lifted web shop", "revoke * shop processes", "process 7 70", "process 8 80",
      ])
  }

  @Test func `no byte can be changed, left out or cut off without being noticed`() {
    let bytes = Self.file.encoded()
    for index in bytes.indices {
      for bit in 0..<8 {
        var changed = bytes
        changed[index] ^= 1 << bit
        #expect(throws: RevokeFile.Damage.self) { try RevokeFile(changed) }
      }
      var shorter = bytes
      shorter.remove(at: index)
      #expect(throws: RevokeFile.Damage.self) { try RevokeFile(shorter) }
      #expect(throws: RevokeFile.Damage.self) { try RevokeFile(Array(bytes[..<index])) }
    }
  }

  @Test func `a later format and a file beyond its limit are said to be that`() {
    var text = String(decoding: Self.file.encoded(), as: UTF8.self)
    text.replace("postern-revokes 1", with: "postern-revokes 2")
    let body = Array(text.split(separator: "checksum ")[0].utf8)
    let sum = String(CRC32C.checksum(body.span, 0..<body.count), radix: 16)
    let sealed = body + Array("checksum \(String(repeating: "0", count: 8 - sum.count))\(sum)\n".utf8)
    #expect(throws: RevokeFile.Damage.version("2")) { try RevokeFile(sealed) }
    #expect(throws: RevokeFile.Damage.tooLarge) {
      try RevokeFile([UInt8](repeating: 0, count: RevokeFile.limit + 1))
    }
  }
}
