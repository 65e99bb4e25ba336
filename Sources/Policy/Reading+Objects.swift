import Authority
import Instructions
import Yams

extension Reading {
  func readObjects(_ node: Node, into draft: inout Draft) {
    for entry in entries(node, expected: "a mapping of object names to objects") ?? [] {
      guard isNew(entry, "object", in: &draft) else { continue }
      let named = isName(entry, of: "an object")
      if let object = object(entry), named {
        draft.objects.append(Located(value: object, place: entry.place))
      } else {
        draft.brokenObjects.insert(entry.name)
      }
    }
  }

  private func object(_ entry: Entry) -> ObjectDefinition? {
    let errorsBefore = errorCount
    guard let all = entries(entry.value, expected: "a mapping with the keys of an object") else { return nil }
    let place = place(entry.value)
    let kindEntry = all.first { $0.name == "kind" }
    guard let kindEntry else {
      error(entry.place, "object \"\(entry.name)\" needs the key \"kind\": socket, disk or bus")
      return nil
    }
    let kinds: KeyValuePairs<String, ObjectKind> = ["socket": .socket, "disk": .disk, "bus": .bus]
    guard let kind = word(kindEntry, kinds) else { return nil }
    let specification: ObjectSpecification?
    let fields: Fields
    switch kind {
    case .socket:
      fields = self.fields(
        all, at: place, of: "a socket",
        keys: ["kind", "listen", "connect", "send-to", "options", "network", "message"])
      specification = socket(fields, name: entry).map(ObjectSpecification.socket)
    case .disk:
      fields = self.fields(
        all, at: place, of: "a disk", keys: ["kind", "path", "range", "access", "exclusive", "message"])
      specification = disk(fields, name: entry).map(ObjectSpecification.disk)
    case .bus: (fields, specification) = bus(all, name: entry)
    }
    let message = message(fields["message"]) ?? ""
    guard let specification, errorCount == errorsBefore else { return nil }
    return ObjectDefinition(name: entry.name, specification: specification, message: message)
  }

  // MARK: Disks

  private func disk(_ fields: Fields, name: Entry) -> DiskSpecification? {
    require(fields, ["path"], of: "disk \"\(name.name)\"", at: name.place)
    let range = fields["range"].flatMap { self.range($0) }
    let access = access(fields["access"]) ?? .readOnly
    let exclusive = boolean(fields["exclusive"]) ?? false
    guard let path = objectPath(fields["path"]) else { return nil }
    return DiskSpecification(path: path, range: range, access: access, exclusive: exclusive)
  }

  func access(_ entry: Entry?) -> Access? {
    word(entry, ["read-only": Access.readOnly, "read-write": .readWrite])
  }

  /// `{ offset: bytes, length: bytes }`; offset is 0 where it is left out.
  func range(_ entry: Entry) -> ByteRange? {
    guard let fields = fields(entry.value, of: "a range", keys: ["offset", "length"]) else { return nil }
    let length = size(fields["length"])
    let offset = fields["offset"].map { size($0) } ?? 0
    guard let lengthEntry = fields["length"] else {
      error(fields.place, "a range needs the key \"length\"")
      return nil
    }
    guard let offset, let length else { return nil }
    guard length > 0 else {
      error(place(lengthEntry.value), "a range of length 0 holds nothing; expected at least 1 byte")
      return nil
    }
    let range = ByteRange(offset: offset, length: length)
    guard let end = range.end, end <= UInt64(Int64.max) else {
      error(place(lengthEntry.value), "the range ends beyond the largest offset (2^63 - 1)")
      return nil
    }
    return range
  }

  // MARK: Sockets

