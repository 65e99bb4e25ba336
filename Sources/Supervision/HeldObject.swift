import Authority
import Instructions
import Linux

/// What a process has of an object that was handed over, looked for in its descriptors.
enum HeldObject {
  enum Look: Sendable, Hashable {
    /// Every descriptor was looked at.
    case done
    /// The process, or one of its descriptors, cannot be looked at.
    case unable(String)
  }

  /// Calls `found` with each of the process's sockets that is the object; a copy of the descriptor.
  static func sockets(
    _ specification: SocketSpecification, network: UInt64?, in pid: Int32,
    _ found: (borrowing Descriptor, SocketDescription) -> Void
  ) -> Look {
    do throws(SystemError) {
      let process = try ProcessPin.handle(of: pid)
      for number in try ProcessDescriptors.numbers(of: pid) where ProcessDescriptors.isSocket(number, of: pid) {
        let socket: Descriptor
        do { socket = try ProcessDescriptors.fetch(number, from: process) } catch {
          // Closed since.
          if error.errno == ErrorCode.badDescriptor { continue }
          throw error
        }
        let description = try SocketDescription(of: socket)
        guard description.network == network, isObject(specification, description, isConnected: socket.isConnected)
        else { continue }
        found(socket, description)
      }
      return .done
    } catch { return ended(error) ? .done : .unable("process \(pid) cannot be looked at: \(error)") }
  }

  /// Whether the process has the device or file open.
  static func hasOpen(_ path: String, in pid: Int32) -> Result<Bool, SystemError> {
    guard let device = DeviceIdentity(path: path) else { return .success(false) }
    do throws(SystemError) {
      let numbers = try ProcessDescriptors.numbers(of: pid)
      return .success(numbers.contains { ProcessDescriptors.leads($0, of: pid, to: device) })
    } catch { return ended(error) ? .success(false) : .failure(error) }
  }

  private static func ended(_ error: SystemError) -> Bool {
    error.errno == ErrorCode.noSuchEntry || error.errno == ErrorCode.noSuchProcess
  }

  /// Connections that were accepted have the same address, but a peer: they are the application's own.
  private static func isObject(
    _ specification: SocketSpecification, _ socket: SocketDescription, isConnected: Bool
  ) -> Bool {
    switch specification.endpoint {
    case .tcp(let address):
      return socket.isStream && socket.isTCP && socket.address == address && !isConnected
    case .udp(let address): return socket.isDatagram && socket.ipProtocol == 17 && socket.address == address
    case .unix(let path):
      return socket.isUnix && !isConnected && socket.lastComponent == SocketName.lastComponent(path)
    case .raw(let family, let number):
      return socket.isInternet(family, mapped: false) && socket.isRaw && socket.ipProtocol == Int32(number)
    case .packet: return socket.isPacket
    }
  }
}
