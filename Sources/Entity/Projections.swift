import Authority
import Instructions
import Linux

/// Which of the table's records the kernel has, where, and under which names of their processes.
struct Projections: ~Copyable {
  struct Key: Sendable, Hashable {
    var object: ObjectID
    var process: ProcessResource

    init(object: ObjectID, process: ProcessResource) {
      self.object = object
      self.process = process
    }

    init(_ record: AssociationRecord) { self.init(object: record.object, process: record.process) }
  }

  struct Place: Sendable {
    var number: UInt32
    var limits: UInt32
    var options: DirectOptions
  }

  /// A record that only the kernel has: a tombstone, or a promise.
  struct Foreign: Sendable {
    var number: UInt32
    /// nil: a promise.
    var tombstone: DirectTombstone?
    var state: AssociationState
    /// Of a promise.
    var limits: UInt32 = 0
    /// Its process never had an association, and is only kept from getting one.
    var isBar = false
  }

  private(set) var places: [Key: Place] = [:]
  private var objects: [ProcessResource: Set<ObjectID>] = [:]
  /// The kernel's names of processes, and the other way round.
  private var names: [ProcessResource: ProcessResource] = [:]
  private var processes: [ProcessResource: ProcessResource] = [:]
  /// Names that were read before their processes were judged.
  private var expected: [ProcessResource: ProcessResource] = [:]
  private var foreign: [ProcessResource: [ObjectID: Foreign]] = [:]
  private var numbers: KernelNumbers
  private var limits: KernelLimits

  /// What an earlier broker has left keeps its numbers.
  init(_ kernel: DirectKernel) {
    let records = kernel.records()
    // The last number of each map is for trying the path out.
    numbers = KernelNumbers(capacity: kernel.capacity.records - 1)
    numbers.occupy(Set(records.map(\.number)))
    limits = KernelLimits(kernel, records)
  }

  // MARK: Names

  /// Errors: ESRCH where what it has was made for another program image.
  mutating func name(_ process: ProcessResource, _ kernel: ProcessResource) throws(SystemError) {
    if let known = names[process], known != kernel {
      guard objects[process]?.isEmpty ?? true else {
        throw SystemError(errno: ErrorCode.noSuchProcess, operation: "name a process")
      }
      forgetName(of: process)
    }
    names[process] = kernel
    processes[kernel] = process
  }

  func name(of process: ProcessResource) -> ProcessResource? { names[process] }

  /// nil: no longer.
  mutating func expect(_ process: ProcessResource, _ kernel: ProcessResource?) { expected[process] = kernel }

  /// The name under which `process` is to have something, as far as it is known already.
  func nameToWrite(_ process: ProcessResource) -> ProcessResource? {
    if let name = expected[process] { return name }
    return objects[process]?.isEmpty ?? true ? nil : names[process]
  }

  /// The process that the kernel names so.
  func process(named kernel: ProcessResource) -> ProcessResource? { processes[kernel] }

  private mutating func forgetName(of process: ProcessResource) {
    guard let kernel = names.removeValue(forKey: process) else { return }
    if processes[kernel] == process { processes[kernel] = nil }
  }

  mutating func forgetIfUnused(_ process: ProcessResource) {
    guard objects[process]?.isEmpty ?? true, foreign[process] == nil else { return }
    objects[process] = nil
    forgetName(of: process)
  }

  // MARK: Records of the table

  func keys(of process: ProcessResource) -> [Key] {
    (objects[process] ?? []).map { Key(object: $0, process: process) }
  }

  private mutating func put(_ key: Key, _ place: Place) {
    places[key] = place
    objects[key.process, default: []].insert(key.object)
  }

  /// Brings the kernel up to what the table has. Errors: ENOSPC, ENOMEM; then the kernel has what it had.
  mutating func write(
    _ key: Key, _ wanted: DirectProjection, _ options: DirectOptions, to kernel: DirectKernel
  ) throws(SystemError) {
    let before = places[key]
    let set = try limits.take(wanted.limits, in: kernel)
    do throws(SystemError) {
      if let before, kernel.mayChange(before.number, to: wanted, limits: set) {
        try kernel.change(wanted, limits: set, number: before.number)
        put(key, Place(number: before.number, limits: set, options: options))
      } else {
        // Nobody finds the former one from then on, and whoever has found it before finds it as it was, or ended.
        put(key, Place(number: try add(wanted, set, to: kernel), limits: set, options: options))
        if let before { release(before.number, from: kernel) }
      }
    } catch {
      limits.giveBack(set)
      throw error
    }
    if let before { limits.giveBack(before.limits) }
    unbury(key, in: kernel)
  }

  private mutating func add(
    _ wanted: DirectProjection, _ set: UInt32, to kernel: DirectKernel
  ) throws(SystemError) -> UInt32 {
    let number = try numbers.take()
    do throws(SystemError) { try kernel.add(wanted, limits: set, number: number) } catch {
      numbers.rest(number)
      throw error
    }
    return number
  }

  private mutating func release(_ number: UInt32, from kernel: DirectKernel) {
    guard (try? kernel.release(number)) != nil else { return }
    numbers.rest(number)
  }

