import Analysis
import AnalysisDatabase
import Audit
import Authority
import Glibc
import Instructions
import Linux

/// Brings a journal of many records into each database, asks it, and follows a writer.
///
/// - Parameter databases: a file, or postgresql://….
func measureAnalysis(directory: String, records: Int, databases: [String]) throws {
  let boot = BootID(high: 1, low: 2)
  let time = AuditTime(wall: Clock.wall(), boottime: Clock.boottime())
  let began = time.wall - UInt64(records) * Traffic.interval
  let journal = try Journal(JournalConfiguration(directory: directory, boot: boot), now: { time }, onDurable: { _ in })
  var traffic = Traffic(boot: boot)
  for number in 0..<records {
    while journal.counters.waiting > 6000 { usleep(100) }
    _ = journal.submit(traffic.next(wall: began + UInt64(number) * Traffic.interval), durability: .none)
  }
  journal.stop()
  for database in databases {
    try measure(
      database, directory: directory, records: records, times: began..<time.wall, traffic: &traffic, boot: boot)
  }
}

private func measure(
  _ database: String, directory: String, records: Int, times: Range<UInt64>, traffic: inout Traffic, boot: BootID
) throws {
  let place = DatabasePlace(database)
  let name: String
  switch place {
  case .file: name = "analysis.sqlite"
  case .server: name = "analysis.postgresql"
  }
  let sync = try JournalSync(.init(directory: directory), into: AnalysisDatabase(place))
  try sync.begin()
  let start = Clock.monotonic()
  try sync.catchUp()
  let seconds = Double(Clock.monotonic() - start) / 1e9
  precondition(sync.lag == 0 && sync.stops.isEmpty, "not every record came in")
  try figure("\(name).sync", Double(sync.applied) / seconds, "records/s")

  let opened = try AnalysisDatabase(reading: place)
  func measure(_ key: String, _ bar: Double, _ body: () throws -> Int) throws {
    var times: [Double] = []
    var count = 0
    let first = Clock.monotonic()
    count = try body()
    let cold = Double(Clock.monotonic() - first) / 1e6
    for _ in 0..<11 {
      let begun = Clock.monotonic()
      count = try body()
      times.append(Double(Clock.monotonic() - begun) / 1e6)
    }
    try figure("\(name).\(key)-of-\(records)", median(times), "ms", "<=", bar)
    try figure("\(name).\(key)-of-\(records)-first-time", cold, "ms", "<=", bar)
    try figure("\(name).\(key)-of-\(records)-result", Double(count), "records")
  }
  try measure("page", 100) { try opened.newest(50).count }
  try measure("page-object", 100) { try opened.newest(50, matching: AuditFilter(object: "object-7")).count }
  try measure("page-rare-reason", 100) { try opened.newest(50, matching: AuditFilter(reason: .busy)).count }
  try measure("page-reason-uid", 100) {
    try opened.newest(50, matching: AuditFilter(reason: .limit, uid: 1003)).count
  }
  // What none or all have: where no index leads to them every record would be looked at.
  try measure("page-absent-operation", 100) { try opened.newest(50, matching: AuditFilter(operation: .flush)).count }
  try measure("page-absent-path", 100) { try opened.newest(50, matching: AuditFilter(path: .ring)).count }
  try measure("page-absent-program", 100) { try opened.newest(50, matching: AuditFilter(executable: "nobody")).count }
  try measure("page-program", 100) { try opened.newest(50, matching: AuditFilter(executable: "reader")).count }
  try measure("count-reason-object", 1000) {
    Int(try opened.count(matching: AuditFilter(kind: .refusal, reason: .limit, object: "object-7")))
  }
  let hours = UInt64(3_600_000_000_000)
  try measure("count-object-between-times", 1000) {
    Int(
      try opened.count(
        matching: AuditFilter(
          object: "object-7", since: times.lowerBound + hours / 3, until: times.upperBound - hours / 5)))
  }
  try measure("count-pid", 1000) { Int(try opened.count(matching: AuditFilter(pid: 4007))) }
  try measure("count-program", 1000) { Int(try opened.count(matching: AuditFilter(executable: "reader"))) }
  try follow(name, directory: directory, sync: sync, traffic: &traffic, boot: boot)
}

/// How far behind a writer of 10,000 records a second the tables are.
private func follow(
  _ name: String, directory: String, sync: JournalSync, traffic: inout Traffic, boot: BootID
) throws {
  let journal = try Journal(
    JournalConfiguration(directory: directory, boot: boot),
    now: { AuditTime(wall: Clock.wall(), boottime: Clock.boottime()) }, onDurable: { _ in })
  let start = Clock.monotonic()
  var submitted: UInt64 = 0
  var ages: [Double] = []
  var lags: [Double] = []
  while Clock.monotonic() - start < 10_000_000_000 {
    let due = (Clock.monotonic() - start) / 100_000
    while submitted < due {
      _ = journal.submit(traffic.next(wall: Clock.wall()), durability: .none)
      submitted += 1
    }
    try sync.look()
    if sync.lag > 0 {
      try sync.catchUp()
      let newest = sync.tables.map(\.time).min() ?? 0
      ages.append(Double(Clock.wall() - newest) / 1e6)
    }
    lags.append(Double(journal.counters.durable) - Double(sync.tables.map(\.applied).min() ?? 0))
    usleep(1000)
  }
  journal.stop()
  try figure("\(name).follow-10000-a-second-lag", median(lags), "records")
  try figure("\(name).follow-10000-a-second-lag-most", lags.max() ?? 0, "records")
  try figure("\(name).follow-10000-a-second-age", median(ages), "ms")
}

/// Refusals as a busy machine has them: forty objects, ten applications, five hundred processes.
private struct Traffic {
  /// Nanoseconds between two records of the past.
  static let interval: UInt64 = 80_000_000
  let boot: BootID
  private var number: UInt64 = 0
  private static let reasons: [Reason] = [.limit, .operation, .notAssociated, .refused, .noSuchObject, .revoked]

  init(boot: BootID) { self.boot = boot }

  mutating func next(wall: UInt64) -> AuditRecord {
    number &+= 1
    // Knuth's multiplicative hash: the same traffic in every run.
    let mixed = (number &* 0x9E37_79B9_7F4A_7C15) >> 20
    let reason = number % 50_000 == 0 ? Reason.busy : Traffic.reasons[Int(mixed % 6)]
    var record = AuditRecord(refusal: Refusal(reason), time: AuditTime(wall: wall, boottime: number), boot: boot)
    record.object = ByteString("object-\((mixed >> 4) % 40)")
    record.application = ByteString("application-\((mixed >> 8) % 10)")
    record.pid = UInt32(4000 + (mixed >> 12) % 500)
    record.uid = UInt32(1000 + (mixed >> 16) % 5)
    record.operation = .read
    record.path = .mediated
    record.executablePath = "/usr/bin/reader"
    return record
  }
}
