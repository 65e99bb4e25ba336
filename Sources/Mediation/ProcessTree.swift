import Instructions

/// Who descends from whom, among the holders of associations and everything forked from them since.
///
/// Fed with the kernel's fork, exec and exit events in their order; pure. A process that execs is a stranger from
/// then on, and so are the children it forks afterwards: they descend for a revoke, not for a revalidation.
public struct ProcessTree: Sendable {
  private struct Node {
    var pid: Int32
    var parent: UInt64?
    /// Holders among the ancestors, by object, as they were when this process was forked.
    var inherited: [ObjectID: ProcessResource] = [:]
    /// This process itself, for each object that it holds.
    var held: [ObjectID: ProcessResource] = [:]
    var children: Set<UInt64> = []
    var isAlive = true
    /// Program images since this node began.
    var execs = 0
    /// The parent's `execs` when it forked this one.
    var parentExecs = 0
  }

  /// How many processes may be watched; beyond it descent is not known, which refuses revalidation.
  public let capacity: Int
  private var nodes: [UInt64: Node] = [:]
  private var current: [Int32: UInt64] = [:]
  private var nextNode: UInt64 = 1

  public init(capacity: Int = 65536) { self.capacity = capacity }

  public var count: Int { nodes.count }

  /// `process` has got an association for `object`; it is watched from now on.
  public mutating func associated(_ process: ProcessResource, object: ObjectID) {
    let pid = Int32(bitPattern: process.tgid)
    let id = current[pid] ?? insert(pid, parent: nil)
    guard let id else { return }
    nodes[id]?.held[object] = process
  }

  /// `pid` holds nothing for `object` any more; what its children inherited stands.
  public mutating func dropped(_ pid: Int32, object: ObjectID) {
    guard let id = current[pid] else { return }
    nodes[id]?.held[object] = nil
    prune(id)
  }

  public mutating func forked(parent: Int32, child: Int32) {
    // The number's former owner has ended, or the kernel could not have given it away.
    if current[child] != nil { exited(child) }
    guard let parentID = current[parent], let node = nodes[parentID], let id = insert(child, parent: parentID) else {
      return
    }
    nodes[id]?.inherited = node.inherited.merging(node.held) { _, own in own }
    nodes[id]?.parentExecs = node.execs
    nodes[parentID]?.children.insert(id)
  }

  /// The process has a new program image: a stranger to what it inherited and held.
  public mutating func execed(_ pid: Int32) {
    guard let id = current[pid] else { return }
    nodes[id]?.inherited = [:]
    nodes[id]?.held = [:]
    nodes[id]?.execs += 1
  }

  public mutating func exited(_ pid: Int32) {
    guard let id = current.removeValue(forKey: pid) else { return }
    nodes[id]?.isAlive = false
    prune(id)
  }

  /// Nothing is known any more (events were lost): every descent is forgotten, what processes hold themselves stands.
  public mutating func lost() {
    for id in nodes.keys {
      nodes[id]?.inherited = [:]
      nodes[id]?.parent = nil
      nodes[id]?.children = []
    }
    for (id, node) in nodes where !node.isAlive || node.held.isEmpty {
      nodes[id] = nil
      if current[node.pid] == id { current[node.pid] = nil }
    }
  }

  /// The holder of `object` that `pid` descends from, or nil.
  ///
  /// What an ancestor came to hold after the fork counts too, as long as no exec lies between.
  public func holder(aboveOf pid: Int32, object: ObjectID) -> ProcessResource? {
    guard let id = current[pid], var node = nodes[id], node.execs == 0 else { return nil }
    if let inherited = node.inherited[object] { return inherited }
    while let parentID = node.parent, let parent = nodes[parentID] {
      if node.parentExecs == parent.execs, let held = parent.held[object] { return held }
      guard node.parentExecs == 0 else { return nil }
      node = parent
    }
    return nil
  }

  /// All live descendants of `pid`, itself included.
  public func descendants(of pid: Int32) -> [Int32] {
    guard let id = current[pid] else { return [pid] }
    var found: [Int32] = []
    var waiting = [id]
    while let next = waiting.popLast() {
      guard let node = nodes[next] else { continue }
      if node.isAlive { found.append(node.pid) }
      waiting.append(contentsOf: node.children)
    }
    return found
  }

  private mutating func insert(_ pid: Int32, parent: UInt64?) -> UInt64? {
    guard nodes.count < capacity else { return nil }
    let id = nextNode
    nextNode += 1
    nodes[id] = Node(pid: pid, parent: parent)
    current[pid] = id
    return id
  }

  /// Forgets dead leaves, and their dead ancestors that become leaves.
  private mutating func prune(_ start: UInt64) {
    var id = start
    while let node = nodes[id], !node.isAlive, node.children.isEmpty {
      nodes[id] = nil
      guard let parent = node.parent else { return }
      nodes[parent]?.children.remove(id)
      id = parent
    }
  }
}