  mutating func remove(_ key: Key, from kernel: DirectKernel) {
    guard let place = places.removeValue(forKey: key) else { return }
    objects[key.process]?.remove(key.object)
    release(place.number, from: kernel)
    limits.giveBack(place.limits)
  }

  /// A record that an earlier broker has left becomes this one's; false: there is one already.
  mutating func adopt(_ key: Key, _ found: DirectRecord, _ options: DirectOptions) -> Bool {
    guard places[key] == nil else { return false }
    put(key, Place(number: found.number, limits: found.record.limits, options: options))
    return true
  }

  /// A record that an earlier broker has left is no more.
  mutating func forget(_ found: DirectRecord, from kernel: DirectKernel) {
    release(found.number, from: kernel)
    limits.giveBack(found.record.limits)
  }

  // MARK: Records that only the kernel has

  mutating func bury(_ key: Key, _ found: DirectRecord, as state: AssociationState, in kernel: DirectKernel) {
    kernel.forgetBound(key.object, found.record.process)
    let former = foreign[key.process]?[key.object]
    guard places[key] == nil, former == nil || found.number == 0 || former?.number == found.number else {
      // What the process is told stands there already.
      if found.number != 0 { forget(found, from: kernel) }
      return
    }
    let tombstone = DirectTombstone(found.record)
    do throws(SystemError) {
      try put(key, tombstone, number: found.number, as: state, in: kernel)
    } catch {
      // No room for a tombstone: then there is nothing, which denies as well.
      return
    }
    if found.number != 0 { limits.giveBack(found.record.limits) }
  }

  /// - Parameter number: the record that becomes the tombstone; 0: there is none.
  private mutating func put(
    _ key: Key, _ tombstone: DirectTombstone, number: UInt32, as state: AssociationState, in kernel: DirectKernel
  ) throws(SystemError) {
    var number = number
    if number == 0, let former = foreign[key.process]?[key.object], former.tombstone?.process == tombstone.process {
      number = former.number
    }
    if number == 0 {
      unbury(key, in: kernel)
      number = try numbers.take()
      do throws(SystemError) { try kernel.refuse(tombstone, number: number, isThere: false, as: state) } catch {
        numbers.rest(number)
        throw error
      }
    } else {
      try kernel.refuse(tombstone, number: number, isThere: true, as: state)
    }
    foreign[key.process, default: [:]][key.object] = Foreign(number: number, tombstone: tombstone, state: state)
  }

  /// Says `revoked` to a process that has nothing of an object, before what its ancestors have can speak. False: no room.
  mutating func bar(_ key: Key, _ tombstone: DirectTombstone, in kernel: DirectKernel) -> Bool {
    guard places[key] == nil else { return true }
    let isBar = foreign[key.process]?[key.object].map(\.isBar) ?? true
    do throws(SystemError) { try put(key, tombstone, number: 0, as: .revoked, in: kernel) } catch { return false }
    foreign[key.process]?[key.object]?.isBar = isBar
    return true
  }

  /// Errors: ENOSPC, ENOMEM, EBUSY where the process has an association.
  mutating func promise(
    _ key: Key, _ wanted: DirectLimits?, in kernel: DirectKernel,
    _ write: (_ number: UInt32, _ limits: UInt32) throws(SystemError) -> Void
  ) throws(SystemError) {
    guard places[key] == nil else { throw SystemError(errno: ErrorCode.busy, operation: "promise") }
    unbury(key, in: kernel)
    let set = try limits.take(wanted, in: kernel)
    do throws(SystemError) {
      let number = try numbers.take()
      do throws(SystemError) { try write(number, set) } catch {
        numbers.rest(number)
        throw error
      }
      foreign[key.process, default: [:]][key.object] = Foreign(
        number: number, tombstone: nil, state: .departed, limits: set)
    } catch {
      limits.giveBack(set)
      throw error
    }
  }

  /// After `grant` or `reload`: what was revoked may be asked for again.
  mutating func pardon(_ selector: AssociationSelector, in kernel: DirectKernel) {
    for (process, tombstones) in foreign where selector.process.map({ $0 == process }) ?? true {
      for (object, tombstone) in tombstones where tombstone.state == .revoked {
        guard selector.object.map({ $0 == object }) ?? true, let told = tombstone.tombstone else { continue }
        let key = Key(object: object, process: process)
        if tombstone.isBar {
          unbury(key, in: kernel)
        } else {
          try? put(key, told, number: tombstone.number, as: .dropped, in: kernel)
        }
      }
    }
  }

  mutating func forgetForeign(of process: ProcessResource, in kernel: DirectKernel, keepRevoked: Bool = false) {
    for (object, tombstone) in foreign[process] ?? [:] where !(keepRevoked && tombstone.state == .revoked) {
      unbury(Key(object: object, process: process), in: kernel)
    }
  }

  /// Processes of this number that have such records.
  func foreigners(_ tgid: UInt32) -> [ProcessResource] { foreign.keys.filter { $0.tgid == tgid } }

  /// An association takes its place, or nobody needs it any more.
  mutating func unbury(_ key: Key, in kernel: DirectKernel) {
    guard let tombstone = foreign[key.process]?.removeValue(forKey: key.object) else { return }
    if foreign[key.process]?.isEmpty == true { foreign[key.process] = nil }
    release(tombstone.number, from: kernel)
    limits.giveBack(tombstone.limits)
  }
}
