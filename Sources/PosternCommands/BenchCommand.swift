import ArgumentParser
import Instructions
import Linux
import Postern
import Wire

struct BenchCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Measure what a mediated operation costs on this machine.",
    discussion: """
      Sends the cheapest instruction that you may use on the object, one at a time and 32 at once, to the running \
      broker, interleaved with a bare ping-pong over a socket pair inside this process, and prints medians. Nothing is \
      written to the object. Needs a grant for it: of info, getoption or read, or, on a simulated bus, of transfer. \
      Without a name the first disk or simulated bus that you may use is taken. The kernel places client and broker as \
      it likes; `make bench` in the sources measures each placement, and the rest.
      """)

  @Argument(help: "The object's name.", transform: ArgumentReading.name)
  var object: String?

  @Option(help: "The operation: info, getoption, read or transfer.", transform: ArgumentReading.operation)
  var operation: Opcode?

  @Option(help: ArgumentHelp("How often each is measured.", valueName: "count"))
  var rounds: Int = 101

  @OptionGroup var global: GlobalOptions

  /// The cheapest first.
  private static let measurable: [Opcode] = [.info, .getoption, .read, .transfer]
  private static let batch = 32
  /// Round trips of one measurement.
  private static let trips = 50

  func validate() throws {
    guard (1...100_000).contains(rounds) else { throw ValidationError("expected 1 to 100000 rounds") }
    if let operation, !Self.measurable.contains(operation) {
      throw ValidationError("expected one of \(Self.measurable.map(\.name).joined(separator: ", "))")
    }
  }

  func perform(_ session: Session) throws(CommandFailure) {
    let broker = try session.connect()
    let name: String
    if let object { name = object } else { name = try Self.choose(among: Self.objects(broker, session)) }
    let action = "bench \(name)"
    let channel = try session.asking(action) { () throws(PosternError) in
      // What is measured; on another path there is no channel to measure.
      try broker.open(name, operation.map { OperationSet($0) } ?? [], path: .mediated)
    }
    guard let opcode = try opcode(channel, broker, session) else {
      throw CommandFailure(
        .denied, "\(action.escapedForTerminal): no operation to measure with is granted",
        hint: "It needs a grant of info, getoption or read on the object; transfer is only taken on a simulated bus.")
    }
    try report(try measure(channel, opcode, action), name, opcode, session)
  }

  /// The cheapest instruction that changes nothing: a transfer may, on a device that is not simulated.
  private func opcode(
    _ channel: any OpenedObject, _ broker: PosternConnection, _ session: Session
  ) throws(CommandFailure) -> Opcode? {
    let granted = Self.measurable.filter { channel.facts.operations.contains($0) }
    guard let first = granted.first, first == .transfer, operation == nil else { return granted.first }
    let isSimulated = try Self.objects(broker, session).contains { $0.name == channel.object && $0.isSimulated }
    return isSimulated ? .transfer : nil
  }

  private static func objects(
    _ broker: PosternConnection, _ session: Session
  ) throws(CommandFailure) -> [ObjectRow] {
    try session.asking("bench") { () throws(PosternError) in try broker.objects() }
  }

  /// The first object that is sure to be harmless and may be used.
  private static func choose(among rows: [ObjectRow]) throws(CommandFailure) -> String {
    let harmless = rows.first { row in
      row.unavailable.isEmpty && (row.kind == .disk || row.isSimulated)
    }
    if let harmless { return harmless.name }
    throw CommandFailure(
      .denied, "bench: no disk or simulated bus may be used by you",
      hint: "Grant one in the policy (operations: [info] on a disk is enough), or name an object that you may use.")
  }

  private struct Figures {
    var bare: UInt64
    var one: UInt64
    var batched: UInt64
  }

  /// Nanoseconds an operation, medians; the kinds are interleaved so that other work on the machine meets all alike.
  private func measure(_ channel: any OpenedObject, _ opcode: Opcode, _ action: String) throws(CommandFailure)
    -> Figures
  {
    let bare: PingPong
    do { bare = try PingPong() } catch { throw .failed(action, errno: error.errno, "\(error)") }
    let one = [Self.submission(opcode)]
    let many = Array(repeating: Self.submission(opcode), count: Self.batch)
    var figures: (bare: [UInt64], one: [UInt64], batched: [UInt64]) = ([], [], [])
    try Self.exchange(channel, many, action)
    for _ in 0..<rounds {
      var start = Clock.monotonic()
      do {
        for _ in 0..<Self.trips { try bare.exchange() }
      } catch { throw .failed(action, errno: error.errno, "\(error)") }
      figures.bare.append((Clock.monotonic() - start) / UInt64(Self.trips))
      start = Clock.monotonic()
      for _ in 0..<Self.trips { try Self.exchange(channel, one, action) }
      figures.one.append((Clock.monotonic() - start) / UInt64(Self.trips))
      start = Clock.monotonic()
      try Self.exchange(channel, many, action)
      figures.batched.append((Clock.monotonic() - start) / UInt64(Self.batch))
    }
    return Figures(
      bare: Self.median(figures.bare), one: Self.median(figures.one), batched: Self.median(figures.batched))
  }

  private static func submission(_ opcode: Opcode) -> Submission {
    switch opcode {
    // SO_TYPE, which every socket has (socket(7)).
    case .getoption: Submission(opcode, Operands(length: 4, request: 1 << 16 | 3), token: 0)
    // Address 0 and one byte back; a loopback gives it back.
    case .transfer: Submission(opcode, Operands(length: 1), payload: [0], token: 0)
    default: Submission(opcode, Operands(length: 64), nonblocking: true, token: 0)
    }
  }

  /// Sends the instructions in one datagram and waits for all their completions.
  private static func exchange(
    _ channel: any OpenedObject, _ submissions: [Submission], _ action: String
  ) throws(CommandFailure) {
    do throws(PosternError) {
      var left = submissions.count
      guard try channel.submit(submissions) == left else { throw .failed(errno: 11, text: "the channel has no room") }
      while left > 0 {
        for completion in try channel.complete(atMost: left, blocking: true) {
          left -= 1
          if let refusal = completion.refusal {
            throw .refused(refusal, errno: Int32(clamping: -completion.result))
          }
          // What could not be done at once was checked and answered all the same.
          guard completion.result >= 0 || completion.result == -11 else {
            throw .failed(errno: Int32(clamping: -completion.result), text: "")
          }
        }
      }
    } catch {
      if case .failed(let errno, let text) = error { throw .failedOperation(action, errno: errno, text) }
      throw CommandFailure(error, during: action)
    }
  }

  private static func median(_ values: [UInt64]) -> UInt64 { values.sorted()[values.count / 2] }

  private func report(
    _ figures: Figures, _ name: String, _ opcode: Opcode, _ session: Session
  ) throws(CommandFailure) {
    func percent(_ value: UInt64, of whole: UInt64) -> UInt64 { (value * 100 + whole / 2) / max(whole, 1) }
    let mediated = percent(figures.one, of: figures.bare)
    let batched = percent(figures.batched, of: figures.one)
    switch session.format {
    case .json:
      try session.print(
        .object([
          "object": .string(name), "operation": .string(opcode.name), "rounds": .number(Int64(rounds)),
          "pingPongNanoseconds": .unsigned(figures.bare), "oneNanoseconds": .unsigned(figures.one),
          "batch": .number(Int64(Self.batch)), "batchNanoseconds": .unsigned(figures.batched),
          "onePercentOfPingPong": .unsigned(mediated), "batchPercentOfOne": .unsigned(batched),
        ]))
    case .table:
      var table = Table(.init("FIGURE"), .init("NANOSECONDS", .right), .init("AGAINST"))
      table.rows = [
        ["bare ping-pong", .init(figures.bare), "-"],
        [.init("\(opcode.name) \(name), one at a time"), .init(figures.one), .init("\(mediated)% of the ping-pong")],
        [
          .init("\(opcode.name) \(name), \(Self.batch) at once, each"), .init(figures.batched),
          .init("\(batched)% of one at a time"),
        ],
      ]
      try session.print(table.text(coloured: session.isColoured))
    }
  }
}

extension ObjectRow {
  /// A bus device inside the broker.
  fileprivate var isSimulated: Bool { kind == .bus && specification.contains("simulated") }
}
