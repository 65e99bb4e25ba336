import Authority
import Entity
import Instructions
import Linux
import Testing

/// A table alone (`plain`) and one that a kernel follows (`checked`), which live through the same.
struct TwoEntities {
  /// What only the kernel has of a process and object: a tombstone or a promise.
  struct Foreign {
    var state: AssociationState
    var generation: UInt32
  }

  let seed: UInt64
  var random: SeededGenerator
  let direct: DirectKernel
  let names = Names()
  var plain: SimulatedEntity
  var checked: CheckedEntity
  var now: UInt64 = 1000
  var limits: [LimitsID] = []
  var foreign: [TableModel.Key: Foreign] = [:]
  /// Tombstones that there was no room for: then the kernel has nothing, which denies as well.
  var unwritten: Set<TableModel.Key> = []
  var refusedForWantOfRoom = 0
  /// What the kernel answered, how often; a life in which everything is refused shows nothing.
  private(set) var answers: [Reason?: Int] = [:]
  private(set) var inherited = 0
  /// Verdicts that the programs would not decide anew.
  private(set) var kept = 0
  private(set) var disagreements: [String] = []
  private var history: [String] = []

  let objects = (1...4 as ClosedRange<UInt32>).map(ObjectID.init(rawValue:))
  let processes: [ProcessResource] = (1...5 as ClosedRange<UInt32>).flatMap { tgid in
    (0...2 as ClosedRange<UInt32>).map { ProcessResource(tgid: tgid, start: 1, execEpoch: $0) }
  }

  init(seed: UInt64, capacity: DirectKernel.Capacity) throws {
    self.seed = seed
    random = SeededGenerator(state: seed)
    direct = try KernelTier.load(capacity)
    plain = try SimulatedEntity()
    checked = CheckedEntity(try SimulatedEntity(), direct, names)
  }

  mutating func live(steps: Int) throws {
    for step in 0..<steps {
      now += UInt64.random(in: 0...3, using: &random)
      history.append("\(step) @\(now)")
      if history.count > 15 { history.removeFirst() }
      names.areLost = Int.random(in: 0..<40, using: &random) == 0
      try take()
      names.areLost = false
      try compare()
      try compareInheritance()
      try compareKept()
      if step % 25 == 0 { compareTables() }
      guard disagreements.isEmpty else {
        // One mistake makes many; the first ones tell.
        Issue.record(
          "seed \(seed): \(disagreements.prefix(4).joined(separator: "\n"))\n\(history.joined(separator: "\n"))")
        return
      }
    }
    compareTables()
  }

  mutating func note(_ words: String) { history[history.count - 1] += " \(words)" }

  mutating func disagree(_ words: String) { disagreements.append(words) }

  mutating func chance(_ of: Int) -> Bool { Int.random(in: 0..<of, using: &random) == 0 }

  /// Every process about every object.
  private mutating func compare() throws {
    for object in objects {
      for process in processes {
        let key = TableModel.Key(object: object, process: process)
        for _ in 0..<2 {
          let instruction = instruction(about: object)
          let alone = TableTests.reason(plain.check(instruction, issuer: .process(process), now: now))
          let table = TableTests.reason(checked.table.check(instruction, issuer: .process(process), now: now))
          let kernel = try checked.ask(instruction, process, now: now)
          answers[kernel, default: 0] += 1
          if alone != table {
            disagree("\(key), \(instruction.opcode): the tables say \(text(alone)) and \(text(table))")
          }
          if !agrees(kernel, with: table, about: key) {
            disagree("\(key), \(instruction.opcode): the table says \(text(table)), the kernel \(text(kernel))")
          }
        }
      }
    }
  }

  /// What a hook would give a child at once, and what the fork protocol would, on demand, if the holder's rule is `inherit`.
  private mutating func compareInheritance() throws {
    let child = ProcessResource(tgid: 999, start: 1)
    let forked = chance(2) ? now : UInt64.random(in: 0...now, using: &random)
    for object in objects where plain.object(object)?.exclusive == false {
      guard let parent = processes.randomElement(using: &random), let kernel = checked.kernel else { continue }
      let given = try kernel.kernel.mayInherit(object, from: KernelTier.name(of: parent), forked: forked)
      // The hook's clock is the kernel's.
      let request = RevalidationRequest(
        process: child, object: object,
        application: plain.record(for: object, process: parent)?.application ?? .init(rawValue: 1),
        generation: plain.generation(of: object) ?? 0, ancestors: [parent], lineage: .descended, forked: forked)
      // In both tables, which are to go on giving the same ids.
      var spoken: Reason?
      for table in [plain, checked.table] {
        spoken = TableTests.reason { () throws(Refusal) in try table.revalidate(request, now: Clock.boottime()) }
        _ = table.exit(child, keepEvidence: false)
      }
      let mayInherit = plain.record(for: object, process: parent)?.onFork == ForkRule.inherit.rawValue && spoken == nil
      if given { inherited += 1 }
      if given != mayInherit {
        disagree(
          "a child of \(parent) about \(object): the hook \(given ? "gives" : "refuses"), the table \(text(spoken))")
      }
    }
  }

