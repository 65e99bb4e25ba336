/// What a reload changes for those who hold something.
public struct PolicyDifference: Sendable, Hashable {
  /// Associations of these end: object, application or grant entry changed or is gone. All others keep id and generation.
  public var dropped: Set<GrantKey>
  /// Objects whose specification changed: they are opened again under a new generation.
  public var replaced: Set<String>
  public var removed: Set<String>
  public var added: Set<String>
}

extension PolicyModel {
  /// Compares this policy with the one that is to take its place. Order, limits and audit settings drop nobody.
  public func difference(to new: PolicyModel) -> PolicyDifference {
    var difference = PolicyDifference(dropped: [], replaced: [], removed: [], added: [])
    let oldObjects = Dictionary(objects.map { ($0.name, $0) }) { first, _ in first }
    let newObjects = Dictionary(new.objects.map { ($0.name, $0) }) { first, _ in first }
    for (name, object) in oldObjects {
      guard let other = newObjects[name] else {
        difference.removed.insert(name)
        continue
      }
      if other.specification != object.specification { difference.replaced.insert(name) }
    }
    difference.added = Set(newObjects.keys.filter { oldObjects[$0] == nil })

    let oldApplications = Dictionary(applications.map { ($0.name, $0) }) { first, _ in first }
    let newApplications = Dictionary(new.applications.map { ($0.name, $0) }) { first, _ in first }
    let newRules = Dictionary(new.grants.map { ($0.key, $0) }) { first, _ in first }
    for rule in grants {
      let unchanged =
        newRules[rule.key] == rule && oldObjects[rule.object] == newObjects[rule.object]
        && oldApplications[rule.application] == newApplications[rule.application]
      if !unchanged { difference.dropped.insert(rule.key) }
    }
    return difference
  }
}

extension GrantRule {
  public var key: GrantKey { GrantKey(application: application, object: object) }
}
