import CLinux
import Glibc

/// What a descriptor is ready for (epoll_ctl(2)).
public struct PollEvents: OptionSet, Sendable, Hashable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  public static let readable = PollEvents(rawValue: 0x001)
  public static let writable = PollEvents(rawValue: 0x004)
  public static let error = PollEvents(rawValue: 0x008)
  public static let hangUp = PollEvents(rawValue: 0x010)
  public static let peerClosed = PollEvents(rawValue: 0x2000)
  /// Report once, then stay silent until armed again.
  public static let oneShot = PollEvents(rawValue: 1 << 30)
  public static let edgeTriggered = PollEvents(rawValue: 1 << 31)
}

/// An epoll instance whose members are told apart by a token that the caller chooses.
public struct Epoll: ~Copyable, Sendable {
  public let descriptor: Descriptor

  public struct Event: Sendable {
    public var token: UInt64
    public var events: PollEvents
  }

  public init() throws(SystemError) {
    descriptor = Descriptor(
      adopting: Int32(try retrying("epoll_create1") { Int(epoll_create1(Int32(EPOLL_CLOEXEC))) }))
  }

  public borrowing func add(_ fd: Int32, _ events: PollEvents, token: UInt64) throws(SystemError) {
    try control(EPOLL_CTL_ADD, fd, events, token)
  }

  public borrowing func modify(_ fd: Int32, _ events: PollEvents, token: UInt64) throws(SystemError) {
    try control(EPOLL_CTL_MOD, fd, events, token)
  }

  public borrowing func remove(_ fd: Int32) throws(SystemError) {
    try control(EPOLL_CTL_DEL, fd, [], 0)
  }

  private borrowing func control(_ operation: Int32, _ fd: Int32, _ events: PollEvents, _ token: UInt64)
    throws(SystemError)
  {
    var event = unsafe epoll_event(events: events.rawValue, data: epoll_data_t(u64: token))
    let instance = descriptor.rawValue
    _ = try retrying("epoll_ctl") {
      // SAFETY: the event is read during the call only.
      unsafe Int(epoll_ctl(instance, operation, fd, &event))
    }
  }

  /// Waits until a member is ready or `timeoutMilliseconds` have passed (-1: for ever); replaces `events`.
  ///
  /// A signal ends the wait with no events.
  public borrowing func wait(into events: borrowing EventList, timeoutMilliseconds: Int32) throws(SystemError) {
    // SAFETY: the kernel fills at most as many entries as the list has.
    let count = unsafe clinux_epoll_wait(
      descriptor.rawValue, events.storage.baseAddress, Int32(events.storage.count), timeoutMilliseconds)
    // SAFETY: the list's own memory, which lives as long as the list.
    unsafe events.filled.pointee = max(Int(count), 0)
    if count < 0 {
      let code = errno
      if code == EINTR { return }
      throw SystemError(errno: code, operation: "epoll_wait")
    }
  }

  /// Room for the events of one wait; kept between waits so that none allocates.
  ///
  /// One thread waits with it and reads it. It has memory of its own, so that whoever keeps it need not be mutated, and
  /// the access to it tracked, several times for every message.
  @safe public struct EventList: ~Copyable {
    fileprivate let storage: UnsafeMutableBufferPointer<epoll_event>
    fileprivate let filled: UnsafeMutablePointer<Int>

    public init(capacity: Int = 128) {
      // SAFETY: both are initialized at once, with trivial values; nothing reads a union before epoll_wait(2) filled it.
      unsafe storage = .allocate(capacity: capacity)
      unsafe storage.initialize(repeating: epoll_event())
      unsafe filled = .allocate(capacity: 1)
      unsafe filled.initialize(to: 0)
    }

    deinit {
      // SAFETY: allocated in init, never given away; trivial values need no deinitializing.
      unsafe storage.deallocate()
      unsafe filled.deallocate()
    }

    // SAFETY: initialized in init.
    public var count: Int { unsafe filled.pointee }

    public subscript(index: Int) -> Event {
      precondition(index >= 0 && index < count)
      // SAFETY: in bounds; the union was filled through its u64 member in `control`.
      return unsafe Event(token: storage[index].data.u64, events: PollEvents(rawValue: storage[index].events))
    }
  }
}

/// poll(2) on one descriptor: true where it is readable, has an error or was hung up.
public func isReadable(_ fd: Int32, timeoutMilliseconds: Int32 = 0) throws(SystemError) -> Bool {
  var entry = pollfd(fd: fd, events: Int16(POLLIN), revents: 0)
  return try retrying("poll") {
    // SAFETY: one entry is passed and counted.
    unsafe Int(poll(&entry, 1, timeoutMilliseconds))
  } > 0
}
