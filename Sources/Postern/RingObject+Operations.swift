import Authority
import Instructions
import Linux
import Wire

extension RingObject {
  /// Of a disk until everything is there or it ends; an error after some bytes is told by the next call.
  public func read(into destination: inout MutableSpan<UInt8>, at offset: UInt64) throws(PosternError) -> Int {
    let wanted = Int(clamping: min(UInt64(destination.count), room(after: offset)))
    var done = 0
    repeat {
      let piece = min(wanted - done, Self.pieceLimit)
      let parcel = try parcel([UInt8](repeating: 0, count: piece))
      var operation = Operation(.read, .read, parcel)
      operation.request.offset = offset &+ UInt64(done)
      operation.request.address = parcel.address
      operation.request.length = UInt32(piece)
      do {
        let count = Int(try perform(operation) ?? 0)
        let bytes = parcel.content(count)
        for index in bytes.indices { destination[done + index] = bytes[index] }
        done += count
        if count == 0 { break }
      } catch {
        if done > 0 { return done }
        throw error
      }
    } while done < wanted
    return done
  }

  /// Of a disk until everything is written; what would cross its end is refused with `limit`, and nothing is written.
  public func write(_ bytes: Span<UInt8>, at offset: UInt64) throws(PosternError) -> Int {
    guard UInt64(bytes.count) <= room(after: offset) else {
      throw .refused(Refusal(.limit), errno: Reason.limit.errno)
    }
    var done = 0
    repeat {
      let piece = min(bytes.count - done, Self.pieceLimit)
      let parcel = try parcel((done..<(done + piece)).map { bytes[$0] })
      do {
        let count = Int(try perform(writing(parcel, .write, at: offset &+ UInt64(done))) ?? 0)
        done += count
        if count == 0 { break }
      } catch {
        if done > 0 { return done }
        throw error
      }
    } while done < bytes.count
    return done
  }

  /// All of the parcel, at a place of a disk or by a connected socket.
  func writing(_ parcel: RingParcel, _ opcode: Opcode, at offset: UInt64 = 0) -> Operation {
    var operation = Operation(opcode, .write, parcel)
    operation.request.offset = offset
    operation.request.address = parcel.address
    operation.request.length = UInt32(parcel.count)
    return operation
  }

  public func flush() throws(PosternError) { _ = try perform(Operation(.flush, .synchronize)) }

  public func discard(offset: UInt64, length: UInt64) throws(PosternError) {
    guard length <= room(after: offset) else { throw .refused(Refusal(.limit), errno: Reason.limit.errno) }
    guard length > 0 else { return }
    _ = try perform(Self.discard(offset: offset, length: length))
  }

  /// fallocate(2) by a request: the length is where an address otherwise is.
  static func discard(offset: UInt64, length: UInt64) -> Operation {
    var operation = Operation(.discard, .allocate)
    operation.request.offset = offset
    operation.request.address = length
    // FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
    operation.request.length = 3
    return operation
  }

  /// Of the device that stands for the range: sectors of 512 bytes.
  public func info() throws(PosternError) -> [UInt8] {
    try allow(.info)
    var flags: DiskInformation.Flags = .blockDevice
    if facts.operations.isDisjoint(with: OperationSet([.write, .discard])) { flags.insert(.readOnly) }
    return DiskInformation(size: rangeLength, blockSize: 512, physicalBlockSize: 512, flags: flags).bytes
  }

  /// Done by the broker before it gave the socket out, as listening is.
  public func bind() throws(PosternError) { try allow(.bind) }

  public func listen(backlog: UInt32) throws(PosternError) { try allow(.listen) }

  /// - Parameter nonblocking: the request is cancelled where none waits.
  public func accept(nonblocking: Bool) throws(PosternError) -> Accepted? {
    let parcel = try parcel([])
    guard let number = try perform(Self.accept(parcel), nonblocking: nonblocking || isNonblocking) else { return nil }
    return Accepted(descriptor: Descriptor(adopting: number), peer: parcel.peer(ofAccept: true))
  }

  static func accept(_ parcel: RingParcel) -> Operation {
    var operation = Operation(.accept, .accept, parcel)
    operation.request.address = parcel.peerAddress
    operation.request.offset = parcel.peerLength
    operation.request.operationFlags = SocketFlags.closeOnExec
    return operation
  }

  /// Not on this path: an object whose grant has it is never put into a ring.
  public func connect(to address: NetworkAddress) throws(PosternError) { throw Self.notOnRing }

