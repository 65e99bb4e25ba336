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
    /// What ancestors held that stood between this process and `parent` and have ended.
    var bequest: [ObjectID: ProcessResource] = [:]
    /// Itself and its ancestors, as far as revokes name them; an exec frees nobody.
    var revoked: [ProcessResource] = []
    var children: Set<UInt64> = []
    /// Program images since this node began.
    var execs = 0
    /// The parent's `execs` when it forked this one; `severed` where an exec of a nearer ancestor lies between.
    var parentExecs = 0
  }

  private static let severed = -1

  /// How many processes may be watched; beyond it descent is not known, which refuses revalidation.
  public let capacity: Int
  private var nodes: [UInt64: Node] = [:]
  private var current: [Int32: UInt64] = [:]
  private var nextNode: UInt64 = 1
  /// How many processes carry each named one in `revoked`.
  private var lines: [ProcessResource: Int] = [:]
  private var ended: [ProcessResource] = []

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
  }

  public mutating func forked(parent: Int32, child: Int32) {
    // The number's former owner has ended, or the kernel could not have given it away.
    if current[child] != nil { exited(child) }
    guard let parentID = current[parent], let node = nodes[parentID], let id = insert(child, parent: parentID) else {
      return
    }
    nodes[id]?.inherited = node.inherited.merging(node.held) { _, own in own }
    nodes[id]?.parentExecs = node.execs
    nodes[id]?.revoked = node.revoked
    for named in node.revoked { lines[named, default: 0] += 1 }
    nodes[parentID]?.children.insert(id)
  }

  /// `pid` is watched from now on, whatever it holds.
  public mutating func watch(_ pid: Int32) {
    if current[pid] == nil { _ = insert(pid, parent: nil) }
  }

  /// `child` was there before anybody watched, and descends from `parent`: it counts for a revoke, and not for a
  /// revalidation, because either may have executed since.
  public mutating func found(_ child: Int32, below parent: Int32) {
    guard child != parent, let parentID = current[parent], let id = current[child] ?? insert(child, parent: nil),
      nodes[id]?.parent == nil, !isAncestor(id, of: parentID)
    else { return }
    nodes[id]?.parent = parentID
    nodes[id]?.parentExecs = Self.severed
    nodes[parentID]?.children.insert(id)
    for named in nodes[parentID]?.revoked ?? [] where nodes[id]?.revoked.contains(named) == false {
      nodes[id]?.revoked.append(named)
      lines[named, default: 0] += 1
    }
  }

  /// Numbers that were read one after the other may lead in a circle.
  private func isAncestor(_ id: UInt64, of other: UInt64) -> Bool {
    var next: UInt64? = other
    while let node = next {
      if node == id { return true }
      next = nodes[node]?.parent
    }
    return false
  }

  /// The process has a new program image: a stranger to what it inherited and held.
  public mutating func execed(_ pid: Int32) {
    guard let id = current[pid] else { return }
    nodes[id]?.inherited = [:]
    nodes[id]?.held = [:]
    nodes[id]?.execs += 1
  }

  /// The process has ended; its children keep what they had of it and stand under its parent.
  public mutating func exited(_ pid: Int32) {
    guard let id = current.removeValue(forKey: pid), let node = nodes.removeValue(forKey: id) else { return }
    if let parent = node.parent { nodes[parent]?.children.remove(id) }
    for child in node.children {
      guard var orphan = nodes[child] else { continue }
      if orphan.parentExecs == node.execs { orphan.bequest.merge(node.held) { nearer, _ in nearer } }
      if orphan.parentExecs == 0 { orphan.bequest.merge(node.bequest) { nearer, _ in nearer } }
      orphan.parent = node.parent
      orphan.parentExecs = orphan.parentExecs == 0 ? node.parentExecs : Self.severed
      nodes[child] = orphan
      if let parent = node.parent { nodes[parent]?.children.insert(child) }
    }
    release(node.revoked)
  }

  /// A revoke names `process`: what it forks from now on is named with it, however soon it ends after that.
  public mutating func revoked(_ named: ProcessResource) {
    // It is named whatever it executes: under one name, so that it has not ended before the last who carries it.
    let process = named.anyImage
    let pid = Int32(bitPattern: process.tgid)
    guard let id = current[pid] ?? insert(pid, parent: nil), nodes[id]?.revoked.contains(process) == false else {
      return
    }
    nodes[id]?.revoked.append(process)
    lines[process, default: 0] += 1
  }

  /// Whom revokes have named among `pid` and its ancestors.
  public func revokedAncestors(of pid: Int32) -> [ProcessResource] {
    current[pid].flatMap { nodes[$0]?.revoked } ?? []
  }

  /// Whether anything is known of `pid`.
  public func knows(_ pid: Int32) -> Bool { current[pid] != nil }

  /// Named processes that have ended with everything that descends from them, since the last call.
  public mutating func takeEndedLines() -> [ProcessResource] {
    defer { ended = [] }
    return ended
  }

  private mutating func release(_ revoked: [ProcessResource]) {
    for named in revoked {
      let left = lines[named, default: 1] - 1
      lines[named] = left > 0 ? left : nil
      if left <= 0 { ended.append(named) }
    }
  }

  /// Nothing is known any more (events were lost): every descent is forgotten, what processes hold themselves stands,
  /// and so does being named by a revoke.
  public mutating func lost() {
    for (id, node) in nodes {
      nodes[id]?.inherited = [:]
      nodes[id]?.bequest = [:]
      nodes[id]?.parent = nil
      nodes[id]?.children = []
      guard node.held.isEmpty, node.revoked.isEmpty else { continue }
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
    while true {
      if let held = node.bequest[object] { return held }
      guard let parentID = node.parent, let parent = nodes[parentID] else { return nil }
      if node.parentExecs == parent.execs, let held = parent.held[object] { return held }
      guard node.parentExecs == 0 else { return nil }
      node = parent
    }
  }

  /// All live descendants of `pid`, itself included.
  public func descendants(of pid: Int32) -> [Int32] {
    guard let id = current[pid] else { return [pid] }
    var found: [Int32] = []
    var waiting = [id]
    while let next = waiting.popLast() {
      guard let node = nodes[next] else { continue }
      found.append(node.pid)
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
}
