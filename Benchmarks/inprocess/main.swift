// Figures that need no broker process: the interpreter's fast path, and the audit journal with its chain.
// Usage: benchmarks verdicts | audit DIRECTORY RECORDS | analysis DIRECTORY RECORDS DATABASE... | codec TIMES

import Audit
import Authority
import Entity
import Glibc
import Instructions
import Linux

/// One line that Benchmarks/run reads; `relation` is <= or >=, or - where there is no bar.
func figure(_ key: String, _ value: Double, _ unit: String, _ relation: String = "-", _ bar: Double = 0) throws {
  let rounded = (value * 1000).rounded() / 1000
  try StandardStream.output.write(
    Array("figure\t\(key)\t\(rounded)\t\(unit)\t\(relation)\t\(bar)\n".utf8))
}

func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

/// Verdicts of the entity against those that the fast path gives again, rounds of both interleaved.
func measureVerdicts() throws {
  let entity = try SimulatedEntity()
  let object = ObjectID(rawValue: 1)
  let generation = try entity.addObject(
    ObjectRecord(id: object, kind: .disk, operations: OperationSet([Opcode.read, .info])))
  var processes: [ProcessResource] = []
  for number in 1...1000 {
    let process = ProcessResource(tgid: UInt32(number), start: UInt64(number))
    _ = try entity.associate(
      AssociationRequest(
        process: process, object: object, application: ApplicationID(rawValue: 1), generation: generation,
        requested: OperationSet([Opcode.read, .info]), granted: OperationSet([Opcode.read, .info]), processes: 1000),
      now: 1)
    processes.append(process)
  }
  let issuer = Issuer.process(processes[499])
  let instruction = Instruction(opcode: .info, object: object)
  var cache = VerdictCache()
  let count = 100_000
  var hits: [Double] = []
  var misses: [Double] = []
  var granted = 0
  for _ in 0..<31 {
    var start = Clock.monotonic()
    for _ in 0..<count {
      if case .granted = cache.check(instruction, issuer: issuer, now: 2, entity: entity) { granted += 1 }
    }
    hits.append(Double(Clock.monotonic() - start) / Double(count))
    start = Clock.monotonic()
    for _ in 0..<count {
      if case .granted = entity.check(instruction, issuer: issuer, now: 2) { granted += 1 }
    }
    misses.append(Double(Clock.monotonic() - start) / Double(count))
  }
  precondition(granted == 62 * count && cache.misses == 1, "every check was to be granted, all but one from the cache")
  try figure("verdicts.fast-path-hit", median(hits), "ns")
  try figure("verdicts.entity-check", median(misses), "ns")
  try figure("verdicts.fast-path-saves", median(misses) - median(hits), "ns")
}

/// Appends with group commit, then reads the newest page of what was written.
func measureAudit(directory: String, records: Int) throws {
  let time = AuditTime(wall: Clock.wall(), boottime: Clock.boottime())
  let boot = BootID(high: 1, low: 2)
  let journal = try Journal(JournalConfiguration(directory: directory, boot: boot), now: { time }, onDurable: { _ in })
  var record = AuditRecord(refusal: Refusal(.notAssociated), time: time, boot: boot)
  record.object = "scratch"
  record.application = "reader"
  record.pid = 1
  record.uid = 1000
  record.operation = .read
  record.executablePath = "/usr/bin/reader"
  let start = Clock.monotonic()
  for _ in 0..<records {
    // Room is waited for, so that every record is written and none is counted in a gap.
    while journal.counters.waiting > 6000 { usleep(100) }
    _ = journal.submit(record, durability: .none)
  }
  journal.stop()
  let seconds = Double(Clock.monotonic() - start) / 1e9
  let counters = journal.counters
  precondition(counters.durable >= UInt64(records) && counters.dropped == 0, "not every record is on disk")
  try figure("audit.append", Double(records) / seconds, "records/s", ">=", 200_000)
  var pages: [Double] = []
  for _ in 0..<21 {
    let begun = Clock.monotonic()
    let page = try JournalReader.newest(50, directory: directory)
    precondition(page.count == 50)
    pages.append(Double(Clock.monotonic() - begun) / 1e6)
  }
  try figure("audit.first-page-of-\(records)", median(pages), "ms", "<=", 100)
  var begun = Clock.monotonic()
  let card = try KeyCard.waiting(directory: directory)
  let verified = try Verification(directory: directory, cards: card.map { [$0] } ?? [])
  precondition(verified.isGood && verified.integrity == .intact, "the journal is intact")
  try figure("audit.verify", Double(records) / (Double(Clock.monotonic() - begun) / 1e9), "records/s")
  begun = Clock.monotonic()
  try Journal(JournalConfiguration(directory: directory, boot: boot), now: { time }, onDurable: { _ in }).stop()
  try figure("audit.open", Double(Clock.monotonic() - begun) / 1e6, "ms")
}

let arguments = Array(CommandLine.arguments.dropFirst())
switch (arguments.first, arguments.count) {
case ("verdicts", 1): try measureVerdicts()
case ("audit", 3): try measureAudit(directory: arguments[1], records: Int(arguments[2]) ?? 0)
case ("analysis", 4...):
  try measureAnalysis(directory: arguments[1], records: Int(arguments[2]) ?? 0, databases: Array(arguments[3...]))
case ("codec", 2): try exchange(count: Int(arguments[1]) ?? 1)
default:
  StandardError.write(
    "usage: benchmarks verdicts | audit DIRECTORY RECORDS | analysis DIRECTORY RECORDS DATABASE... | codec TIMES\n")
  OwnProcess.exit(64)
}
