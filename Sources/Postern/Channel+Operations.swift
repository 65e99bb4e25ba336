import Instructions
import Linux
import Wire

/// Each operation waits for its completion. Throws `refused` where the check said no, `failed` where it was allowed
/// and the object failed.
extension Channel {
  /// Reads bytes of the object's range from `offset`; fewer at its end, 0 beyond it.
  ///
  /// Disks: any length, in pieces of which several are under way at once. Buses: one transaction of at most
  /// `Bounds.payload` bytes.
  public func read(into destination: inout MutableSpan<UInt8>, at offset: UInt64) throws(PosternError) -> Int {
    let wanted = destination.count
    guard facts.kind == .disk, wanted > Bounds.payload else {
      guard wanted <= Bounds.payload else { throw tooLong }
      let nothing: [UInt8] = []
      return try perform(
        .read, Operands(offset: offset, length: UInt64(wanted)), payload: nothing.span, into: &destination
      ).value()
    }
    var done = 0
    while done < wanted {
      let length = min(wanted - done, Exchange.limit * Bounds.payload)
      let pieces = (length + Bounds.payload - 1) / Bounds.payload
      let nothing: [UInt8] = []
      let count: Int
      do {
        count = try perform(
          .read, Operands(offset: offset &+ UInt64(done), length: UInt64(length)), pieces: pieces,
          payload: nothing.span, into: &destination, at: done, room: min(length, Bounds.payload)
        ).consecutive(length)
      } catch {
        // As read(2): what was read before the error is told, the error by the next call.
        if done > 0, !error.isFinal { return done }
        throw error
      }
      done += count
      if count < length { break }
    }
    return done
  }

  /// Writes bytes of the object's range from `offset`.
  ///
  /// Disks: any length, in pieces of `Bounds.payload` bytes one after the other; ends with the first that fails, and
  /// tells how much was written before it. A piece that would cross the range's end writes nothing. Buses: one
  /// transaction of at most `Bounds.payload` bytes.
  public func write(_ bytes: Span<UInt8>, at offset: UInt64) throws(PosternError) -> Int {
    guard bytes.count <= Bounds.payload || facts.kind == .disk else { throw tooLong }
    var done = 0
    repeat {
      let part = bytes.extracting(done..<min(done + Bounds.payload, bytes.count))
      let count: Int
      do {
        count = try simple(
          .write, Operands(offset: offset &+ UInt64(done), length: UInt64(part.count)), payload: part)
      } catch {
        if done > 0, !error.isFinal { return done }
        throw error
      }
      done += count
      if count < part.count { break }
    } while done < bytes.count
    return done
  }

  /// Has what was written reach the medium (fsync(2)).
  public func flush() throws(PosternError) { _ = try simple(.flush) }

  /// Tells a disk that these bytes are not needed any more.
  public func discard(offset: UInt64, length: UInt64) throws(PosternError) {
    _ = try simple(.discard, Operands(offset: offset, length: length))
  }

  /// What the object says of itself; for disks 32 bytes: see PROTOCOL, `info`.
  public func info() throws(PosternError) -> [UInt8] { try bytes(.info, atMost: 4096) }

  /// Binds the socket where its definition says; done already at open, so this only shows that it is allowed.
  public func bind() throws(PosternError) { _ = try simple(.bind) }

  public func listen(backlog: UInt32) throws(PosternError) {
    _ = try simple(.listen, Operands(request: backlog))
  }

  /// The next connection.
  ///
  /// - Parameter nonblocking: do not wait; also so where O_NONBLOCK is set on `number`.
  /// - Returns: nil where none waits and it may not.
  public func accept(nonblocking: Bool) throws(PosternError) -> Accepted? {
    let nothing: [UInt8] = []
    var none: [UInt8] = []
    var empty = none.mutableSpan
    let outcome = try perform(
      .accept, flags: waiting(nonblocking), payload: nothing.span, into: &empty
    ).single()
    guard try outcome.valueUnlessBusy() != nil else { return nil }
    guard let descriptor = outcome.descriptor?.take() else { throw .violation(.badCount) }
    return Accepted(descriptor: descriptor, peer: outcome.address)
  }

  public func connect(to address: NetworkAddress) throws(PosternError) {
    _ = try simple(.connect, Operands(address: address))
  }

  /// Sends one datagram, to `address` or to the connected peer.
  ///
  /// - Parameter nonblocking: do not wait for room; also so where O_NONBLOCK is set on `number`.
  /// - Returns: bytes sent; nil where it would have to wait and may not.
  public func send(
    _ bytes: Span<UInt8>, to address: NetworkAddress?, nonblocking: Bool
  ) throws(PosternError) -> Int? {
    guard bytes.count <= Bounds.payload else { throw tooLong }
    var none: [UInt8] = []
    var empty = none.mutableSpan
    return try perform(
      .send, flags: waiting(nonblocking), Operands(length: UInt64(bytes.count), address: address), payload: bytes,
      into: &empty
    ).single().valueUnlessBusy()
  }

