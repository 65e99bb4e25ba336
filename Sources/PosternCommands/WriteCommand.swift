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
  private static let piece = 1 << 20

  func perform(_ session: Session) throws(CommandFailure) {
    let action = "write \(object)"
    let handle = try session.connect().open(object, OperationSet(.write), for: action)
    var input = Input(session.surroundings)
    let size: UInt64
    if let known = session.surroundings.inputSize {
      size = known
    } else {
      try input.fill(WriteCommand.largestPipe + 1)
      guard input.held.count <= WriteCommand.largestPipe else {
        throw CommandFailure(
          .badInput, "\(action.escapedForTerminal): the input is longer than 256 MiB; nothing was written",
          hint: "Give it as a file, whose length is known: postern write OBJECT < FILE.")
      }
      size = UInt64(input.held.count)
    }
    let start = offset ?? 0
    if handle.length != 0, start > handle.length || size > handle.length - start {
      try refuseCrossing(handle, start, size, action)
    }
    let written = try writeAll(handle, &input, from: start, action)
    if session.format == .json {
      try session.print(
        JSON.object(["object": .string(object), "offset": .unsigned(start), "written": .unsigned(written)]))
    }
  }

  /// Has the broker refuse what crosses the end, so that the refusal is recorded where all refusals are; a write of that
  /// one piece alone writes nothing.
  private func refuseCrossing(
    _ handle: ObjectLink, _ start: UInt64, _ size: UInt64, _ action: String
  ) throws(CommandFailure) {
    let most = min(UInt64(handle.maximumPayload), size)
    let offset = start >= handle.length ? start : max(start, handle.length - min(handle.length, most - 1))
    _ = try handle.write([UInt8](repeating: 0, count: Int(most)), at: offset, for: action)
    throw .protocolViolation("a write that crosses the end of \(object) was performed")
  }

  private func writeAll(
    _ handle: ObjectLink, _ input: inout Input, from start: UInt64, _ action: String
  ) throws(CommandFailure) -> UInt64 {
    var written: UInt64 = 0
    while true {
      try input.fill(WriteCommand.piece)
      let bytes = input.held.prefix(WriteCommand.piece)
      if bytes.isEmpty { return written }
      let count: Int
      do {
        count = try handle.write(Array(bytes), at: start + written, for: action)
        if count == 0 { throw CommandFailure.failed(action, errno: 5, "the object takes no more bytes") }
      } catch {
        guard written > 0 else { throw error }
        throw error.after("\(written) bytes were written, then ")
      }
      input.held.removeFirst(count)
      written += UInt64(count)
    }
  }

  /// The standard input, as far as it has been read and not yet written.
  private struct Input {
    var held: ArraySlice<UInt8> = []
    private let surroundings: any Surroundings
    private var hasEnded = false

    init(_ surroundings: any Surroundings) { self.surroundings = surroundings }

    /// Reads until `count` bytes are held or the input ends.
    mutating func fill(_ count: Int) throws(CommandFailure) {
      while !hasEnded, held.count < count {
        var bytes = Array(held)
        do {
          hasEnded = try surroundings.read(into: &bytes, limit: min(count - held.count, WriteCommand.piece)) == 0
        } catch { throw CommandFailure(.failed, "the input: \(error)".escapedForTerminal, errno: error.errno) }
        held = bytes[...]
      }
    }
  }
}
