import Authority
import Instructions
import Objects
import Testing

/// A disk as a byte array: what each operation must give, without any cleverness.
struct DiskModel {
  var bytes: [UInt8]
  var range: Range<Int>

  func read(_ offset: UInt64, _ length: UInt64) -> [UInt8] {
    guard offset < UInt64(range.count) else { return [] }
    let start = range.lowerBound + Int(offset)
    return Array(bytes[start..<min(range.upperBound, start + Int(length))])
  }

  mutating func write(_ offset: UInt64, _ new: [UInt8]) -> Observed {
    guard Int(offset) + new.count <= range.count else { return .failed(1) }
    let start = range.lowerBound + Int(offset)
    bytes.replaceSubrange(start..<start + new.count, with: new)
    return .done(UInt64(new.count))
  }

  /// Runs random reads, writes and flushes on the disk and the model, with offsets and lengths that favour ends.
  mutating func compare(with disk: DiskObject, operations: Int, seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let end = UInt64(range.count)
    for step in 0..<operations {
      let context: Comment = "seed \(seed) step \(step)"
      let offset: UInt64 =
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: .random(in: end - 5...end + 5, using: &generator)
        case 1: .random(in: 0...5, using: &generator)
        default: .random(in: 0..<end, using: &generator)
        }
      let length = UInt64.random(in: 0...(Bool.random(using: &generator) ? 16 : 9000), using: &generator)
      switch Int.random(in: 0..<10, using: &generator) {
      case 0..<5:
        let expected = read(offset, length)
        let actual = perform(disk, .read, Operands(offset: offset, length: length))
        #expect(actual.outcome == .done(UInt64(expected.count)), context)
        #expect(actual.bytes == expected, context)
      case 5..<9:
        let new = (0..<length).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        let actual = perform(disk, .write, Operands(offset: offset, length: length), payload: new)
        #expect(actual.outcome == write(offset, new), context)
      default:
        #expect(perform(disk, .flush).outcome == .done(0), context)
      }
    }
  }
}
