import Instructions
import Linux
import Wire

/// A greeted control connection while one thread has it.
struct Session {
  let socket: ClientDescriptor
  var welcome: Welcome
  var requestID: UInt64

  struct Answer: ~Copyable {
    let reply: Reply
    var descriptor: Descriptor?

    consuming func takeDescriptor() -> Descriptor? { descriptor.take() }
  }

  init(socket: ClientDescriptor, welcome: Welcome, requestID: UInt64) {
    self.socket = socket
    self.welcome = welcome
    self.requestID = requestID
  }

  /// - Parameter timeoutMilliseconds: where it is not 0 a broker that is silent for so long counts as gone.
  init(path: String, client: String, requestID: UInt64, timeoutMilliseconds: Int32 = 0) throws(PosternError) {
    do {
      socket = try ClientDescriptor(
        MessageSocket.connect(to: path, timeoutMilliseconds: timeoutMilliseconds), inChild: .closed)
    } catch {
      throw .unreachable(error)
    }
    welcome = Welcome(broker: "", features: [], admin: false)
    self.requestID = requestID
    let answer = try ask(.hello(Hello(client: client)))
    guard case .welcome(let welcome) = answer.reply else { throw .violation(.unknownType) }
    self.welcome = welcome
  }

  /// Sends a request and waits for its first reply; `refused` and `failed` are thrown.
  mutating func ask(_ request: Request, descriptor: Int32? = nil) throws(PosternError) -> Answer {
    requestID &+= 1
    // 0 is no request's number on the wire.
    if requestID == 0 { requestID = 1 }
    let bytes: [UInt8]
    do {
      bytes = try request.encode(id: requestID)
    } catch {
      throw .usage(errno: SystemError.invalidArgument, text: "a name or value is too long or not allowed: \(error)")
    }
    do {
      let nothing: [UInt8] = []
      _ = try socket.send(bytes.span, nothing.span, descriptor: descriptor, blocking: true)
    } catch {
      throw .disconnected(error)
    }
    return try nextReply()
  }

  /// Waits for a reply to the request last sent.
  func nextReply() throws(PosternError) -> Answer {
    var buffer = [UInt8](repeating: 0, count: Bounds.controlMessage)
    let availability: Availability<ReceivedReply>
    do {
      availability = try socket.receive(into: &buffer, blocking: true)
    } catch {
      throw .disconnected(error)
    }
    guard case .ready(var received) = availability, received.count > 0 else {
      throw .disconnected(SystemError(errno: SystemError.connectionReset, operation: "recvmsg"))
    }
    guard !received.truncated else { throw .violation(.oversized) }
    guard !received.lostDescriptors else {
      throw .failed(errno: SystemError.tooManyDescriptors, text: "this process can have no more descriptors")
    }
    let decoded: (id: UInt64, reply: Reply)
    do {
      decoded = try Reply.decode(buffer.span.extracting(first: received.count))
    } catch {
      throw .violation(error)
    }
    guard decoded.id == requestID else { throw .violation(.badValue(.requestID)) }
    guard received.remaining == decoded.reply.kind.descriptors else { throw .violation(.badCount) }
    switch decoded.reply {
    case .refused(let refused): throw .refused(refused.refusal, errno: refused.errno)
    case .failed(let failure): throw .failed(errno: failure.errno, text: failure.text)
    default: return Answer(reply: decoded.reply, descriptor: received.takeDescriptor())
    }
  }
}
