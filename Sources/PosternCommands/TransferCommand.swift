import ArgumentParser
import Instructions
import Wire

struct TransferCommand: BrokerCommand {
  static let configuration = CommandConfiguration(
    commandName: "transfer", abstract: "Do one bus transaction and print what came back as hexadecimal digits.",
    discussion: """
      i2c: the bytes to write, a repeated start, the bytes to read. spi: one chip select; the bytes to write, then as \
      many zero bytes as are to be read, of which the answers are printed.
      """)

  @Argument(help: "The object's name.", transform: ArgumentReading.name)
  var object: String

  @Option(
    help: ArgumentHelp("Bytes to write, as pairs of digits: 0a1b.", valueName: "hex"),
    transform: ArgumentReading.hexadecimal)
  var write: [UInt8] = []

  @Option(help: ArgumentHelp("How many bytes to read.", valueName: "count"), transform: ArgumentReading.byteCount)
  var read: UInt64 = 0

  @OptionGroup var global: GlobalOptions

  func validate() throws {
    guard !write.isEmpty || read > 0 else { throw ValidationError("Say what to do: --write HEX, --read N, or both.") }
    guard write.count <= Bounds.payload, read <= UInt64(Bounds.payload) else {
      throw ValidationError("One transaction has at most \(Bounds.payload) bytes either way.")
    }
  }

  func perform(_ session: Session) throws(CommandFailure) {
    let action = "transfer \(object)"
    let channel = try ObjectChannel(object, .transfer, session, action: action)
    let bytes = try channel.transfer(write, reading: Int(read))
    switch session.format {
    case .json:
      try session.print(
        JSON.object([
          "object": .string(object), "written": .string(hexadecimal(write)), "read": .string(hexadecimal(bytes)),
        ]))
    case .table: if read > 0 { try session.print(hexadecimal(bytes) + "\n") }
    }
  }

  private func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
