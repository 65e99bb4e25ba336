import Linux
import Testing

@Suite struct `A transfer as an SMBus command` {
  // The sizes of linux/i2c.h: 0 quick, 1 byte, 2 byte data, 3 word data, 4 process call, 8 block without a count.
  @Test(
    arguments: [
      ([], 0, 0, false), ([], 1, 1, true), ([7], 0, 1, false), ([7], 1, 2, true), ([7, 1], 0, 2, false),
      ([7], 2, 3, true), ([7, 1, 2], 0, 3, false), ([7, 1, 2], 2, 4, false), ([7], 3, 8, true), ([7], 32, 8, true),
      ([7, 1, 2, 3], 0, 8, false), ([7] + Array(repeating: 1, count: 32), 0, 8, false),
    ] as [([UInt8], Int, UInt32, Bool)])
  func `is the one with the same bits`(write: [UInt8], read: Int, size: UInt32, isRead: Bool) throws {
    let command = try #require(SMBusCommand(write: write, read: read, functions: .commands))
    #expect(command.size == size)
    #expect(command.isRead == isRead)
    #expect(command.command == write.first ?? 0)
    #expect(command.incoming.count == read)
  }

  @Test func `lays blocks out with their length first`() throws {
    let out = try #require(SMBusCommand(write: [0x10, 1, 2, 3], read: 0, functions: .commands))
    #expect(out.data == [3, 1, 2, 3])
    let incoming = try #require(SMBusCommand(write: [0x10], read: 5, functions: .commands))
    #expect(incoming.data == [5])
    #expect(incoming.incoming == 1..<6)
    let word = try #require(SMBusCommand(write: [0x10, 1, 2], read: 0, functions: .commands))
    #expect(word.data == [1, 2])
  }

  @Test(
    arguments: [
      ([], 2), ([7], 33), ([7, 1], 1), ([7, 1, 2], 1), ([7, 1, 2, 3], 2), ([7] + Array(repeating: 1, count: 33), 0),
    ] as [([UInt8], Int)])
  func `does not exist where the bits would differ`(write: [UInt8], read: Int) {
    #expect(SMBusCommand(write: write, read: read, functions: .commands) == nil)
  }

  @Test func `takes a block for what the adapter has no command of its own`() throws {
    let blocks: I2CFunctions = [.readBlock, .writeBlock]
    #expect(try #require(SMBusCommand(write: [7], read: 1, functions: blocks)).size == 8)
    #expect(try #require(SMBusCommand(write: [7, 1], read: 0, functions: blocks)).size == 8)
    #expect(SMBusCommand(write: [], read: 1, functions: blocks) == nil)
    #expect(SMBusCommand(write: [], read: 0, functions: blocks) == nil)
  }

  @Test func `is never made without the adapter's function`() {
    for (write, read) in [([], 0), ([], 1), ([7], 0), ([7], 1), ([7, 1], 0), ([7, 1, 2], 2)] as [([UInt8], Int)] {
      #expect(SMBusCommand(write: write, read: read, functions: []) == nil)
      #expect(SMBusCommand(write: write, read: read, functions: .messages) == nil)
    }
  }
}
