/// Date and time of day in UTC.
///
/// The date is computed as in Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms", civil_from_days: years
/// begin in March, so that the leap day is a year's last, and eras of 400 years have 146,097 days.
struct CivilTime: Hashable {
  var year: UInt64
  var month: UInt64
  var day: UInt64
  var hour: UInt64
  var minute: UInt64
  var second: UInt64
  var nanosecond: UInt64

  /// - Parameter wall: nanoseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
  init(wall: UInt64) {
    let seconds = wall / 1_000_000_000
    nanosecond = wall % 1_000_000_000
    second = seconds % 60
    minute = seconds / 60 % 60
    hour = seconds / 3600 % 24
    // Days since 0000-03-01.
    let days = seconds / 86400 + 719_468
    let era = days / 146_097
    let dayOfEra = days % 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  }

  /// RFC 3339 in UTC with nanoseconds: `2026-01-31T23:59:59.000000000Z`.
  var text: String {
    func padded(_ value: UInt64, _ width: Int) -> String {
      let digits = String(value)
      return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }
    return padded(year, 4) + "-" + padded(month, 2) + "-" + padded(day, 2) + "T" + padded(hour, 2) + ":"
      + padded(minute, 2) + ":" + padded(second, 2) + "." + padded(nanosecond, 9) + "Z"
  }
}

extension AuditTime {
  /// The wall time as RFC 3339 in UTC with nanoseconds.
  public var text: String { CivilTime(wall: wall).text }
}
