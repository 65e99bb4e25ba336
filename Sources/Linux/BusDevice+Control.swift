import CLinux
import Glibc

extension BusDevice {
  /// An ioctl whose argument is a structure of `size` bytes without pointers, copied in and out.
  ///
  /// - Parameters:
  ///   - input: exactly `size` bytes, or none where the kernel only writes.
  ///   - isOutput: whether the structure is appended afterwards; `output` has room for it.
  /// - Returns: what ioctl(2) returned. Nothing is appended on an error.
  public func control(
    _ request: UInt32, size: Int, input: [UInt8], isOutput: Bool, into output: inout OutputRawSpan
  ) throws(SystemError) -> Int {
    guard input.isEmpty || input.count == size, !isOutput || output.freeCapacity >= size else { throw .invalid }
    var bytes = input.isEmpty ? [UInt8](repeating: 0, count: size) : input
    // SAFETY: the caller's table says that the request uses `size` bytes and has no pointer among them.
    let result = try unsafe control(request, &bytes)
    if isOutput { for byte in bytes { output.append(byte) } }
    return result
  }

  /// An ioctl whose argument is a number, or not used.
  public func control(_ request: UInt32, value: UInt32) throws(SystemError) -> Int {
    // SAFETY: the caller's table says that the request takes a number; it is never followed.
    try unsafe control(request, UnsafeMutableRawPointer(bitPattern: UInt(value)))
  }

  /// A transfer of the default pipe of a USB device (USBDEVFS_CONTROL).
  ///
  /// - Parameters:
  ///   - setup: the request; its direction says which way the data goes.
  ///   - data: exactly `setup.length` bytes on the way out, none on the way in.
  /// - Returns: bytes transferred; those that came in are appended.
  public func usbControl(
    _ setup: USBSetup, data: [UInt8], milliseconds: UInt32, into output: inout OutputRawSpan
  ) throws(SystemError) -> Int {
    guard data.count == (setup.isIn ? 0 : Int(setup.length)) else { throw .invalid }
    return try unsafe usbTransfer(data, length: Int(setup.length), isIn: setup.isIn, into: &output) {
      (buffer) throws(SystemError) in
      var transfer = unsafe usbdevfs_ctrltransfer(
        bRequestType: setup.requestType, bRequest: setup.request, wValue: setup.value, wIndex: setup.index,
        wLength: setup.length, timeout: milliseconds, data: buffer)
      // SAFETY: the buffer has `wLength` bytes and is ours.
      return try unsafe control(clinux_usb_control, &transfer)
    }
  }

  /// A bulk or interrupt transfer (USBDEVFS_BULK); bit 7 of the endpoint's address: in.
  public func usbBulk(
    endpoint: UInt32, length: Int, data: [UInt8], milliseconds: UInt32, into output: inout OutputRawSpan
  ) throws(SystemError) -> Int {
    let isIn = endpoint & 0x80 != 0
    guard data.count == (isIn ? 0 : length) else { throw .invalid }
    return try unsafe usbTransfer(data, length: length, isIn: isIn, into: &output) { (buffer) throws(SystemError) in
      var transfer = unsafe usbdevfs_bulktransfer(
        ep: endpoint, len: UInt32(length), timeout: milliseconds, data: buffer)
      // SAFETY: the buffer has `len` bytes and is ours.
      return try unsafe control(clinux_usb_bulk, &transfer)
    }
  }

  private func usbTransfer(
    _ data: [UInt8], length: Int, isIn: Bool, into output: inout OutputRawSpan,
    _ body: (UnsafeMutableRawPointer?) throws(SystemError) -> Int
  ) throws(SystemError) -> Int {
    guard !isIn || output.freeCapacity >= length else { throw .invalid }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: max(length, 1), alignment: 8)
    defer { unsafe buffer.deallocate() }
    // SAFETY: the buffer holds `length` bytes; `data` is no longer than that.
    unsafe buffer.initializeMemory(as: UInt8.self, repeating: 0)
    unsafe buffer.copyBytes(from: data)
    let count = try unsafe body(buffer.baseAddress)
    if isIn { for index in 0..<min(count, length) { unsafe output.append(buffer[index]) } }
    return count
  }
}

/// The setup packet of a USB control transfer.
public struct USBSetup: Sendable, Hashable {
  public var requestType: UInt8
  public var request: UInt8
  public var value: UInt16
  public var index: UInt16
  public var length: UInt16

  public init(requestType: UInt8, request: UInt8, value: UInt16, index: UInt16, length: UInt16) {
    self.requestType = requestType
    self.request = request
    self.value = value
    self.index = index
    self.length = length
  }

  /// Whether data comes from the device.
  public var isIn: Bool { requestType & 0x80 != 0 }
}

/// The control requests of the kernel's headers by name, for checking tables that have to be pure.
public enum KernelRequests {
  public static let all: [(name: String, request: UInt32)] = {
    // SAFETY: a constant table of constant strings.
    (0..<Int(clinux_bus_request_count)).map { index in
      unsafe (String(cString: clinux_bus_request_name(Int32(index))), clinux_bus_request_number(Int32(index)))
    }
  }()
}
