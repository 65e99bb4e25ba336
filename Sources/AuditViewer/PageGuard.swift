/// Who gets an answer from the page's server: a browser of this machine that was given the token.
///
/// Every page on the net can have a browser send requests to this machine; what it cannot do is name the server as its
/// own host (DNS rebinding gives itself away there), know the token, or have the cookie sent from elsewhere.
public struct PageGuard: Sendable {
  /// What a request says of itself.
  public struct Request: Sendable {
    public var method: String
    public var path: String
    public var host: String?
    public var origin: String?
    public var cookie: String?
    public var authorization: String?
    /// The parameter `token`.
    public var token: String?

    public init(
      method: String, path: String, host: String?, origin: String? = nil, cookie: String? = nil,
      authorization: String? = nil, token: String? = nil
    ) {
      self.method = method
      self.path = path
      self.host = host
      self.origin = origin
      self.cookie = cookie
      self.authorization = authorization
      self.token = token
    }
  }

  public enum Verdict: Sendable, Hashable {
    case admitted
    /// The first visit: the token becomes a cookie and leaves the address.
    case welcomed(cookie: String)
    /// Only GET.
    case wrongMethod
    /// Another name than this machine's own, or another page's request.
    case wrongHost
    case stranger
  }

  /// Where the server listens.
  public enum Place: Sendable, Hashable {
    case port(UInt16)
    /// A unix socket, which a browser reaches through a port that somebody forwards to it.
    case socket
  }

  private let token: String
  private let place: Place

  /// - Parameter token: hexadecimal digits, 32 bytes of randomness.
  public init(token: String, place: Place) {
    self.token = token
    self.place = place
  }

  /// The address of the first visit.
  public var address: String {
    switch place {
    case .port(let port): "http://127.0.0.1:\(port)/?token=\(token)"
    case .socket: "http://localhost/?token=\(token)"
    }
  }

  /// Cookies know no ports: another server of this machine is not to overwrite ours.
  private var cookieName: String {
    switch place {
    case .port(let port): "postern_audit_\(port)"
    case .socket: "postern_audit_socket"
    }
  }

  /// Whether a request names this machine as its host.
  private func isOwn(_ host: String) -> Bool {
    switch place {
    case .port(let port): return ["127.0.0.1:\(port)", "localhost:\(port)"].contains(host)
    case .socket:
      let parts = host.split(separator: ":", omittingEmptySubsequences: false)
      return parts.count <= 2 && ["127.0.0.1", "localhost"].contains(parts[0])
        && (parts.count == 1 || UInt16(parts[1]) != nil)
    }
  }

  public func judge(_ request: Request) -> Verdict {
    guard request.method == "GET" else { return .wrongMethod }
    guard let host = request.host?.lowercased(), isOwn(host) else { return .wrongHost }
    if let origin = request.origin?.lowercased(), origin != "http://\(host)" { return .wrongHost }
    if let given = request.token, request.path == "/" {
      guard Self.isEqual(given, token) else { return .stranger }
      return .welcomed(cookie: "\(cookieName)=\(token); Path=/; HttpOnly; SameSite=Strict")
    }
    if let given = request.authorization, given.lowercased().hasPrefix("bearer ") {
      return Self.isEqual(String(given.dropFirst(7)), token) ? .admitted : .stranger
    }
    for pair in (request.cookie ?? "").split(separator: ";") {
      let parts = pair.split(separator: "=", maxSplits: 1).map { $0.filter { $0 != " " } }
      if parts.count == 2, parts[0] == cookieName, Self.isEqual(parts[1], token) { return .admitted }
    }
    return .stranger
  }

  /// Takes as long for every text of a length, so that time tells nothing of where the first difference is.
  static func isEqual(_ given: String, _ wanted: String) -> Bool {
    let (given, wanted) = (Array(given.utf8), Array(wanted.utf8))
    guard given.count == wanted.count else { return false }
    var difference: UInt8 = 0
    for index in wanted.indices { difference |= given[index] ^ wanted[index] }
    return difference == 0
  }

  /// What every answer says: nothing from elsewhere, nothing inline, in nobody's frame, and kept by nobody.
  public static let headers = [
    (
      "Content-Security-Policy",
      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        + "frame-ancestors 'none'"
    ),
    ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"), ("Cache-Control", "no-store"),
    ("Cross-Origin-Opener-Policy", "same-origin"), ("Cross-Origin-Resource-Policy", "same-origin"),
  ]
}