  /// What the programs grant without deciding it is what they would decide, and no more is decided than has to be.
  private mutating func compareKept() throws {
    guard let kernel = checked.kernel?.kernel else { return }
    for held in direct.records() {
      // They look at the expiry themselves.
      let moment = held.record.expiry == 0 ? now : min(now, held.record.expiry - 1)
      for opcode in Opcode.allCases {
        let isKept = held.keptVerdicts >> UInt32(opcode.rawValue) & 1 == 1
        let instruction = Instruction(opcode: opcode, object: held.record.object, operands: Operands())
        let verdict = try kernel.ask(instruction, process: held.record.process, now: moment)
        let isTold = !held.options.isDisjoint(with: [.firstUse, .allUses])
        if isKept { kept += 1 }
        if isKept != (verdict == nil && !isTold) {
          disagree(
            "\(held.record.process) about \(held.record.object), \(opcode): \(isKept ? "" : "not ")kept, and \(text(verdict))"
          )
        }
      }
    }
  }

  private func text(_ reason: Reason?) -> String { reason?.name ?? "granted" }

  private func agrees(_ kernel: Reason?, with table: Reason?, about key: TableModel.Key) -> Bool {
    let record = checked.table.record(for: key.object, process: key.process)
    if let record, checked.kernel?.kernelNumber(of: record) != nil {
      // Ended holders are nobody: what is told of them may be told later.
      return kernel == table || (record.departed && kernel == .notAssociated && table == .expired)
    }
    // What the table does not have, or has as a tombstone that there was no room for.
    guard table != nil, record == nil || unwritten.contains(key) else { return false }
    guard let generation = plain.generation(of: key.object) else { return kernel == .noSuchObject }
    guard let alone = foreign[key] else { return kernel == .notAssociated }
    if alone.state == .stale || alone.generation != generation { return kernel == .stale }
    switch alone.state {
    case .revoked: return kernel == .revoked
    case .expired: return kernel == .expired
    default: return kernel == .notAssociated
    }
  }

  private mutating func compareTables() {
    let tables = [TableTests.list(plain), TableTests.list(checked.table)]
    if tables[0] != tables[1] { disagree("the tables differ") }
    if plain.validate() != 0 || checked.table.validate() != 0 { disagree("an invariant of the table") }
    let written = tables[1].count { checked.kernel?.kernelNumber(of: $0) != nil }
    let held = direct.records()
    if held.count != written + foreign.count {
      disagree("the kernel has \(held.count) records, of \(written) in the table and \(foreign.count) of its own")
    }
    if Set(held.map { TableModel.Key(object: $0.record.object, process: $0.record.process) }).count != held.count {
      disagree("the kernel has two records of one process and object")
    }
  }
}

extension TwoEntities {
  mutating func instruction(about object: ObjectID) -> Instruction {
    let opcode = Opcode.allCases.randomElement(using: &random) ?? .info
    var operands = Operands(
      offset: UInt64.random(in: 0...4096, using: &random), length: UInt64.random(in: 0...4096, using: &random),
      request: UInt32.random(in: 1...6, using: &random))
    if chance(2) { operands.address = address() }
    return Instruction(opcode: opcode, object: object, operands: operands)
  }

  private mutating func address() -> NetworkAddress {
    var bytes = InlineArray<16, UInt8>(repeating: 0)
    bytes[0] = 10
    bytes[3] = UInt8.random(in: 0...3, using: &random)
    return NetworkAddress(family: .ipv4, bytes: bytes, port: UInt16.random(in: 1...4, using: &random))
  }

  mutating func limitSet() -> LimitSet {
    func patterns(_ random: inout SeededGenerator) -> [AddressPattern]? {
      guard Bool.random(using: &random) else { return nil }
      var bytes = InlineArray<16, UInt8>(repeating: 0)
      bytes[0] = 10
      let prefix: UInt8 = [8, 31, 32].randomElement(using: &random) ?? 32
      return [
        AddressPattern(
          address: NetworkAddress(family: .ipv4, bytes: bytes, port: 0), prefixLength: prefix,
          ports: 1...UInt16.random(in: 1...4, using: &random))
      ]
    }
    let numbers = (1...6 as ClosedRange<UInt32>).filter { _ in Bool.random(using: &random) }
    return LimitSet(
      range: chance(3) ? nil : ByteRange(offset: 0, length: UInt64.random(in: 1...4096, using: &random)),
      maximumLength: chance(3) ? UInt32.random(in: 1...4096, using: &random) : nil, connect: patterns(&random),
      sendTo: patterns(&random),
      options: chance(2) ? nil : numbers.map { SocketOption(name: "", level: 0, option: UInt16($0)) },
      controls: chance(2) ? nil : numbers.map { ControlRequest(name: "", request: $0) })
  }

  mutating func operations() -> OperationSet {
    OperationSet(Opcode.allCases.filter { _ in Bool.random(using: &random) })
  }
}
