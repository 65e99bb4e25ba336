import Authority
import Instructions
import Linux

extension EntityRequest {
  init(_ request: AssociationRequest, now: UInt64) {
    self.init(
      process: request.process, object: request.object, application: request.application,
      generation: request.generation, quota: request.processes, now: now, expiry: request.expiry, path: request.path)
    failed = request.failed.rawValue
    conditions = request.conditions.rawValue
    requested = request.requested
    granted = request.granted
    limits = request.limits?.rawValue ?? 0
    onFork = request.onFork.rawValue
    keepsOnExec = request.onExec == .keep
  }

  init(_ request: RevalidationRequest, now: UInt64) {
    self.init(
      process: request.process, object: request.object, application: request.application,
      generation: request.generation, quota: request.processes, now: now, expiry: request.expiry, path: request.path)
    failed = request.failed.rawValue
    conditions = request.conditions.rawValue
    forked = request.forked
    lineage = request.lineage.rawValue
  }
}

extension EntityLimits {
  init(_ limits: LimitSet) {
    let connect = (limits.connect ?? []).map { Destination($0, forConnect: true) }
    let send = (limits.sendTo ?? []).map { Destination($0, forConnect: false) }
    self.init(
      range: limits.range.map { ($0.offset, $0.length) }, maximumLength: limits.maximumLength,
      limitsConnect: limits.connect != nil, limitsSend: limits.sendTo != nil, destinations: connect + send,
      options: limits.options?.map { UInt32($0.level) << 16 | UInt32($0.option) },
      controls: limits.controls?.map(\.request))
  }
}

extension EntityLimits.Destination {
  fileprivate init(_ pattern: AddressPattern, forConnect: Bool) {
    self.init(
      forConnect: forConnect, forSend: !forConnect, address: pattern.address, prefixLength: pattern.prefixLength,
      ports: pattern.ports)
  }
}
