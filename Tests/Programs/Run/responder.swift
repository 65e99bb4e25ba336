// Answers each HTTP request on a port with "static". Usage: responder PORT
import Glibc

let port = CommandLine.arguments.count == 2 ? UInt16(CommandLine.arguments[1]) ?? 0 : 0
let listening = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
var one: Int32 = 1
setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
var address = sockaddr_in()
address.sin_family = sa_family_t(AF_INET)
address.sin_port = port.bigEndian
let bound = withUnsafeBytes(of: &address) { bytes in
  bind(listening, bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
}
guard bound == 0 else {
  perror("bind")
  exit(1)
}
guard listen(listening, 16) == 0 else {
  perror("listen")
  exit(1)
}
let answer = Array("HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\nstatic\n".utf8)
var request = [UInt8](repeating: 0, count: 4096)
while true {
  let connection = accept(listening, nil, nil)
  guard connection >= 0 else { continue }
  _ = read(connection, &request, request.count)
  _ = write(connection, answer, answer.count)
  close(connection)
}
