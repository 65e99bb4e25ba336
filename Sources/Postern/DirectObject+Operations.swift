import Authority
import Instructions
import Linux
import Wire

extension DirectObject {
  /// pread(2), or read(2) where bytes have no positions. A disk is read until everything is there or it ends; an error
  /// after some bytes is told by the next call. Of anything else one system call's worth.
  public func read(into destination: inout MutableSpan<UInt8>, at offset: UInt64) throws(PosternError) -> Int {
    // Of length 0 at the end and past it, which the kernel checks all the same.
    let wanted = Int(clamping: min(UInt64(destination.count), room(after: offset)))
    var attempt = try Attempt(self, .read)
    var done = 0
    while true {
      do throws(SystemError) {
        let count = try descriptor.read(
          into: &destination, from: done, count: wanted - done, at: offset.saturatingAdd(done))
        done += count
        if count == 0 || done == wanted || kind != .disk { return done }
      } catch {
        if done > 0 { return done }
        try attempt.recover(from: error)
      }
    }
  }

  /// Bytes come one after the other and have no positions, as on a tty.
  public var isLine: Bool { kind == .bus && !descriptor.isSeekable }

  /// Reads what arrives on a line within so many nanoseconds, until `destination` is full or the line has hung up.
  public func readArriving(
    into destination: inout MutableSpan<UInt8>, within patience: UInt64
  ) throws(PosternError) -> Int {
    let deadline = Clock.monotonic() &+ patience
    var attempt = try Attempt(self, .read)
    var done = 0
    while done < destination.count {
      let now = Clock.monotonic()
      guard now < deadline else { break }
      do throws(SystemError) {
        guard try descriptor.waitReadable(milliseconds: Int32(clamping: (deadline - now) / 1_000_000 + 1)) else {
          break
        }
        let count = try descriptor.read(into: &destination, from: done, count: destination.count - done, at: 0)
        guard count > 0 else { break }
        done += count
      } catch {
        // Another reader of the line was faster.
        if error.errno == SystemError.wouldBlock { continue }
        if done > 0 { break }
        try attempt.recover(from: error)
      }
    }
    return done
  }

  /// pwrite(2), or write(2) where bytes have no positions. A disk is written until everything is there; an error after
  /// some bytes is told by the next call.
  ///
  /// What would cross a disk's end is refused with `limit`, and nothing is written.
  public func write(_ bytes: Span<UInt8>, at offset: UInt64) throws(PosternError) -> Int {
    var attempt = try Attempt(self, .write)
    guard UInt64(bytes.count) <= room(after: offset) else {
      guard kind == .disk else { throw .failed(errno: SystemError.invalidArgument, text: "") }
      throw .refused(Refusal(.limit), errno: Reason.limit.errno)
    }
    var done = 0
    while true {
      do throws(SystemError) {
        let count = try descriptor.write(bytes.extracting(droppingFirst: done), at: offset.saturatingAdd(done))
        done += count
        if count == 0 || done == bytes.count || kind != .disk { return done }
      } catch {
        if done > 0 { return done }
        try attempt.recover(from: error)
      }
    }
  }

  /// Bytes of the range from `offset`; without a range as many as one likes.
  private func room(after offset: UInt64) -> UInt64 {
    guard rangeLength > 0 else { return .max }
    return offset < rangeLength ? rangeLength - offset : 0
  }

  /// fsync(2), which the kernel does not check.
  public func flush() throws(PosternError) {
    try call(.flush) { (descriptor) throws(SystemError) in try descriptor.synchronize() }
  }

  public func discard(offset: UInt64, length: UInt64) throws(PosternError) {
    guard length <= room(after: offset) else { throw .refused(Refusal(.limit), errno: Reason.limit.errno) }
    guard length > 0 else { return }
    try call(.discard) { (descriptor) throws(SystemError) in try descriptor.discard(at: offset, length: length) }
  }

  /// The same bytes as on the path mediated; read-only is what the descriptor was opened for.
  public func info() throws(PosternError) -> [UInt8] {
    let length = rangeLength
    return try call(.info) { (descriptor) throws(SystemError) in
      var information: DiskInformation
      if descriptor.kind == .blockDevice {
        let device = try descriptor.blockGeometry()
        information = DiskInformation(
          size: length > 0 ? length : device.size, blockSize: device.logicalBlock,
          physicalBlockSize: device.physicalBlock, flags: .blockDevice)
        if device.isRotational { information.flags.insert(.rotational) }
      } else {
        let status = try descriptor.status()
        information = DiskInformation(
          size: length > 0 ? length : status.size, blockSize: 1, physicalBlockSize: status.blockSize, flags: [])
      }
      if descriptor.isReadOnly { information.flags.insert(.readOnly) }
      return information.bytes
    }
  }

  /// bind(2) to where the socket is bound already, so that the kernel's check answers.
  public func bind() throws(PosternError) {
    try call(.bind) { (descriptor) throws(SystemError) in try descriptor.bindAgain() }
  }

  public func listen(backlog: UInt32) throws(PosternError) {
    try call(.listen) { (descriptor) throws(SystemError) in try descriptor.listen(backlog: Int32(clamping: backlog)) }
  }

