import Testing

@testable import Chain

@Suite struct ChainKeyTests {
  private let first = ChainKey(epoch: 0, secret: Array(0..<32))
  private let digest = [UInt8](repeating: 0xD1, count: 32)
  private let none = [UInt8](repeating: 0, count: 16)

  @Test func `the next secret and the tag are the HMACs that the documents say`() {
    // Computed once with another implementation of HMAC-SHA-256 (RFC 2104) from the labels in PROTOCOL.
    var key = first
    #expect(hex(key.tag(digest: digest, previous: none)) == "f337097771de455b887c1523ad146ad3")
    key.evolve()
    #expect(key.epoch == 1)
    #expect(hex(key.secret) == "8895d417677d41713e9b3ee5939938d643bb8a3c83132adb938d3087cf842d94")
    #expect(hex(key.tag(digest: digest, previous: none)) == "a75a4faf7458b9b73df24cdae0da408c")
  }

  @Test func `going to an epoch is going there step by step, and never back`() {
    var walked = first
    for _ in 0..<100 { walked.evolve() }
    var led = first
    led.evolve(to: 100)
    #expect(led.secret == walked.secret && led.epoch == 100)
    led.evolve(to: 7)
    #expect(led.epoch == 100)
  }

  @Test func `a tag speaks for its epoch, for what is before it and for every bit of its digest`() {
    let tag = first.tag(digest: digest, previous: none)
    var later = first
    later.evolve()
    #expect(later.tag(digest: digest, previous: none) != tag)
    var other = none
    other[15] ^= 1
    #expect(first.tag(digest: digest, previous: other) != tag)
    for bit in 0..<256 {
      var changed = digest
      changed[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(first.tag(digest: changed, previous: none) != tag)
    }
  }

  @Test func `what is erased makes other tags`() {
    var key = first
    key.erase()
    #expect(key.secret == [UInt8](repeating: 0, count: 32))
    #expect(key.tag(digest: digest, previous: none) != first.tag(digest: digest, previous: none))
  }

  @Test func `a running hash is that of all digests in order and can be asked in between`() {
    var running = RunningHash()
    running.add(Array("ab".utf8))
    #expect(running.value != RunningHash().value)
    running.add(Array("c".utf8))
    // FIPS 180-4's example: the three letters abc.
    #expect(hex(running.value) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  }

  @Test func `a signature is RFC 8032's, and is valid for its message and its key alone`() throws {
    let seed = bytes("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    let key = try #require(SigningKey(seed: seed))
    #expect(hex(key.publicKey) == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    let signature = try #require(key.signature(of: []))
    #expect(SigningKey.isValid(signature, of: [], by: key.publicKey))
    #expect(!SigningKey.isValid(signature, of: [0], by: key.publicKey))
    let other = try #require(SigningKey(seed: [UInt8](repeating: 7, count: 32)))
    #expect(!SigningKey.isValid(signature, of: [], by: other.publicKey))
    #expect(SigningKey(seed: [1]) == nil)
  }
}

private func hex(_ bytes: [UInt8]) -> String {
  bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

private func bytes(_ text: String) -> [UInt8] {
  stride(from: 0, to: text.utf8.count, by: 2).map { index in
    UInt8(text.dropFirst(index).prefix(2), radix: 16) ?? 0
  }
}
