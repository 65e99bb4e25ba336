/// The difference of two texts as patch(1) takes it.
enum UnifiedDiff {
  private static let context = 3

  /// Empty where nothing differs.
  static func text(_ name: String, _ old: [UInt8], _ new: [UInt8]) -> String {
    guard old != new else { return "" }
    let (before, after) = (lines(old), lines(new))
    var steps: [Step] = []
    let difference = after.difference(from: before)
    var removed: Set<Int> = []
    var inserted: Set<Int> = []
    for change in difference {
      switch change {
      case .remove(let offset, _, _): removed.insert(offset)
      case .insert(let offset, _, _): inserted.insert(offset)
      }
    }
    var (a, b) = (0, 0)
    while a < before.count || b < after.count {
      if removed.contains(a), a < before.count {
        steps.append(Step(sign: "-", line: before[a], old: a, new: b))
        a += 1
      } else if inserted.contains(b), b < after.count {
        steps.append(Step(sign: "+", line: after[b], old: a, new: b))
        b += 1
      } else {
        steps.append(Step(sign: " ", line: before[a], old: a, new: b))
        a += 1
        b += 1
      }
    }
    return "--- \(name)\n+++ \(name)\n" + hunks(steps).map(text).joined()
  }

  private struct Step {
    var sign: Character
    /// With its line end, if it has one.
    var line: [UInt8]
    var old: Int
    var new: Int
  }

  /// Changes that are near each other, with the lines around them.
  private static func hunks(_ steps: [Step]) -> [ArraySlice<Step>] {
    var hunks: [Range<Int>] = []
    for index in steps.indices where steps[index].sign != " " {
      let range = max(0, index - context)..<min(steps.count, index + context + 1)
      if let last = hunks.last, last.upperBound >= range.lowerBound {
        hunks[hunks.count - 1] = last.lowerBound..<range.upperBound
      } else {
        hunks.append(range)
      }
    }
    return hunks.map { steps[$0] }
  }

  private static func text(_ hunk: ArraySlice<Step>) -> String {
    let old = hunk.count { $0.sign != "+" }
    let new = hunk.count { $0.sign != "-" }
    let first = hunk[hunk.startIndex]
    // An empty side is named by the line before it (POSIX diff, unified format).
    let head =
      "@@ -\(old == 0 ? first.old : first.old + 1),\(old) +\(new == 0 ? first.new : first.new + 1),\(new) @@\n"
    return hunk.reduce(into: head) { text, step in
      text.append(step.sign)
      text += String(decoding: step.line, as: UTF8.self)
      if step.line.last != UInt8(ascii: "\n") { text += "\n\\ No newline at end of file\n" }
    }
  }

  private static func lines(_ bytes: [UInt8]) -> [[UInt8]] {
    var lines: [[UInt8]] = []
    var line: [UInt8] = []
    for byte in bytes {
      line.append(byte)
      if byte == UInt8(ascii: "\n") {
        lines.append(line)
        line = []
      }
    }
    if !line.isEmpty { lines.append(line) }
    return lines
  }
}
