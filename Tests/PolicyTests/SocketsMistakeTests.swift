import Policy
import Testing

@Suite struct SocketsMistakeTests {
  @Test func `a socket needs listen`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: socket }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:3: error: socket \"a\" needs the key \"listen\""
      ])
  }

  @Test func `an endpoint has a known scheme`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: socket, listen: "tpc://0.0.0.0:80" }
        b: { kind: socket, listen: "0.0.0.0:80" }
        c: { kind: socket, listen: ":80" }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:30: error: \"tpc\" is no kind of socket; did you mean \"tcp\"?",
        "p.yaml:4:30: error: \"0.0.0.0:80\" names no kind of socket; expected tcp://ADDRESS:PORT, udp://ADDRESS:PORT, unix:///PATH, raw://PROTOCOL or packet://INTERFACE",
        "p.yaml:5:30: error: \":80\" names no kind of socket; expected tcp://ADDRESS:PORT, udp://ADDRESS:PORT, unix:///PATH, raw://PROTOCOL or packet://INTERFACE",
      ])
  }

  @Test func `an address is numbers and in range`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: socket, listen: "tcp://localhost:80" }
        b: { kind: socket, listen: "tcp://0.0.0.0:65536" }
        c: { kind: socket, listen: "tcp://256.0.0.1:80" }
        d: { kind: socket, listen: "tcp://0.0.0.0" }
        e: { kind: socket, listen: "udp://::1:80" }
        f: { kind: socket, listen: "tcp://01.0.0.0:80" }
        g: { kind: socket, listen: "tcp://[::1:80" }
        h: { kind: socket, listen: "tcp://[1::2::3]:80" }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:30: error: \"localhost:80\" is no address with a port; expected 127.0.0.1:80 or [::1]:80 (names are not looked up)",
        "p.yaml:4:30: error: \"0.0.0.0:65536\" is no address with a port; expected 127.0.0.1:80 or [::1]:80 (names are not looked up)",
        "p.yaml:5:30: error: \"256.0.0.1:80\" is no address with a port; expected 127.0.0.1:80 or [::1]:80 (names are not looked up)",
        "p.yaml:6:30: error: \"0.0.0.0\" is no address with a port; expected 127.0.0.1:80 or [::1]:80 (names are not looked up)",
        "p.yaml:7:30: error: \"::1:80\" is no address with a port; expected 127.0.0.1:80 or [::1]:80 (names are not looked up)",
        "p.yaml:8:30: error: \"01.0.0.0:80\" is no address with a port; expected 127.0.0.1:80 or [::1]:80 (names are not looked up)",
        "p.yaml:9:30: error: \"[::1:80\" is no address with a port; expected 127.0.0.1:80 or [::1]:80 (names are not looked up)",
        "p.yaml:10:30: error: \"[1::2::3]:80\" is no address with a port; expected 127.0.0.1:80 or [::1]:80 (names are not looked up)",
      ])
  }

  @Test func `port 0 is a warning`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: socket, listen: "tcp://127.0.0.1:0" }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:30: warning: port 0 lets the kernel choose a port that nobody knows"
      ])
  }

  @Test func `a unix path is absolute and at most 107 bytes`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: socket, listen: "unix://run/x" }
        b: { kind: socket, listen: "unix:///\#(String(repeating: "y", count: 107))" }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:30: error: \"run/x\" is not absolute; expected unix:///PATH, an absolute path",
        "p.yaml:4:30: error: the path has 108 bytes; expected at most 107 (unix(7))",
      ])
  }

  @Test func `a raw protocol is a name or a number from 1 to 255`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: socket, listen: "raw://imcp" }
        b: { kind: socket, listen: "raw://256" }
        c: { kind: socket, listen: "raw://0" }
        d: { kind: socket, listen: "raw://ipv5/1" }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:30: error: \"imcp\" is no IP protocol; expected a number from 1 to 255, ipv4/NUMBER, ipv6/NUMBER or one of: icmp, igmp, tcp, udp, gre, esp, ah, icmpv6, ospf, pim, vrrp, sctp",
        "p.yaml:4:30: error: \"256\" is no IP protocol; expected a number from 1 to 255, ipv4/NUMBER, ipv6/NUMBER or one of: icmp, igmp, tcp, udp, gre, esp, ah, icmpv6, ospf, pim, vrrp, sctp",
        "p.yaml:5:30: error: \"0\" is no IP protocol; expected a number from 1 to 255, ipv4/NUMBER, ipv6/NUMBER or one of: icmp, igmp, tcp, udp, gre, esp, ah, icmpv6, ospf, pim, vrrp, sctp",
        "p.yaml:6:30: error: \"ipv5/1\" is no IP protocol; expected a number from 1 to 255, ipv4/NUMBER, ipv6/NUMBER or one of: icmp, igmp, tcp, udp, gre, esp, ah, icmpv6, ospf, pim, vrrp, sctp",
      ])
  }

  @Test func `an interface name has at most 15 characters`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: socket, listen: "packet://" }
        b: { kind: socket, listen: "packet://sixteencharacter" }
        c: { kind: socket, listen: "packet://a/b" }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:30: error: \"\" is no interface name; expected up to 15 characters, such as packet://eth0",
        "p.yaml:4:30: error: \"sixteencharacter\" is no interface name; expected up to 15 characters, such as packet://eth0",
        "p.yaml:5:30: error: \"a/b\" is no interface name; expected up to 15 characters, such as packet://eth0",
      ])
  }

  @Test func `each wrong address of a list is told at its item`() {
    let text =
      #"""
      version: 1
      objects:
        a:
          kind: socket
          listen: udp://0.0.0.0:53
          send-to:
            - 10.0.0.0/33
            - 10.0.0.1/8
            - example.org
            - 10.0.0.1:70000
            - 10.0.0.1:9-1
            - "[fe80::]/129"
            - 10.0.0.1
            - 10.0.0.1
            - [a]
            - 10.0.0.1:

      """#
    #expect(
      lines(text) == [
        "p.yaml:7:9: error: \"10.0.0.0/33\" has a prefix that is too long; expected 0 to 32",
        "p.yaml:8:9: error: \"10.0.0.1/8\" has bits set beyond its prefix; expected the network's first address",
        "p.yaml:9:9: error: \"example.org\" is no address; expected 10.0.0.1, 127.0.0.0/8, 10.0.0.1:53, [fe80::]/10 or [::1]:53-60",
        "p.yaml:10:9: error: \"10.0.0.1:70000\" has no valid port; expected a number from 0 to 65535 or FIRST-LAST",
        "p.yaml:11:9: error: \"10.0.0.1:9-1\" has no valid port; expected a number from 0 to 65535 or FIRST-LAST",
        "p.yaml:12:9: error: \"[fe80::]/129\" has a prefix that is too long; expected 0 to 128",
        "p.yaml:14:9: error: \"10.0.0.1\" stands twice in send-to",
        "p.yaml:15:9: error: a list stands here; expected an address such as 127.0.0.0/8 or [::1]:53",
        "p.yaml:16:9: error: a mapping stands here; expected an address such as 127.0.0.0/8 or [::1]:53",
      ])
  }

  @Test func `seventeen addresses are too many, connect and send-to together`() {
    let text =
      #"""
      version: 1
      objects:
        a:
          kind: socket
          listen: udp://0.0.0.0:53
          connect: [10.0.0.0, 10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4, 10.0.0.5, 10.0.0.6, 10.0.0.7, 10.0.0.8]
          send-to: [10.0.1.0, 10.0.1.1, 10.0.1.2, 10.0.1.3, 10.0.1.4, 10.0.1.5, 10.0.1.6, 10.0.1.7]

      """#
    #expect(
      lines(text) == [
        "p.yaml:7:5: error: 17 addresses in connect and send-to; expected at most 16"
      ])
  }

  @Test func `seventeen options are too many`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: socket, listen: "tcp://0.0.0.0:80", options: [TCP_MAXSEG, SO_REUSEADDR, SO_DONTROUTE, SO_BROADCAST, SO_SNDBUF, SO_RCVBUF, SO_KEEPALIVE, SO_OOBINLINE, SO_PRIORITY, SO_LINGER, SO_REUSEPORT, SO_RCVLOWAT, SO_RCVTIMEO, SO_SNDTIMEO, SO_MARK, TCP_NODELAY, TCP_CORK] }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:50: error: 17 options; expected at most 16"
      ])
  }

  @Test func `an unknown option names the nearest`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: socket, listen: "tcp://0.0.0.0:80", options: [SO_KEEPALIV, SO_MARK, SO_MARK, FOO, SO_ATTACH_FILTER, IP_HDRINCL, SO_ERROR] }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:60: error: \"SO_KEEPALIV\" is no option that Postern passes on; did you mean \"SO_KEEPALIVE\"?",
        "p.yaml:3:82: error: \"SO_MARK\" stands twice in options",
        "p.yaml:3:91: error: \"FOO\" is no option that Postern passes on; see postern.yaml(5) for the names",
        "p.yaml:3:96: error: \"SO_ATTACH_FILTER\" is no option that Postern passes on; see postern.yaml(5) for the names",
        "p.yaml:3:114: error: \"IP_HDRINCL\" is no option that Postern passes on; see postern.yaml(5) for the names",
        "p.yaml:3:126: error: \"SO_ERROR\" is no option that Postern passes on; see postern.yaml(5) for the names",
      ])
  }

  @Test func `destinations of a unix socket are a mistake`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: socket, listen: "unix:///run/x", send-to: ["127.0.0.1"] }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:47: error: send-to lists IP destinations, which a unix or packet socket does not have"
      ])
  }

  @Test func `network is host or a path`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: socket, listen: "tcp://0.0.0.0:80", network: blue }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:59: error: \"blue\" is not absolute; expected host or the path of a network namespace"
      ])
  }
}