  private func socket(_ fields: Fields, name: Entry) -> SocketSpecification? {
    require(fields, ["listen"], of: "socket \"\(name.name)\"", at: name.place)
    let connect = addresses(fields["connect"]) ?? []
    let sendTo = addresses(fields["send-to"]) ?? []
    checkAddressCount(connect.count + sendTo.count, at: fields["send-to"] ?? fields["connect"])
    let options = options(fields["options"]) ?? []
    let network = network(fields["network"]) ?? .host
    guard let listen = fields["listen"], let endpoint = endpoint(listen) else { return nil }
    switch endpoint {
    case .unix, .packet:
      for key in ["connect", "send-to"] {
        guard let entry = fields[key] else { continue }
        error(entry.place, "\(key) lists IP destinations, which a unix or packet socket does not have")
      }
    case .tcp(let address), .udp(let address):
      if address.port == 0 {
        warn(place(listen.value), "port 0 lets the kernel choose a port that nobody knows")
      }
    case .raw: break
    }
    return SocketSpecification(
      endpoint: endpoint, connect: connect, sendTo: sendTo, options: options, network: network)
  }

  private func endpoint(_ entry: Entry) -> SocketSpecification.Endpoint? {
    let expected =
      "tcp://ADDRESS:PORT, udp://ADDRESS:PORT, unix:///PATH, raw://PROTOCOL or packet://INTERFACE"
    guard let text = text(entry.value, expected: expected) else { return nil }
    let here = place(entry.value)
    guard let separator = text.range(of: "://") else {
      error(here, "\"\(text)\" names no kind of socket; expected \(expected)")
      return nil
    }
    let scheme = String(text[..<separator.lowerBound])
    let rest = String(text[separator.upperBound...])
    switch scheme {
    case "tcp", "udp":
      guard let address = NetworkText.endpoint(rest) else {
        error(
          here, "\"\(rest)\" is no address with a port; expected 127.0.0.1:80 or [::1]:80 (names are not looked up)")
        return nil
      }
      return scheme == "tcp" ? .tcp(address) : .udp(address)
    case "unix":
      guard isPlainPath(rest, at: here, expected: "unix:///PATH, an absolute path") else { return nil }
      guard rest.utf8.count <= 107 else {
        error(here, "the path has \(rest.utf8.count) bytes; expected at most 107 (unix(7))")
        return nil
      }
      return isBrokerable(rest, at: here) ? .unix(path: rest) : nil
    case "raw":
      guard let endpoint = RawProtocolNames.endpoint(rest) else {
        error(
          here,
          "\"\(rest)\" is no IP protocol; expected a number from 1 to 255, ipv4/NUMBER, ipv6/NUMBER or one of: \(RawProtocolNames.names.joined(separator: ", "))"
        )
        return nil
      }
      return endpoint
    case "packet":
      let fine = (1...15).contains(rest.utf8.count) && rest != "." && rest != ".."
      guard fine, rest.unicodeScalars.allSatisfy({ $0.value > 0x20 && $0.value < 0x7F && $0 != "/" && $0 != ":" })
      else {
        error(here, "\"\(rest)\" is no interface name; expected up to 15 characters, such as packet://eth0")
        return nil
      }
      return .packet(interface: rest)
    default:
      let near = suggestion(for: scheme, among: ["tcp", "udp", "unix", "raw", "packet"])
      error(here, "\"\(scheme)\" is no kind of socket; \(near)")
      return nil
    }
  }

  func network(_ entry: Entry?) -> NetworkNamespace? {
    guard let entry, let text = text(entry.value, expected: "host or the path of a network namespace") else {
      return nil
    }
    if text == "host" { return .host }
    return isPlainPath(text, at: place(entry.value), expected: "host or the path of a network namespace")
      ? .path(text) : nil
  }

  func addresses(_ entry: Entry?) -> [AddressPattern]? {
    let expected = "a list of addresses such as [\"127.0.0.0/8\", \"10.0.0.1:53\", \"[::1]:53\"]"
    guard let entry, let nodes = items(entry.value, expected: expected) else { return nil }
    var patterns: [AddressPattern] = []
    for node in nodes {
      guard let text = text(node, expected: "an address such as 127.0.0.0/8 or [::1]:53") else { continue }
      do throws(NetworkText.PatternMistake) {
        let pattern = try NetworkText.pattern(text)
        if patterns.contains(pattern) { error(place(node), "\"\(text)\" stands twice in \(entry.name)") }
        patterns.append(pattern)
      } catch {
        self.error(place(node), "\"\(text)\" \(Reading.explanation(of: error))")
      }
    }
    return patterns
  }