  public func send(
    _ bytes: Span<UInt8>, to address: NetworkAddress?, nonblocking: Bool
  ) throws(PosternError) -> Int? {
    let content = (0..<bytes.count).map { bytes[$0] }
    let operation = try sending(content, to: address, nonblocking: nonblocking || isNonblocking)
    return try perform(operation, nonblocking: nonblocking || isNonblocking).map { Int($0) }
  }

  func sending(_ bytes: [UInt8], to address: NetworkAddress?, nonblocking: Bool) throws(PosternError) -> Operation {
    if current({ $0.isConnected }) {
      guard address == nil else { throw .refused(Refusal(.limit), errno: Reason.limit.errno) }
      return writing(try parcel(bytes), .send)
    }
    let parcel = try parcel(bytes, to: address)
    var operation = Operation(.send, .sendMessage, parcel)
    operation.request.address = parcel.header
    operation.request.length = 1
    operation.request.operationFlags = SocketFlags.noSignal | (nonblocking ? SocketFlags.dontWait : 0)
    return operation
  }

  public func receive(
    into destination: inout MutableSpan<UInt8>, nonblocking: Bool
  ) throws(PosternError) -> Received? {
    let operation = try receiving(destination.count, nonblocking: nonblocking || isNonblocking)
    guard let length = try perform(operation, nonblocking: nonblocking || isNonblocking), let parcel = operation.parcel
    else { return nil }
    let bytes = parcel.content(Int(length))
    for index in bytes.indices { destination[index] = bytes[index] }
    return Received(count: bytes.count, length: Int(length), sender: parcel.peer(ofAccept: false))
  }

  func receiving(_ room: Int, nonblocking: Bool) throws(PosternError) -> Operation {
    let parcel = try parcel([UInt8](repeating: 0, count: room), wantsSender: true)
    var operation = Operation(.receive, .receiveMessage, parcel)
    operation.request.address = parcel.header
    operation.request.length = 1
    // A datagram's whole length is told.
    operation.request.operationFlags = SocketFlags.truncate | (nonblocking ? SocketFlags.dontWait : 0)
    return operation
  }

  public func shutdown(how: UInt32) throws(PosternError) {
    _ = try perform(Self.shutdown(how: how))
  }

  static func shutdown(how: UInt32) -> Operation {
    var operation = Operation(.shutdown, .shutdown)
    operation.request.length = how
    return operation
  }

  public func getOption(level: UInt16, name: UInt16) throws(PosternError) -> [UInt8] { throw Self.notOnRing }

  public func setOption(level: UInt16, name: UInt16, _ value: Span<UInt8>) throws(PosternError) {
    throw Self.notOnRing
  }

  public func transfer(_ bytes: Span<UInt8>, into destination: inout MutableSpan<UInt8>) throws(PosternError) -> Int {
    throw Self.notOnRing
  }

  public func control(
    _ request: UInt32, argument: Span<UInt8>, into destination: inout MutableSpan<UInt8>
  ) throws(PosternError) -> Int { throw Self.notOnRing }

  public func wait(into destination: inout MutableSpan<UInt8>, nonblocking: Bool) throws(PosternError) -> Int? {
    throw Self.notOnRing
  }

  /// Bytes of one request; the kernel takes 2 GiB.
  private static let pieceLimit = 1 << 20

  /// As the association covers it; the kernel is not asked.
  private func allow(_ opcode: Opcode) throws(PosternError) {
    let (facts, isClosed) = current { ($0.facts, $0.isClosed) }
    guard !isClosed else { throw Self.closed }
    guard kind.operations.contains(opcode), facts.operations.contains(opcode) else {
      throw .refused(Refusal(.operation), errno: Reason.operation.errno)
    }
  }

  /// O_NONBLOCK is set on the ring's descriptor.
  private var isNonblocking: Bool { ClientDescriptor.isNonblocking(number) }

  /// Bytes of the range from `offset`; without a range as many as one likes.
  func room(after offset: UInt64) -> UInt64 {
    guard rangeLength > 0 else { return .max }
    return offset < rangeLength ? rangeLength - offset : 0
  }

  func parcel(
    _ bytes: [UInt8], to address: NetworkAddress? = nil, wantsSender: Bool = false
  ) throws(PosternError) -> RingParcel {
    do { return try RingParcel(bytes, destination: address, wantsSender: wantsSender) } catch {
      throw .failed(errno: error.errno, text: "\(error)")
    }
  }

  static var notOnRing: PosternError {
    .refused(Refusal(.operation), errno: Reason.operation.errno)
  }
}
