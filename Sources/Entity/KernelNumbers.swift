import Linux

/// Numbers of places in one of the kernel's maps; 0 is no number.
struct KernelNumbers: ~Copyable {
  private let capacity: UInt32
  /// The first number never used.
  private var end: UInt32 = 1
  private var free: [UInt32] = []
  /// Free, but a check that began before may still read them.
  private var resting: [UInt32] = []

  init(capacity: UInt32) { self.capacity = capacity }

  /// - Parameter isNamed: asked once those checks have ended; what is named by somebody goes on resting.
  mutating func take(unless isNamed: () -> Set<UInt32> = { [] }) throws(SystemError) -> UInt32 {
    if free.isEmpty, !resting.isEmpty, end >= capacity || resting.count >= 64,
      (try? DirectKernel.waitForChecks()) != nil
    {
      let named = isNamed()
      free = resting.filter { !named.contains($0) }
      resting.removeAll { !named.contains($0) }
    }
    if let number = free.popLast() { return number }
    guard end < capacity else { throw SystemError(errno: ErrorCode.noSpace, operation: "kernel association") }
    defer { end += 1 }
    return end
  }

  /// A number under which nothing was written.
  mutating func giveBack(_ number: UInt32) { free.append(number) }

  /// A number that was in use a moment ago.
  mutating func rest(_ number: UInt32) { resting.append(number) }

  /// Those that an earlier broker has used.
  mutating func occupy(_ numbers: Set<UInt32>) {
    guard let last = numbers.max() else { return }
    free += (end...max(end, last)).filter { !numbers.contains($0) }
    end = max(end, last) + 1
  }
}

/// The limit sets in the kernel. Equal ones share a number, which nothing else gets while a record may name it.
struct KernelLimits: ~Copyable {
  private var numbers: KernelNumbers
  private var known: [DirectLimits: UInt32] = [:]
  private var used: [UInt32: (limits: DirectLimits, records: Int)] = [:]

  /// Those that an earlier broker's records name, and what hooks have made of them, stay where they are.
  init(_ kernel: DirectKernel, _ records: [DirectRecord]) {
    numbers = KernelNumbers(capacity: kernel.capacity.limits - 1)
    for number in records.map(\.record.limits) where number != 0 {
      guard let limits = kernel.limits(number) else { continue }
      if known[limits] == nil { known[limits] = number }
      used[number, default: (limits, 0)].records += 1
    }
    let bound = KernelLimits.bound(kernel)
    numbers.occupy(bound.union(used.keys))
    for number in bound where used[number] == nil { numbers.rest(number) }
  }

  /// What hooks make has the limits of what they make it of, and nobody is asked.
  private static func bound(_ kernel: DirectKernel) -> Set<UInt32> {
    Set(kernel.bound().map(\.record.limits)).subtracting([0])
  }

  /// The number of these limits, for one record; nil: 0. Errors: ENOSPC.
  mutating func take(_ limits: DirectLimits?, in kernel: DirectKernel) throws(SystemError) -> UInt32 {
    guard let limits else { return 0 }
    if let number = known[limits] {
      used[number]?.records += 1
      return number
    }
    let number = try numbers.take { KernelLimits.bound(kernel) }
    do throws(SystemError) { try kernel.put(limits, number: number) } catch {
      numbers.giveBack(number)
      throw error
    }
    known[limits] = number
    used[number] = (limits, 1)
    return number
  }

  /// One record less names it.
  mutating func giveBack(_ number: UInt32) {
    guard let entry = used[number] else { return }
    if entry.records > 1 {
      used[number]?.records -= 1
      return
    }
    used[number] = nil
    if known[entry.limits] == number { known[entry.limits] = nil }
    numbers.rest(number)
  }
}