  /// Receives one datagram; what does not fit into `destination` is lost.
  ///
  /// - Parameter nonblocking: do not wait; also so where O_NONBLOCK is set on `number`.
  /// - Returns: nil where none waits and it may not.
  public func receive(
    into destination: inout MutableSpan<UInt8>, nonblocking: Bool
  ) throws(PosternError) -> Received? {
    let room = min(destination.count, Bounds.payload)
    let nothing: [UInt8] = []
    let outcome = try perform(
      .receive, flags: waiting(nonblocking), Operands(length: UInt64(room)), payload: nothing.span,
      into: &destination, room: room
    ).single()
    guard let length = try outcome.valueUnlessBusy() else { return nil }
    return Received(count: outcome.count, length: length, sender: outcome.address)
  }

  /// - Parameter how: 0, 1 or 2 as in shutdown(2).
  public func shutdown(how: UInt32) throws(PosternError) { _ = try simple(.shutdown, Operands(request: how)) }

  /// The option's value, at most 256 bytes (getsockopt(2)).
  public func getOption(level: UInt16, name: UInt16) throws(PosternError) -> [UInt8] {
    try bytes(.getoption, Operands(request: UInt32(level) << 16 | UInt32(name)), atMost: 256)
  }

  public func setOption(level: UInt16, name: UInt16, _ value: Span<UInt8>) throws(PosternError) {
    guard value.count <= Bounds.payload else { throw tooLong }
    _ = try simple(
      .setoption, Operands(length: UInt64(value.count), request: UInt32(level) << 16 | UInt32(name)),
      payload: value)
  }

  /// One bus transaction: writes `bytes`, then reads as many as `destination` has room for.
  ///
  /// - Returns: how many were read.
  public func transfer(_ bytes: Span<UInt8>, into destination: inout MutableSpan<UInt8>) throws(PosternError) -> Int {
    guard bytes.count <= Bounds.payload, destination.count <= Bounds.payload else { throw tooLong }
    return try perform(
      .transfer, Operands(length: UInt64(destination.count)), payload: bytes, into: &destination
    ).value()
  }

  /// A device request from the object's allow-list (ioctl(2)).
  ///
  /// - Parameters:
  ///   - argument: what the request reads; empty where it reads nothing.
  ///   - destination: what it writes.
  public func control(
    _ request: UInt32, argument: Span<UInt8>, into destination: inout MutableSpan<UInt8>
  ) throws(PosternError) -> Int {
    guard argument.count <= Bounds.payload, destination.count <= Bounds.payload else { throw tooLong }
    return try perform(
      .control, Operands(length: UInt64(destination.count), request: request), payload: argument,
      into: &destination
    ).value()
  }

  /// Waits for an event of the object (a GPIO edge) and reads it.
  ///
  /// - Returns: bytes stored; nil where there is none and it may not wait.
  public func wait(
    into destination: inout MutableSpan<UInt8>, nonblocking: Bool
  ) throws(PosternError) -> Int? {
    guard destination.count <= Bounds.payload else { throw tooLong }
    let nothing: [UInt8] = []
    let outcome = try perform(
      .wait, flags: waiting(nonblocking), Operands(length: UInt64(destination.count)),
      payload: nothing.span, into: &destination
    ).single()
    return try outcome.valueUnlessBusy() == nil ? nil : outcome.count
  }

  private var tooLong: PosternError {
    .usage(errno: SystemError.messageSize, text: "at most \(Bounds.payload) bytes go in one instruction")
  }

  private func waiting(_ nonblocking: Bool) -> InstructionFlags {
    nonblocking || socket.isNonblocking ? [.nonblocking, .wantReadiness] : []
  }

  private func simple(_ opcode: Opcode, _ operands: Operands = Operands()) throws(PosternError) -> Int {
    let nothing: [UInt8] = []
    return try simple(opcode, operands, payload: nothing.span)
  }

  private func simple(_ opcode: Opcode, _ operands: Operands, payload: Span<UInt8>) throws(PosternError) -> Int {
    var none: [UInt8] = []
    var empty = none.mutableSpan
    return try perform(opcode, operands, payload: payload, into: &empty).value()
  }

  private func bytes(
    _ opcode: Opcode, _ operands: Operands = Operands(), atMost limit: Int
  ) throws(PosternError) -> [UInt8] {
    var operands = operands
    operands.length = UInt64(limit)
    var bytes = [UInt8](repeating: 0, count: limit)
    let nothing: [UInt8] = []
    var destination = bytes.mutableSpan
    let outcome = try perform(opcode, operands, payload: nothing.span, into: &destination).single()
    _ = try outcome.value()
    bytes.removeLast(limit - outcome.count)
    return bytes
  }
}

extension Exchange {
  /// The outcome of an exchange of one instruction that has ended.
  func single() throws(PosternError) -> Outcome {
    guard let outcome = outcomes[0] else { throw .violation(.badCount) }
    return outcome
  }

  func value() throws(PosternError) -> Int { try single().value() }

  /// Bytes read without a gap, of `length` in pieces; what came after a short piece does not count.
  func consecutive(_ length: Int) throws(PosternError) -> Int {
    var total = 0
    for index in 0..<count {
      guard let outcome = outcomes[index] else { throw .violation(.badCount) }
      if total > 0, outcome.result < 0 { return total }
      let got = try outcome.value()
      total += got
      if got < min(Bounds.payload, length - index * Bounds.payload) { break }
    }
    return total
  }
}
