import CLinux

/// What an i2c adapter can do (I2C_FUNCS).
public struct I2CFunctions: OptionSet, Sendable, Hashable {
  public let rawValue: UInt
  public init(rawValue: UInt) { self.rawValue = rawValue }

  /// Messages of any length, in any order.
  public static let messages = I2CFunctions(rawValue: UInt(I2C_FUNC_I2C))
  public static let quick = I2CFunctions(rawValue: UInt(I2C_FUNC_SMBUS_QUICK))
  public static let readByte = I2CFunctions(rawValue: UInt(I2C_FUNC_SMBUS_READ_BYTE))
  public static let writeByte = I2CFunctions(rawValue: UInt(I2C_FUNC_SMBUS_WRITE_BYTE))
  public static let readByteData = I2CFunctions(rawValue: UInt(I2C_FUNC_SMBUS_READ_BYTE_DATA))
  public static let writeByteData = I2CFunctions(rawValue: UInt(I2C_FUNC_SMBUS_WRITE_BYTE_DATA))
  public static let readWordData = I2CFunctions(rawValue: UInt(I2C_FUNC_SMBUS_READ_WORD_DATA))
  public static let writeWordData = I2CFunctions(rawValue: UInt(I2C_FUNC_SMBUS_WRITE_WORD_DATA))
  public static let processCall = I2CFunctions(rawValue: UInt(I2C_FUNC_SMBUS_PROC_CALL))
  public static let readBlock = I2CFunctions(rawValue: UInt(I2C_FUNC_SMBUS_READ_I2C_BLOCK))
  public static let writeBlock = I2CFunctions(rawValue: UInt(I2C_FUNC_SMBUS_WRITE_I2C_BLOCK))

  /// Everything that `SMBusCommand` is made of.
  public static let commands: I2CFunctions = [
    .quick, .readByte, .writeByte, .readByteData, .writeByteData, .readWordData, .writeWordData, .processCall,
    .readBlock, .writeBlock,
  ]
}

/// The SMBus command that puts the same bits on the bus as a write and a read after a repeated START.
///
/// Adapters of PC chipsets know such commands and no messages. Commands that count their bytes or add a checksum are not
/// among them, because the bits differ; nor is anything split, because a START in between can mean something to the chip.
public struct SMBusCommand: Sendable, Hashable {
  /// Bytes of a block (I2C_SMBUS_BLOCK_MAX).
  public static let blockLimit = Int(I2C_SMBUS_BLOCK_MAX)

  /// I2C_SMBUS_QUICK … I2C_SMBUS_I2C_BLOCK_DATA
  public let size: UInt32
  public let isRead: Bool
  public let command: UInt8
  /// Laid out as `union i2c_smbus_data`: a block has its length first.
  public let data: [UInt8]
  /// Where in the union the bytes are that come in.
  public let incoming: Range<Int>

  /// nil where no command that the adapter has is the same transfer.
  public init?(write: [UInt8], read count: Int, functions: I2CFunctions) {
    func isAble(_ function: I2CFunctions) -> Bool { functions.contains(function) }
    let rest = Array(write.dropFirst())
    var incoming = 0..<0
    var data = rest
    switch (write.count, count) {
    case (0, 0) where isAble(.quick):
      size = UInt32(I2C_SMBUS_QUICK)
    case (0, 1) where isAble(.readByte):
      size = UInt32(I2C_SMBUS_BYTE)
      incoming = 0..<1
    case (1, 0) where isAble(.writeByte):
      size = UInt32(I2C_SMBUS_BYTE)
    case (1, 1) where isAble(.readByteData):
      size = UInt32(I2C_SMBUS_BYTE_DATA)
      incoming = 0..<1
    case (2, 0) where isAble(.writeByteData):
      size = UInt32(I2C_SMBUS_BYTE_DATA)
    case (1, 2) where isAble(.readWordData):
      size = UInt32(I2C_SMBUS_WORD_DATA)
      incoming = 0..<2
    case (3, 0) where isAble(.writeWordData):
      size = UInt32(I2C_SMBUS_WORD_DATA)
    case (3, 2) where isAble(.processCall):
      size = UInt32(I2C_SMBUS_PROC_CALL)
      incoming = 0..<2
    case (1, 1...Self.blockLimit) where isAble(.readBlock):
      size = UInt32(I2C_SMBUS_I2C_BLOCK_DATA)
      data = [UInt8(count)]
      incoming = 1..<1 + count
    case (2...1 + Self.blockLimit, 0) where isAble(.writeBlock):
      size = UInt32(I2C_SMBUS_I2C_BLOCK_DATA)
      data = [UInt8(rest.count)] + rest
    default:
      return nil
    }
    // A process call is a write that also brings a word back.
    isRead = count > 0 && size != UInt32(I2C_SMBUS_PROC_CALL)
    command = write.first ?? 0
    self.data = data
    self.incoming = incoming
  }
}
