import Authority
import Instructions
import Linux

/// Looks for what an earlier broker had handed over and its holders still have: the journal says who had it, and the
/// kernel says who has it now.
public enum Survey {
  /// Somebody to whom the journal says an object was handed over.
  public struct Holder: Sendable, Hashable {
    public var object: String
    public var process: Int32
    /// Clock ticks since boot; another process with this number has another one.
    public var start: UInt64
    /// It had not been dropped or revoked.
    public var mayBeAssociated = true

    public init(object: String, process: Int32, start: UInt64) {
      self.object = object
      self.process = process
      self.start = start
    }
  }

  /// Those that live and have it. Looks into other processes: for a thread of its own.
  public static func holding(_ holders: some Sequence<Holder>, _ table: InterceptTable) -> [Holder] {
    holders.filter { holder in
      guard (try? ProcessPin.startTime(of: holder.process)) == holder.start,
        let entry = table.entries.first(where: { $0.definition.name == holder.object })
      else { return false }
      switch entry.definition.specification {
      case .socket(let specification):
        var has = false
        _ = HeldObject.sockets(specification, network: entry.network, in: holder.process) { _, _ in has = true }
        return has
      case .disk, .bus:
        guard let path = entry.definition.path else { return false }
        return (try? HeldObject.hasOpen(path, in: holder.process).get()) == true
      }
    }
  }
}
