import ArgumentParser
import Instructions

struct ReadCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "read", abstract: "Read an object to the standard output.",
    discussion: """
      Disks: from --offset to the end, or --length bytes; at or past the end there is nothing. A serial line: what \
      arrives within a second, at most --length bytes. Other buses: one read (hid: one report, gpio: a byte per line, \
      pci: from the offset in the configuration space). After an error, what was read before it has been written.
      """)

  @Argument(help: "The object's name.", transform: ArgumentReading.name)
  var object: String

  @Option(
    help: ArgumentHelp("Where to begin, from the start of the object's range.", valueName: "bytes"),
    transform: ArgumentReading.byteCount)
  var offset: UInt64?

  @Option(
    help: ArgumentHelp("How much at most (default: to the end).", valueName: "bytes"),
    transform: ArgumentReading.byteCount)
  var length: UInt64?

  @OptionGroup var global: GlobalOptions

  func perform(_ session: Session) throws(CommandFailure) {
    let action = "read \(object)"
    let channel = try ObjectChannel(object, .read, session, action: action)
    var position = offset ?? 0
    var left = length ?? .max
    while left > 0 {
      let wanted = Int(min(left, UInt64(channel.piece)))
      let bytes: [UInt8]
      do {
        bytes = try channel.read(wanted, at: position)
      } catch {
        guard position > offset ?? 0 else { throw error }
        throw error.after("\(position - (offset ?? 0)) bytes were read, then ")
      }
      if bytes.isEmpty { break }
      try session.print(bytes: bytes)
      position += UInt64(bytes.count)
      left -= UInt64(bytes.count)
      // What has a length is read to its end; of anything else one read is one report, one line state, one second.
      if channel.length == 0 { break }
    }
  }
}
