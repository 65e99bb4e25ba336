import Authority
import Policy
import Testing

@Suite struct GrantsMistakeTests {
  /// Objects, an application and the line `grants:`; the grants begin at line 10.
  static let base = """
    version: 1
    objects:
      disk: { kind: disk, path: /dev/loop0, range: { offset: 4096, length: 8192 } }
      rw: { kind: disk, path: /dev/loop1, access: read-write }
      web: { kind: socket, listen: "tcp://0.0.0.0:80" }
      dns: { kind: socket, listen: "udp://0.0.0.0:53", send-to: ["10.0.0.0/8:53"], options: [SO_MARK] }
      pad: { kind: bus, bus: hid, path: /dev/hidraw0, ioctls: [HIDIOCGRDESC] }
    applications:
      app: { user: alice }
    grants:

    """

  @Test func `a grant needs application, object and operations`() {
    let text =
      Self.base + #"""
          - { audit: all }

        """#
    #expect(
      lines(text) == [
        "p.yaml:11:5: error: a grant needs the key \"application\"",
        "p.yaml:11:5: error: a grant needs the key \"object\"",
        "p.yaml:11:5: error: a grant needs the key \"operations\"",
      ])
  }

  @Test func `unknown application and object name the nearest`() {
    let text =
      Self.base + #"""
          - { application: ap, object: dsik, operations: [read] }

        """#
    #expect(
      lines(text) == [
        "p.yaml:11:20: error: there is no application \"ap\"; did you mean \"app\"?",
        "p.yaml:11:32: error: there is no object \"dsik\"; did you mean \"disk\"?",
      ])
  }

  @Test func `an object that is wrong itself is not called unknown as well`() {
    let text =
      #"""
      version: 1
      objects:
        web: { kind: socket, listen: "tcp://x:80" }
      applications:
        app: { user: nobody-here }
      grants:
        - { application: app, object: web, operations: [accept] }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:32: error: \"x:80\" is no address with a port; expected 127.0.0.1:80 or [::1]:80 (names are not looked up)",
        "p.yaml:5:16: error: there is no user \"nobody-here\" on this machine; expected the name or number of a user",
      ])
  }

  @Test func `an unknown operation names the nearest`() {
    let text =
      Self.base + #"""
          - { application: app, object: disk, operations: [raed, info] }

        """#
    #expect(
      lines(text) == [
        "p.yaml:11:52: error: \"raed\" is no operation; did you mean \"read\"?"
      ])
  }

  @Test func `an operation that the kind does not know is a mistake at the operation`() {
    let text =
      Self.base + #"""
          - { application: app, object: disk, operations: [read, accept] }
          - { application: app, object: web, operations: [read] }

        """#
    #expect(
      lines(text) == [
        "p.yaml:11:58: error: a disk does not know \"accept\"; expected: read, write, flush, discard, info",
        "p.yaml:12:51: error: a socket does not know \"read\"; expected: bind, listen, accept, connect, send, receive, shutdown, getoption, setoption",
      ])
  }

  @Test func `an operation twice is a mistake`() {
    let text =
      Self.base + #"""
          - { application: app, object: disk, operations: [read, read] }

        """#
    #expect(
      lines(text) == [
        "p.yaml:11:58: error: \"read\" stands twice in operations"
      ])
  }

  @Test func `two grants for one application and object name both places`() {
    let text =
      Self.base + #"""
          - { application: app, object: disk, operations: [read] }
          - { application: app, object: web, operations: [accept] }
          - { application: app, object: disk, operations: [info] }

        """#
    #expect(
      lines(text) == [
        "p.yaml:13:5: error: a second grant for application \"app\" and object \"disk\"; first at p.yaml:11:5"
      ])
  }

  @Test func `a range that is not inside the object is a mistake`() {
    let text =
      Self.base + #"""
          - { application: app, object: disk, operations: [read], range: { offset: 0, length: 4096 } }

        """#
    #expect(
      lines(text) == [
        "p.yaml:11:66: error: the range is not inside that of \"disk\", offset 4096, length 8192 (both count from the device's start)"
      ])
  }

  @Test func `a range that ends beyond the object is a mistake`() {
    let text =
      Self.base + #"""
          - { application: app, object: disk, operations: [read], range: { offset: 8192, length: 4097 } }

        """#
    #expect(
      lines(text) == [
        "p.yaml:11:66: error: the range is not inside that of \"disk\", offset 4096, length 8192 (both count from the device's start)"
      ])
  }

  @Test func `an access wider than the object is a mistake`() {
    let text =
      Self.base + #"""
          - { application: app, object: disk, operations: [read], access: read-write }

        """#
    #expect(
      lines(text) == [
        "p.yaml:11:67: error: the access is wider than that of \"disk\", which is read-only"
      ])
  }

  @Test func `write on a read-only disk is a mistake`() {
    let text =
      Self.base + #"""
          - { application: app, object: disk, operations: [read, write] }
          - { application: app, object: rw, operations: [write, discard], access: read-only }

        """#
    #expect(
      lines(text) == [
        "p.yaml:11:58: error: \"write\" needs access: read-write, and \"disk\" is read-only",
        "p.yaml:12:50: error: \"write\" needs access: read-write, and the grant's access is read-only",
        "p.yaml:12:57: error: \"discard\" needs access: read-write, and the grant's access is read-only",
      ])
  }

  @Test func `an address wider than the object is a mistake at the address`() {
    let text =
      Self.base + #"""
          - { application: app, object: dns, operations: [send], send-to: ["10.1.0.0/16:53", "10.0.0.0/7:53", "10.1.0.0/16", "[::1]:53"] }

        """#
    #expect(
      lines(text) == [
        "p.yaml:11:86: error: this address is wider than send-to of \"dns\"",
        "p.yaml:11:103: error: this address is wider than send-to of \"dns\"",
        "p.yaml:11:118: error: this address is wider than send-to of \"dns\"",
      ])
  }

  @Test func `an address where the object lists none is a mistake`() {
    let text =
      Self.base + #"""
          - { application: app, object: dns, operations: [connect], connect: ["10.1.0.0/16"] }

        """#
    #expect(
      lines(text) == [
        "p.yaml:11:51: warning: \"connect\" grants nothing: neither the object nor the grant lists anything under connect",
        "p.yaml:11:71: error: this address is wider than connect of \"dns\"",
      ])
  }

  @Test func `an option that the object does not list is a mistake`() {
    let text =
      Self.base + #"""
          - { application: app, object: dns, operations: [setoption], options: [SO_MARK, SO_KEEPALIVE] }

        """#
    #expect(
      lines(text) == [
        "p.yaml:11:82: error: SO_KEEPALIVE is not among the options of \"dns\""
      ])
  }

  @Test func `an ioctl that the object does not list is a mistake`() {
    let text =
      Self.base + #"""
          - { application: app, object: pad, operations: [control], ioctls: [HIDIOCGRAWINFO, HIDIOCGRDESC, nope] }

        """#
    #expect(
      lines(text) == [
        "p.yaml:11:61: error: HIDIOCGRAWINFO is not among the ioctls of \"pad\"",
        "p.yaml:11:100: error: \"nope\" is no ioctl request that Postern passes on; expected one of: \(BusControl.names(on: .hid).joined(separator: ", "))",
      ])
  }

  @Test func `each word has its choices`() {
    let text =
      Self.base + #"""
          - { application: app, object: web, operations: [accept], on-fork: never, on-exec: maybe, path: handover, accepted: yes, audit: none, on-stuck-revoke: wait, handover: 1, mmap: no }

        """#
    #expect(
      lines(text) == [
        "p.yaml:11:69: error: \"never\" is not known for on-fork; expected one of: revalidate, inherit, deny",
        "p.yaml:11:85: error: \"maybe\" is not known for on-exec; expected one of: drop, keep",
        "p.yaml:11:98: error: \"handover\" is not known for path; expected one of: any, mediated, ring, direct",
        "p.yaml:11:118: error: \"yes\" is not known for accepted; expected one of: leave, recall",
        "p.yaml:11:130: error: \"none\" is not known for audit; expected one of: refusals, first-use, all",
        "p.yaml:11:153: error: \"wait\" is not known for on-stuck-revoke; expected one of: report, kill",
        "p.yaml:11:169: error: \"1\" is no truth value; expected true or false",
        "p.yaml:11:178: error: \"no\" is no truth value; expected true or false",
      ])
  }

  @Test func `an expiry has a unit`() {
    let text =
      Self.base + #"""
          - { application: app, object: web, operations: [accept], expires: 30 }

        """#
    #expect(
      lines(text) == [
        "p.yaml:11:69: error: \"30\" has no unit; expected a duration such as 30s, 15m, 8h or 90d"
      ])
  }

  @Test func `an expiry of 0 is a warning`() {
    let text =
      Self.base + #"""
          - { application: app, object: web, operations: [accept], expires: 0s }

        """#
    #expect(
      lines(text) == [
        "p.yaml:11:69: warning: expires: 0 ends every association as it begins"
      ])
  }

  @Test func `operations without their limit key grant nothing, which is a warning`() {
    let text =
      Self.base + #"""
          - { application: app, object: web, operations: [accept, connect, send, setoption] }
          - { application: app, object: dns, operations: [send, setoption], send-to: [] }

        """#
    #expect(
      lines(text) == [
        "p.yaml:11:59: warning: \"connect\" grants nothing: neither the object nor the grant lists anything under connect",
        "p.yaml:11:68: warning: \"send\" grants nothing: neither the object nor the grant lists anything under send-to",
        "p.yaml:11:74: warning: \"setoption\" grants nothing: neither the object nor the grant lists anything under options",
        "p.yaml:12:51: warning: \"send\" grants nothing: neither the object nor the grant lists anything under send-to",
      ])
  }

  @Test func `control without ioctls is a warning`() {
    let text =
      Self.base + #"""
          - { application: app, object: pad, operations: [read, control], ioctls: [] }

        """#
    #expect(
      lines(text) == [
        "p.yaml:11:57: warning: \"control\" grants nothing: neither the object nor the grant lists anything under ioctls"
      ])
  }

  @Test func `no operation at all is a warning`() {
    let text =
      Self.base + #"""
          - { application: app, object: web, operations: [] }

        """#
    #expect(
      lines(text) == [
        "p.yaml:11:50: warning: the grant names no operation, so that it grants nothing"
      ])
  }

  @Test func `recall of accepted connections on a ring is a mistake`() {
    let text =
      Self.base + #"""
          - { application: app, object: web, operations: [accept], path: ring, accepted: recall }

        """#
    #expect(
      lines(text) == [
        "p.yaml:11:72: warning: accepted: recall needs the path direct: opens are refused",
        "p.yaml:11:72: error: accepted: recall does not work on path: ring",
      ])
  }

  @Test func `what this version cannot do is a warning`() {
    let text =
      Self.base + #"""
          - { application: app, object: web, operations: [accept], path: mediated, handover: true, mmap: true, accepted: recall }
          - { application: app, object: rw, operations: [read], path: mediated, on-stuck-revoke: kill }
          - { application: app, object: dns, operations: [receive], path: ring }
          - { application: app, object: pad, operations: [control], path: ring }

        """#
    #expect(
      lines(text) == [
        "p.yaml:11:60: warning: this path excludes handover: true",
        "p.yaml:11:92: warning: mmap: true needs the path direct: nothing is mapped",
        "p.yaml:11:104: warning: accepted: recall needs the path direct: opens are refused",
        "p.yaml:12:73: warning: on-stuck-revoke: kill has no effect on the path mediated: the broker itself performs",
        "p.yaml:14:61: warning: path: ring does not take all of this grant: a bus: nothing takes its device back while the "
          + "application holds its ring's lock",
      ])
  }

  @Test func `what a descriptor that is given away cannot keep to is a warning`() {
    let text =
      Self.base + #"""
          - { application: app, object: rw, operations: [read, write], handover: true }
          - { application: app, object: dns, operations: [receive], handover: true, on-exec: drop }
          - { application: app, object: web, operations: [bind], handover: true }

        """#
    #expect(
      lines(text) == [
        "p.yaml:11:64: warning: handover: true: the holder can also discard",
        "p.yaml:12:61: warning: handover: true: the holder can send to every address, whatever send-to says",
        "p.yaml:12:61: warning: handover: true: a descriptor lives through an exec, whatever on-exec says",
      ])
  }

  @Test func `the defaults of what this version cannot do are no warning`() {
    let text =
      Self.base + #"""
          - { application: app, object: web, operations: [accept], path: any, handover: false, mmap: false, accepted: leave, on-stuck-revoke: report }

        """#
    #expect(lines(text) == [])
  }

  @Test func `a key that means nothing for the object is a warning`() {
    let text =
      Self.base + #"""
          - { application: app, object: disk, operations: [read], connect: [], accepted: leave }

        """#
    #expect(
      lines(text) == [
        "p.yaml:11:59: warning: connect means nothing for \"disk\", which is a disk",
        "p.yaml:11:72: warning: accepted means nothing for \"disk\", which is a disk",
      ])
  }
}