  private static func explanation(of mistake: NetworkText.PatternMistake) -> String {
    switch mistake {
    case .syntax: "is no address; expected 10.0.0.1, 127.0.0.0/8, 10.0.0.1:53, [fe80::]/10 or [::1]:53-60"
    case .prefixLength(let maximum): "has a prefix that is too long; expected 0 to \(maximum)"
    case .hostBits: "has bits set beyond its prefix; expected the network's first address"
    case .ports: "has no valid port; expected a number from 0 to 65535 or FIRST-LAST"
    }
  }

  func checkAddressCount(_ count: Int, at entry: Entry?) {
    guard let entry, count > LimitSet.maximumAddresses else { return }
    error(entry.place, "\(count) addresses in connect and send-to; expected at most \(LimitSet.maximumAddresses)")
  }

  func options(_ entry: Entry?) -> [SocketOption]? {
    guard let entry, let nodes = items(entry.value, expected: "a list of options such as [SO_KEEPALIVE]") else {
      return nil
    }
    var options: [SocketOption] = []
    for node in nodes {
      guard let name = text(node, expected: "an option's name such as SO_KEEPALIVE") else { continue }
      guard let option = SocketOption(settable: name) else {
        let near = nearest(name, SocketOption.settableNames)
        error(place(node), "\"\(name)\" is no option that Postern passes on; \(near)")
        continue
      }
      if options.contains(option) { error(place(node), "\"\(name)\" stands twice in options") }
      options.append(option)
    }
    if options.count > LimitSet.maximumOptions {
      error(entry.place, "\(options.count) options; expected at most \(LimitSet.maximumOptions)")
    }
    return options
  }

  /// Like `suggestion`, for tables too long to be listed.
  func nearest(_ word: String, _ words: [String]) -> String {
    let text = suggestion(for: word, among: words)
    return text.hasPrefix("did") ? text : "see postern.yaml(5) for the names"
  }
}

extension Reading {
  func require(_ fields: Fields, _ keys: [String], of subject: String, at place: Place) {
    for key in keys where fields[key] == nil { error(place, "\(subject) needs the key \"\(key)\"") }
  }
}

extension String {
  /// Where `other` first occurs.
  func range(of other: String) -> Range<String.Index>? {
    var start = startIndex
    while start < endIndex {
      if self[start...].hasPrefix(other) { return start..<index(start, offsetBy: other.count) }
      start = index(after: start)
    }
    return nil
  }
}

/// IP protocols by name (IANA's protocol numbers).
enum RawProtocolNames {
  static let names = table.map(\.key)

  /// `icmp`, `89`, `ipv6/89`.
  static func endpoint(_ text: String) -> SocketSpecification.Endpoint? {
    if let (_, (family, number)) = table.first(where: { $0.key == text }) { return .raw(family, ipProtocol: number) }
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    let family: NetworkAddress.Family
    switch parts.count {
    case 1: family = .ipv4
    case 2 where parts[0] == "ipv4": family = .ipv4
    case 2 where parts[0] == "ipv6": family = .ipv6
    default: return nil
    }
    guard case .value(let number) = wholeNumber(parts[parts.count - 1]), (1...255).contains(number) else { return nil }
    return .raw(family, ipProtocol: UInt8(number))
  }

  private static let table: KeyValuePairs<String, (NetworkAddress.Family, UInt8)> = [
    "icmp": (.ipv4, 1), "igmp": (.ipv4, 2), "tcp": (.ipv4, 6), "udp": (.ipv4, 17), "gre": (.ipv4, 47),
    "esp": (.ipv4, 50), "ah": (.ipv4, 51), "icmpv6": (.ipv6, 58), "ospf": (.ipv4, 89), "pim": (.ipv4, 103),
    "vrrp": (.ipv4, 112), "sctp": (.ipv4, 132),
  ]
}
