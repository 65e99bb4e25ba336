import Authority
import Instructions
import Linux
import Mediation
import Objects

/// A policy's object as the broker runs it. Confined to the broker's thread.
final class BrokeredObject {
  let id: ObjectID
  var definition: ObjectDefinition
  var generation: UInt32
  /// The one session of an object whose opens share it; nil while nobody uses it.
  var shared: Session?
  /// What the entity compares for `exclusive`, once the object has been opened.
  var footprint: EntityFootprint?
  /// Why the last attempt to open it failed, or empty.
  var lastFailure = ""

  init(id: ObjectID, definition: ObjectDefinition, generation: UInt32) {
    self.id = id
    self.definition = definition
    self.generation = generation
  }

  /// Why an open would fail, as far as a look at the path tells; empty: it would not.
  var whyUnavailable: String {
    if let path = definition.path, ProcessFacts.identity(path) == nil { return "\(path) is not there" }
    return lastFailure
  }

  /// Whether every open uses the same socket or device; udp, raw and packet sockets are one per open.
  var isShared: Bool {
    guard case .socket(let specification) = definition.specification else { return true }
    return SocketObject.isShared(specification.endpoint)
  }
}

/// Opens privileged objects; the only place where the broker gains a descriptor of one.
struct ObjectOpener: Sendable {
  let simulation: SimulatedBuses
  /// Never opened, under whatever name.
  let own: BrokerFiles

  func open(_ definition: ObjectDefinition, operations: OperationSet) throws(SystemError) -> any OpenObject {
    switch definition.specification {
    case .socket(let specification): try SocketObject.open(specification, operations: operations)
    case .disk(let specification): try DiskObject.open(specification, own: own)
    case .bus(let specification): try BusObject.open(specification, simulation: simulation)
    }
  }

  /// The object's own descriptor, for somebody who keeps it.
  ///
  /// - Parameter range: what of a disk is granted; nil: all that the object is.
  /// - Throws: EOPNOTSUPP for what a descriptor cannot keep to: a range, an address, lines.
  func openToGive(
    _ definition: ObjectDefinition, operations: OperationSet, range: ByteRange?
  ) throws(SystemError) -> Descriptor {
    switch definition.specification {
    case .socket(let specification):
      return try SocketObject.open(specification, operations: operations).giveAway(operations)
    case .disk(let specification):
      let disk = try DiskObject.open(specification, own: own)
      guard disk.isWhole, range == nil || range == disk.footprint?.range else {
        throw SystemError(
          errno: ErrorCode.notSupported, operation: Broker.rangeObstacle, path: specification.path)
      }
      return try disk.giveAway(writable: operations.contains(.write))
    case .bus(let bus):
      guard let path = definition.path else {
        throw SystemError(errno: ErrorCode.notSupported, operation: "a descriptor of a simulated device")
      }
      let opened = try PathSurroundings.reopen(
        Descriptor.pin(path),
        as: Served(
          access: operations.contains(.write) ? .readWrite : .readOnly, flags: [], closeOnExec: true, follow: true))
      guard bus.device.isEmbodied(by: opened) else {
        throw SystemError(errno: ErrorCode.accessDenied, operation: "open", path: path)
      }
      return opened
    }
  }
}
