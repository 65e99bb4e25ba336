import Glibc
import Postern

/// Prints the temperature of an LM75-like sensor on a brokered i2c bus, once a second.
///
/// usage: SensorLogger [OBJECT [COUNT]]        default: sensor, for ever
@main struct SensorLogger {
  static func main() {
    let object = CommandLine.arguments.dropFirst().first ?? "sensor"
    let count = CommandLine.arguments.count > 2 ? Int(CommandLine.arguments[2]) ?? 1 : Int.max
    do {
      let broker = try PosternConnection(client: "sensor-logger")
      let sensor = try broker.open(object, OperationSet(.transfer))
      for reading in 0..<count {
        if reading > 0 { sleep(1) }
        print(text(of: try temperature(of: sensor)))
      }
    } catch {
      // The description names the reason, and the policy's message where there is one.
      fail("\(object): \(error)", error.refusal == nil ? 74 : 1)
    }
  }

  /// Writes the register's number, reads its two bytes: a signed number of 1/256 °C, of which 9 bits count.
  static func temperature(of sensor: any OpenedObject) throws(PosternError) -> Int16 {
    let register: [UInt8] = [0]
    var bytes: [UInt8] = [0, 0]
    var answer = bytes.mutableSpan
    let count = try sensor.transfer(register.span, into: &answer)
    guard count == 2 else { throw .failed(errno: EIO, text: "the sensor answered \(count) bytes") }
    return Int16(bitPattern: UInt16(bytes[0]) << 8 | UInt16(bytes[1])) >> 7
  }

  /// Half degrees as a person reads them.
  static func text(of halves: Int16) -> String {
    let sign = halves < 0 ? "-" : ""
    return "\(sign)\(halves.magnitude / 2).\(halves.magnitude % 2 * 5) °C"
  }

  static func fail(_ text: String, _ code: Int32) -> Never {
    var line = "SensorLogger: \(text)\n"
    line.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
    exit(code)
  }
}