  /// - Parameter nonblocking: on a descriptor without O_NONBLOCK it is looked first whether one waits; where another
  ///   thread or process takes it meanwhile, this waits all the same.
  public func accept(nonblocking: Bool) throws(PosternError) -> Accepted? {
    var attempt = try Attempt(self, .accept)
    while true {
      do throws(SystemError) {
        if nonblocking, !descriptor.isNonblocking, try !descriptor.waitReadable(milliseconds: 0) { return nil }
        switch try descriptor.accept() {
        case .accepted(let connection, let peer): return Accepted(descriptor: connection, peer: peer)
        case .wouldBlock: return nil
        }
      } catch { try attempt.recover(from: error) }
    }
  }

  public func connect(to address: NetworkAddress) throws(PosternError) {
    try call(.connect) { (descriptor) throws(SystemError) in try descriptor.connect(to: address) }
  }

  public func send(
    _ bytes: Span<UInt8>, to address: NetworkAddress?, nonblocking: Bool
  ) throws(PosternError) -> Int? {
    var attempt = try Attempt(self, .send)
    while true {
      do throws(SystemError) {
        return try descriptor.send(bytes, to: address, nonblocking: nonblocking)
      } catch { try attempt.recover(from: error) }
    }
  }

  /// Also of a stream; its end is a message of no bytes.
  public func receive(
    into destination: inout MutableSpan<UInt8>, nonblocking: Bool
  ) throws(PosternError) -> Received? {
    var attempt = try Attempt(self, .receive)
    while true {
      do throws(SystemError) {
        switch try descriptor.receive(into: &destination, nonblocking: nonblocking) {
        case .received(let length, let sender):
          return Received(count: min(length, destination.count), length: length, sender: sender)
        case .wouldBlock: return nil
        }
      } catch { try attempt.recover(from: error) }
    }
  }

  public func shutdown(how: UInt32) throws(PosternError) {
    try call(.shutdown) { (descriptor) throws(SystemError) in try descriptor.shutdown(how: Int32(clamping: how)) }
  }

  public func getOption(level: UInt16, name: UInt16) throws(PosternError) -> [UInt8] {
    try call(.getoption) { (descriptor) throws(SystemError) in
      try descriptor.getOption(level: Int32(level), name: Int32(name), upTo: 256)
    }
  }

  public func setOption(level: UInt16, name: UInt16, _ value: Span<UInt8>) throws(PosternError) {
    var attempt = try Attempt(self, .setoption)
    while true {
      do throws(SystemError) {
        return try descriptor.setOption(level: Int32(level), name: Int32(name), value)
      } catch { try attempt.recover(from: error) }
    }
  }

  /// Not on this path: an object that knows it is never given out directly.
  public func transfer(_ bytes: Span<UInt8>, into destination: inout MutableSpan<UInt8>) throws(PosternError) -> Int {
    throw .failed(errno: SystemError.notSupported, text: "transfer is not supported on the path direct")
  }

  public func control(
    _ request: UInt32, argument: Span<UInt8>, into destination: inout MutableSpan<UInt8>
  ) throws(PosternError) -> Int {
    let input = (0..<argument.count).map { argument[$0] }
    guard let form = BusControl(request: request)?.argument else {
      throw .usage(errno: SystemError.invalidArgument, text: "a device request that is not known")
    }
    switch form {
    case .none, .value:
      guard input.count == (form == .none ? 0 : 4) else { throw Self.wrongSize }
      let value = input.reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
      return try call(.control) { (descriptor) throws(SystemError) in try descriptor.control(request, value: value) }
    case .structure(let size, let isInput, let isOutput):
      guard input.count == (isInput ? size : 0), !isOutput || destination.count >= size else { throw Self.wrongSize }
      let (result, structure) = try call(.control) { (descriptor) throws(SystemError) in
        try descriptor.control(request, size: size, input: input)
      }
      if isOutput { for index in 0..<size { destination[index] = structure[index] } }
      return result
    case .usbControl, .usbBulk:
      throw .usage(errno: SystemError.notSupported, text: "a request with a pointer is not for the path direct")
    }
  }

  private static var wrongSize: PosternError {
    .usage(errno: SystemError.invalidArgument, text: "the argument has not the size of that request")
  }

  /// poll(2) for input, which the kernel does not check; nothing is stored.
  public func wait(into destination: inout MutableSpan<UInt8>, nonblocking: Bool) throws(PosternError) -> Int? {
    let milliseconds: Int32 = nonblocking || descriptor.isNonblocking ? 0 : -1
    return try call(.wait) { (descriptor) throws(SystemError) in
      try descriptor.waitReadable(milliseconds: milliseconds) ? 0 : nil
    }
  }

  /// Makes a system call, and once more after a revalidation.
  private func call<Value>(
    _ opcode: Opcode, _ body: (DirectDescriptor) throws(SystemError) -> Value
  ) throws(PosternError) -> Value {
    var attempt = try Attempt(self, opcode)
    while true {
      do throws(SystemError) { return try body(descriptor) } catch { try attempt.recover(from: error) }
    }
  }
}

extension UInt64 {
  /// The sum, or the largest number: which no file reaches.
  fileprivate func saturatingAdd(_ count: Int) -> UInt64 {
    let (sum, overflow) = addingReportingOverflow(UInt64(count))
    return overflow ? .max : sum
  }
}
