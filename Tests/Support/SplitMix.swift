/// Random numbers that a failed test can have again from its seed: Steele, Lea and Flood's SplitMix64.
public struct SplitMix: RandomNumberGenerator {
  public private(set) var state: UInt64

  public init(state: UInt64) { self.state = state }

  /// One whose seed, `state` at the beginning, a failure prints, and that POSTERN_TEST_SEED repeats.
  public static func seeded() -> SplitMix { SplitMix(state: testSeed()) }

  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }
}
