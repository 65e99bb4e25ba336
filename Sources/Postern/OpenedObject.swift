import Instructions
import Linux

/// An object that `PosternConnection.open` opened, on whatever path its operations travel: a `Channel` (mediated) or a
/// `DirectObject` (direct). The calls are the same, and so is what they answer, but for what each says.
///
/// Thread-safe: any number of threads may call at once. Fork-safe: a forked child may go on with it; what it may do there
/// is for the broker to say. The descriptor is close-on-exec, and closed with the last reference.
///
/// Each operation throws `refused` where the check said no, `failed` where it was allowed and the object failed.
public protocol OpenedObject: AnyObject, Sendable {
  /// The object's name as it was opened.
  var object: String { get }
  /// The descriptor, for poll(2); -1 once closed. On the path direct it is the object's own: plain system calls on it
  /// are checked by the kernel like those made here.
  var number: Int32 { get }
  /// What the broker told when it gave the object out or revalidated it.
  var facts: ChannelFacts { get }

  /// Closes the descriptor now. Calls that threads are blocked in go on, as with close(2).
  ///
  /// - Throws: `usage(EBADF)` where the application has closed the number itself.
  func close() throws(PosternError)

  /// Asks the broker to associate this process with the object again (in a forked child: for the first time).
  ///
  /// Done by itself when an operation is refused with `not-associated` or `expired`, unless that is switched off.
  ///
  /// - Throws: `refused` with the policy's message: the second error.
  func revalidate() throws(PosternError)

  /// Reads bytes of the object's range from `offset`; fewer at its end, 0 beyond it.
  func read(into destination: inout MutableSpan<UInt8>, at offset: UInt64) throws(PosternError) -> Int
  /// Writes bytes of the object's range from `offset`; what would cross a disk's end is refused with `limit`.
  func write(_ bytes: Span<UInt8>, at offset: UInt64) throws(PosternError) -> Int
  /// Has what was written reach the medium.
  func flush() throws(PosternError)
  /// Tells a disk that these bytes are not needed any more.
  func discard(offset: UInt64, length: UInt64) throws(PosternError)
  /// What the object says of itself; for disks the bytes of a `DiskInformation`.
  func info() throws(PosternError) -> [UInt8]

  /// Binds the socket where its definition says; done already at open, so this only shows that it is allowed.
  func bind() throws(PosternError)
  func listen(backlog: UInt32) throws(PosternError)
  /// The next connection.
  ///
  /// - Parameter nonblocking: do not wait; also so where O_NONBLOCK is set on `number`.
  /// - Returns: nil where none waits and it may not.
  func accept(nonblocking: Bool) throws(PosternError) -> Accepted?
  func connect(to address: NetworkAddress) throws(PosternError)
  /// Sends one datagram, to `address` or to the connected peer.
  ///
  /// - Parameter nonblocking: do not wait for room; also so where O_NONBLOCK is set on `number`.
  /// - Returns: bytes sent; nil where it would have to wait and may not.
  func send(_ bytes: Span<UInt8>, to address: NetworkAddress?, nonblocking: Bool) throws(PosternError) -> Int?
  /// Receives one datagram; what does not fit into `destination` is lost.
  ///
  /// - Parameter nonblocking: do not wait; also so where O_NONBLOCK is set on `number`.
  /// - Returns: nil where none waits and it may not.
  func receive(into destination: inout MutableSpan<UInt8>, nonblocking: Bool) throws(PosternError) -> Received?
  /// - Parameter how: 0, 1 or 2 as in shutdown(2).
  func shutdown(how: UInt32) throws(PosternError)
  /// The option's value, at most 256 bytes (getsockopt(2)).
  func getOption(level: UInt16, name: UInt16) throws(PosternError) -> [UInt8]
  func setOption(level: UInt16, name: UInt16, _ value: Span<UInt8>) throws(PosternError)

  /// One bus transaction: writes `bytes`, then reads as many as `destination` has room for.
  ///
  /// - Returns: how many were read.
  func transfer(_ bytes: Span<UInt8>, into destination: inout MutableSpan<UInt8>) throws(PosternError) -> Int
  /// A device request from the object's allow-list (ioctl(2)).
  ///
  /// - Parameters:
  ///   - argument: what the request reads; empty where it reads nothing.
  ///   - destination: what it writes.
  func control(
    _ request: UInt32, argument: Span<UInt8>, into destination: inout MutableSpan<UInt8>
  ) throws(PosternError) -> Int
  /// Waits for an event of the object (a GPIO edge) and reads it; where events have no bytes, until there is something to
  /// read.
  ///
  /// - Returns: bytes stored; nil where there is none and it may not wait.
  func wait(into destination: inout MutableSpan<UInt8>, nonblocking: Bool) throws(PosternError) -> Int?

  /// Takes instructions whose completions are collected later.
  ///
  /// - Returns: how many were taken; fewer than given where completions must be collected first.
  /// - Throws: `usage` where the first one is malformed; nothing was done then.
  func submit(_ submissions: [Submission]) throws(PosternError) -> Int
  /// Collects completions of submitted instructions, in the order in which they ended.
  ///
  /// - Parameter blocking: wait until there is one; not so where nothing was submitted.
  /// - Returns: at most `capacity`; none where none has come.
  func complete(atMost capacity: Int, blocking: Bool) throws(PosternError) -> [Completion]
}

extension OpenedObject {
  public func read(into destination: inout MutableSpan<UInt8>) throws(PosternError) -> Int {
    try read(into: &destination, at: 0)
  }

  public func write(_ bytes: Span<UInt8>) throws(PosternError) -> Int { try write(bytes, at: 0) }

  public func listen() throws(PosternError) { try listen(backlog: 128) }

  public func accept() throws(PosternError) -> Accepted? { try accept(nonblocking: false) }

  public func send(_ bytes: Span<UInt8>, to address: NetworkAddress? = nil) throws(PosternError) -> Int? {
    try send(bytes, to: address, nonblocking: false)
  }

  public func send(_ bytes: Span<UInt8>, nonblocking: Bool) throws(PosternError) -> Int? {
    try send(bytes, to: nil, nonblocking: nonblocking)
  }

  public func receive(into destination: inout MutableSpan<UInt8>) throws(PosternError) -> Received? {
    try receive(into: &destination, nonblocking: false)
  }

  public func wait(into destination: inout MutableSpan<UInt8>) throws(PosternError) -> Int? {
    try wait(into: &destination, nonblocking: false)
  }

  public func complete(atMost capacity: Int) throws(PosternError) -> [Completion] {
    try complete(atMost: capacity, blocking: false)
  }
}

/// A connection that a listener accepted: the application's own descriptor, close-on-exec.
public struct Accepted: ~Copyable {
  public var descriptor: Descriptor
  /// nil where the family has none (unix).
  public let peer: NetworkAddress?

  /// Gives the number away; the caller closes it.
  public consuming func release() -> Int32 { descriptor.release() }
}

/// What `receive` got.
public struct Received: Sendable, Hashable {
  /// Bytes that were stored.
  public var count: Int
  /// Bytes that the datagram had; where more than `count`, the rest is lost.
  public var length: Int
  public var sender: NetworkAddress?
}
