import ArgumentParser
import Instructions
import Linux

struct WriteCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "write", abstract: "Write the standard input to an object.",
    discussion: """
      Input that would cross the end of a disk's range writes nothing at all: its length is known before the first byte \
      is written. So input from a pipe is held in memory and may have 256 MiB; a file may have any size.
      """)

  @Argument(help: "The object's name.", transform: ArgumentReading.name)
  var object: String

  @Option(
    help: ArgumentHelp("Where to begin, from the start of the object's range.", valueName: "bytes"),
    transform: ArgumentReading.byteCount)
  var offset: UInt64?

  @OptionGroup var global: GlobalOptions

  /// Bytes of a pipe that are kept.
  private static let largestPipe = 256 << 20

  func perform(_ session: Session) throws(CommandFailure) {
    let action = "write \(object)"
    let channel = try ObjectChannel(object, .write, session, action: action)
    var input = Input(session.surroundings)
    let start = offset ?? 0
    let size: UInt64
    if let known = session.surroundings.inputSize {
      size = known
    } else {
      // One byte more than the range has room for says already that it is too much.
      let room = channel.length == 0 ? .max : channel.length - min(start, channel.length)
      try input.fill(Int(min(room, UInt64(WriteCommand.largestPipe))) + 1)
      guard input.count <= WriteCommand.largestPipe else {
        throw CommandFailure(
          .badInput, "\(action.escapedForTerminal): the input is longer than 256 MiB; nothing was written",
          hint: "Give it as a file, whose length is known: postern write OBJECT < FILE.")
      }
      size = UInt64(input.count)
    }
    let crosses = channel.length != 0 && (start > channel.length || size > channel.length - start)
    if crosses, size > UInt64(channel.instruction) { try refuseCrossing(channel, start) }
    let written = try writeAll(channel, &input, size, from: start)
    if session.format == .json {
      try session.print(
        JSON.object(["object": .string(object), "offset": .unsigned(start), "written": .unsigned(written)]))
    }
  }

  /// Has the broker refuse what would cross the end only in a later instruction, so that the refusal is recorded where
  /// all refusals are. One byte outside the range is asked for: that can harm nothing.
  private func refuseCrossing(_ channel: ObjectChannel, _ start: UInt64) throws(CommandFailure) {
    _ = try channel.write([0], at: max(start, channel.length))
    throw CommandFailure(.bug, "write \(object.escapedForTerminal): the broker wrote past the end of the range")
  }

  private func writeAll(
    _ channel: ObjectChannel, _ input: inout Input, _ size: UInt64, from start: UInt64
  ) throws(CommandFailure) -> UInt64 {
    var written: UInt64 = 0
    // A file that grows meanwhile is written as long as it was when that was checked.
    while written < size {
      let wanted = Int(min(UInt64(channel.piece), size - written))
      try input.fill(wanted)
      let bytes = input.first(wanted)
      if bytes.isEmpty { break }
      let count: Int
      do {
        count = try channel.write(bytes, at: start &+ written)
      } catch {
        guard written > 0 else { throw error }
        throw error.after("\(written) bytes were written, then ")
      }
      guard count > 0 else {
        let name = object.escapedForTerminal
        throw CommandFailure(.failed, "write \(name): the object took \(written) bytes and takes no more")
      }
      input.drop(count)
      written += UInt64(count)
    }
    return written
  }

  /// The standard input, as far as it has been read and not yet written.
  private struct Input {
    private var bytes: [UInt8] = []
    /// What is before it has been written.
    private var start = 0
    private let surroundings: any Surroundings
    private var hasEnded = false

    init(_ surroundings: any Surroundings) { self.surroundings = surroundings }

    var count: Int { bytes.count - start }

    func first(_ most: Int) -> [UInt8] { Array(bytes[start..<(start + min(most, count))]) }

    mutating func drop(_ count: Int) {
      start += count
      if start == bytes.count {
        bytes.removeAll(keepingCapacity: true)
        start = 0
      }
    }

    /// Reads until `wanted` bytes are held or the input ends.
    mutating func fill(_ wanted: Int) throws(CommandFailure) {
      while !hasEnded, count < wanted {
        do {
          hasEnded = try surroundings.read(into: &bytes, limit: min(wanted - count, 1 << 18)) == 0
        } catch { throw CommandFailure(.failed, "the input: \(error)".escapedForTerminal, errno: error.errno) }
      }
    }
  }
}
