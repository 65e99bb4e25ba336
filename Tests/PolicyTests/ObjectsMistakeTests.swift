import Policy
import Testing

@Suite struct ObjectsMistakeTests {
  @Test func `an object without a kind is a mistake`() {
    let text =
      #"""
      version: 1
      objects:
        a: { path: /a }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:3: error: object \"a\" needs the key \"kind\": socket, disk or bus"
      ])
  }

  @Test func `an unknown kind names the nearest`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: dsik, path: /a }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:14: error: \"dsik\" is not known for kind; did you mean \"disk\"?"
      ])
  }

  @Test func `a disk without a path is a mistake at its name`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: disk }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:3: error: disk \"a\" needs the key \"path\""
      ])
  }

  @Test func `a key of another kind is unknown`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: disk, path: /a, listen: "tcp://0.0.0.0:1" }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:30: error: a disk has no key \"listen\"; expected one of: kind, path, range, access, exclusive, message"
      ])
  }

  @Test func `a name with a comma is no name`() {
    let text =
      #"""
      version: 1
      objects:
        "a,b": { kind: disk, path: /a }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:3: error: \"a,b\" is no name for an object; expected up to 64 letters, digits, dots, - and _, not starting with . or -"
      ])
  }

  @Test func `a name that begins with a hyphen is no name`() {
    let text =
      #"""
      version: 1
      objects:
        -a: { kind: disk, path: /a }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:3: error: \"-a\" is no name for an object; expected up to 64 letters, digits, dots, - and _, not starting with . or -"
      ])
  }

  @Test func `a relative path is a mistake`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: disk, path: dev/loop0 }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:26: error: \"dev/loop0\" is not absolute; expected an absolute path"
      ])
  }

  @Test func `a path with dots is a mistake`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: disk, path: /dev/../mem }
        b: { kind: disk, path: /dev//x }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:26: error: \"/dev/../mem\" has an empty, \".\" or \"..\" component; expected an absolute path without them",
        "p.yaml:4:26: error: \"/dev//x\" has an empty, \".\" or \"..\" component; expected an absolute path without them",
      ])
  }

  @Test func `the machine and the broker itself are never brokered`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: disk, path: /dev/mem }
        b: { kind: disk, path: /dev/kmem }
        c: { kind: disk, path: /dev/port }
        d: { kind: disk, path: /proc/1/mem }
        e: { kind: disk, path: /sys/fs/bpf/x }
        f: { kind: socket, listen: "unix:///run/postern/postern.sock" }
        g: { kind: disk, path: /var/lib/postern/journal }
        h: { kind: disk, path: /dev/memory }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:26: error: \"/dev/mem\" is never brokered: /dev/mem would give away the machine or the broker itself",
        "p.yaml:4:26: error: \"/dev/kmem\" is never brokered: /dev/kmem would give away the machine or the broker itself",
        "p.yaml:5:26: error: \"/dev/port\" is never brokered: /dev/port would give away the machine or the broker itself",
        "p.yaml:6:26: error: \"/proc/1/mem\" is never brokered: /proc would give away the machine or the broker itself",
        "p.yaml:7:26: error: \"/sys/fs/bpf/x\" is never brokered: /sys/fs/bpf would give away the machine or the broker itself",
        "p.yaml:8:30: error: \"/run/postern/postern.sock\" is never brokered: /run/postern would give away the machine or the broker itself",
        "p.yaml:9:26: error: \"/var/lib/postern/journal\" is never brokered: /var/lib/postern would give away the machine or the broker itself",
      ])
  }

  @Test func `a boolean is true or false and nothing else`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: disk, path: /a, exclusive: yes }
        b: { kind: disk, path: /b, exclusive: True }
        c: { kind: disk, path: /c, exclusive: 1 }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:41: error: \"yes\" is no truth value; expected true or false",
        "p.yaml:4:41: error: \"True\" is no truth value; expected true or false",
        "p.yaml:5:41: error: \"1\" is no truth value; expected true or false",
      ])
  }

  @Test func `access is one of two words`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: disk, path: /a, access: rw }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:38: error: \"rw\" is not known for access; expected one of: read-only, read-write"
      ])
  }

  @Test func `a range needs a length that is not 0 and ends within 63 bits`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: disk, path: /a, range: { offset: 0 } }
        b: { kind: disk, path: /b, range: { length: 0 } }
        c: { kind: disk, path: /c, range: { offset: 9223372036854775807, length: 1 } }
        d: { kind: disk, path: /d, range: 5 }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:37: error: a range needs the key \"length\"",
        "p.yaml:4:47: error: a range of length 0 holds nothing; expected at least 1 byte",
        "p.yaml:5:76: error: the range ends beyond the largest offset (2^63 - 1)",
        "p.yaml:6:37: error: a single value stands here; expected a mapping with the keys of a range",
      ])
  }

  @Test func `a size has a known unit and no octal`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: disk, path: /a, range: { length: 0755 } }
        b: { kind: disk, path: /b, range: { length: 1KB } }
        c: { kind: disk, path: /c, range: { length: 18446744073709551616 } }
        d: { kind: disk, path: /d, range: { length: -1 } }
        e: { kind: disk, path: /e, range: { length: 9999999999TiB } }
        f: { kind: disk, path: /f, range: { length: 0x10KiB } }
        g: { kind: disk, path: /g, range: { length: 1_000 } }
        h: { kind: disk, path: /h, range: { length: 1e3 } }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:47: error: \"0755\" is not a size; expected a size in bytes such as 512, 64KiB or 10GiB",
        "p.yaml:4:47: error: \"1KB\" is not a size; expected a size in bytes such as 512, 64KiB or 10GiB",
        "p.yaml:5:47: error: 18446744073709551616 is too large; expected a size in bytes such as 512, 64KiB or 10GiB",
        "p.yaml:6:47: error: \"-1\" is not a size; expected a size in bytes such as 512, 64KiB or 10GiB",
        "p.yaml:7:47: error: 9999999999TiB is too large; expected a size in bytes such as 512, 64KiB or 10GiB",
        "p.yaml:8:47: error: \"0x10KiB\" is not a size; expected a size in bytes such as 512, 64KiB or 10GiB",
        "p.yaml:9:47: error: \"1_000\" is not a size; expected a size in bytes such as 512, 64KiB or 10GiB",
        "p.yaml:10:47: error: \"1e3\" is not a size; expected a size in bytes such as 512, 64KiB or 10GiB",
      ])
  }

  @Test func `a message is one line of at most 512 bytes`() {
    let text =
      "version: 1\nobjects:\n  a: { kind: disk, path: /a, message: \"x\\ny\" }\n  b: { kind: disk, path: /b, message: \"\\e[2J\" }\n  c:\n    kind: disk\n    path: /c\n    message: \"\(String(repeating: "x", count: 513))\"\n"
    #expect(
      lines(text) == [
        "p.yaml:3:39: error: the message holds a control character; expected a text of one line",
        "p.yaml:4:39: error: the message holds a control character; expected a text of one line",
        "p.yaml:8:14: error: the message has 513 bytes; expected at most 512",
      ])
  }
}
