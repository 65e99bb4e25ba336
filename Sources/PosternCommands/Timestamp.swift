import Audit

/// Times as commands print and read them: RFC 3339 in UTC.
enum Timestamp {
  private static let second: UInt64 = 1_000_000_000

  /// With nanoseconds, for programs.
  static func exact(_ nanoseconds: UInt64) -> String { AuditTime(wall: nanoseconds, boottime: 0).text }

  /// To the second, for people.
  static func short(_ nanoseconds: UInt64) -> String {
    String(exact(nanoseconds).prefix { $0 != "." }) + "Z"
  }

  /// Nanoseconds since 1970 of a time such as `2026-02-01T12:00:00.5Z` or `…+01:00`, or nil.
  static func parse(_ text: String) -> UInt64? {
    var fields = FieldReader(text)
    guard let year = fields.number(4), fields.skip("-"), let month = fields.number(2), fields.skip("-"),
      let day = fields.number(2), fields.skip("T") || fields.skip("t") || fields.skip(" "),
      let hour = fields.number(2), fields.skip(":"), let minute = fields.number(2), fields.skip(":"),
      let seconds = fields.number(2), (1...12).contains(month), day >= 1, day <= daysIn(month, of: year), hour < 24,
      minute < 60, seconds < 60
    else { return nil }
    guard let fraction = fields.skip(".") ? fields.fraction() : 0, let offset = fields.offset(), fields.isAtEnd else {
      return nil
    }
    let total = daysSince1970(year, month, day) * 86400 + hour * 3600 + minute * 60 + seconds - offset
    guard total >= 0, let nanoseconds = UInt64(exactly: total)?.multipliedReportingOverflow(by: second),
      !nanoseconds.overflow
    else { return nil }
    let (sum, overflow) = nanoseconds.partialValue.addingReportingOverflow(fraction)
    return overflow ? nil : sum
  }

  private static func daysIn(_ month: Int64, of year: Int64) -> Int64 {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }

  private static func daysSince1970(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
    // The year begins in March here too.
    let years = month <= 2 ? year - 1 : year
    let era = (years >= 0 ? years : years - 399) / 400
    let yearOfEra = years - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }

  private struct FieldReader {
    private var rest: Substring.UTF8View

    init(_ text: String) { rest = Substring(text).utf8 }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func skip(_ character: Unicode.Scalar) -> Bool {
      guard let first = rest.first, UInt32(first) == character.value else { return false }
      rest.removeFirst()
      return true
    }

    mutating func digit() -> Int64? {
      guard let first = rest.first, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else { return nil }
      rest.removeFirst()
      return Int64(first - UInt8(ascii: "0"))
    }

    mutating func number(_ count: Int) -> Int64? {
      var value: Int64 = 0
      for _ in 0..<count {
        guard let digit = digit() else { return nil }
        value = value * 10 + digit
      }
      return value
    }

    /// The digits after the point as nanoseconds; what is finer is dropped.
    mutating func fraction() -> UInt64? {
      guard var value = digit().map({ UInt64($0) * 100_000_000 }) else { return nil }
      var unit: UInt64 = 10_000_000
      while let digit = digit() {
        value += UInt64(digit) * unit
        unit /= 10
      }
      return value
    }

    /// Seconds east of UTC.
    mutating func offset() -> Int64? {
      if skip("Z") || skip("z") { return 0 }
      let sign: Int64
      if skip("+") { sign = 1 } else if skip("-") { sign = -1 } else { return nil }
      guard let hours = number(2), skip(":"), let minutes = number(2), hours < 24, minutes < 60 else { return nil }
      return sign * (hours * 3600 + minutes * 60)
    }
  }
}
