import Policy
import Testing

@Suite struct StructureMistakeTests {
  @Test func `an empty file is a mistake`() {
    let text = ""
    #expect(
      lines(text) == [
        "p.yaml:1:1: error: the file is empty; expected version: 1, objects, applications and grants"
      ])
  }

  @Test func `a file of comments only is a mistake`() {
    let text = "# nothing\n"
    #expect(
      lines(text) == [
        "p.yaml:1:1: error: the file is empty; expected version: 1, objects, applications and grants"
      ])
  }

  @Test func `a list at the top is a mistake`() {
    let text =
      #"""
      - a
      - b

      """#
    #expect(
      lines(text) == [
        "p.yaml:1:1: error: a list stands here; expected a mapping with the keys of a policy"
      ])
  }

  @Test func `a single value at the top is a mistake`() {
    let text = "hello\n"
    #expect(
      lines(text) == [
        "p.yaml:1:1: error: a single value stands here; expected a mapping with the keys of a policy"
      ])
  }

  @Test func `a missing version is a mistake`() {
    let text = "objects: {}\n"
    #expect(
      lines(text) == [
        "p.yaml:1:1: error: a policy needs the key \"version\"; expected version: 1"
      ])
  }

  @Test func `another version is a mistake`() {
    let text = "version: 2\n"
    #expect(
      lines(text) == [
        "p.yaml:1:10: error: version \"2\" is not known; expected 1"
      ])
  }

  @Test func `an unknown key names the nearest one`() {
    let text =
      #"""
      version: 1
      object: {}

      """#
    #expect(
      lines(text) == [
        "p.yaml:2:1: error: a policy has no key \"object\"; did you mean \"objects\"?"
      ])
  }

  @Test func `an unknown key that is near to nothing names all`() {
    let text =
      #"""
      version: 1
      zzzzzz: {}

      """#
    #expect(
      lines(text) == [
        "p.yaml:2:1: error: a policy has no key \"zzzzzz\"; expected one of: version, admins, objects, applications, grants, limits, audit"
      ])
  }

  @Test func `a duplicate key names both places`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: disk, path: /a }
        b: { kind: disk, path: /b }
        a: { kind: disk, path: /c }

      """#
    #expect(
      lines(text) == [
        "p.yaml:5:3: error: \"a\" stands twice; first at p.yaml:3:3"
      ])
  }

  @Test func `duplicate keys at several levels are all found`() {
    let text =
      #"""
      version: 1
      version: 1
      objects:
        a: { kind: disk, path: /a, path: /b, kind: disk }
      limits: { requests-per-user: 1, requests-per-user: 2, requests-per-user: 3 }

      """#
    #expect(
      lines(text) == [
        "p.yaml:2:1: error: \"version\" stands twice; first at p.yaml:1:1",
        "p.yaml:4:30: error: \"path\" stands twice; first at p.yaml:4:20",
        "p.yaml:4:40: error: \"kind\" stands twice; first at p.yaml:4:8",
        "p.yaml:5:33: error: \"requests-per-user\" stands twice; first at p.yaml:5:11",
        "p.yaml:5:55: error: \"requests-per-user\" stands twice; first at p.yaml:5:11",
      ])
  }

  @Test func `a quoted key duplicates a plain one`() {
    let text =
      #"""
      version: 1
      "version": 1

      """#
    #expect(
      lines(text) == [
        "p.yaml:2:1: error: \"version\" stands twice; first at p.yaml:1:1"
      ])
  }

  @Test func `an anchor is a mistake at its place`() {
    let text =
      #"""
      version: 1
      objects:
        a: &x { kind: disk, path: /a }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:6: error: an anchor is not allowed; write the value out where it is used"
      ])
  }

  @Test func `an alias is a mistake at its own place, not at the anchor`() {
    let text =
      #"""
      version: 1
      objects:
        a: &x { kind: disk, path: /a }
        b: *x

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:6: error: an anchor is not allowed; write the value out where it is used",
        "p.yaml:4:6: error: an alias is not allowed; write the value out",
      ])
  }

  @Test func `an alias as list item and as merge key is found`() {
    let text =
      #"""
      version: 1
      objects:
        a: &x { kind: socket, listen: "raw://icmp", options: [ *y , SO_MARK] }
        b:
          <<: *x

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:6: error: an anchor is not allowed; write the value out where it is used",
        "p.yaml:3:58: error: an alias is not allowed; write the value out",
        "p.yaml:4:3: error: object \"b\" needs the key \"kind\": socket, disk or bus",
        "p.yaml:5:9: error: an alias is not allowed; write the value out",
      ])
  }

  @Test func `an alias after a duplicate key is found too`() {
    let text =
      #"""
      version: 1
      version: 1
      admins: *a

      """#
    #expect(
      lines(text) == [
        "p.yaml:2:1: error: \"version\" stands twice; first at p.yaml:1:1",
        "p.yaml:3:9: error: an alias is not allowed; write the value out",
      ])
  }

  @Test func `what looks like an alias in a text or comment is none`() {
    let text =
      #"""
      version: 1
      objects:
        a: { kind: disk, path: /a, message: "see *this and &that" } # *x &x

      """#
    #expect(lines(text) == [])
  }

  @Test func `an alias without its anchor is a mistake`() {
    let text =
      #"""
      version: 1
      admins: *nobody

      """#
    #expect(
      lines(text) == [
        "p.yaml:2:9: error: an alias is not allowed; write the value out"
      ])
  }

  @Test func `a tag is a mistake at its place`() {
    let text =
      #"""
      version: 1
      admins: !!str postern-admin

      """#
    #expect(
      lines(text) == [
        "p.yaml:2:9: error: a tag is not allowed; the policy's own rules say what each value is"
      ])
  }

  @Test func `a tag of its own is a mistake`() {
    let text =
      #"""
      version: 1
      objects: !mine
        a: { kind: disk, path: /a }

      """#
    #expect(
      lines(text) == [
        "p.yaml:2:10: error: a tag is not allowed; the policy's own rules say what each value is"
      ])
  }

  @Test func `an anchor, a tag and a wrong key are told together`() {
    let text =
      #"""
      version: 1
      admins: &a postern-admin
      objects:
        a: { kind: disk, path: !!str /a, colour: red }

      """#
    #expect(
      lines(text) == [
        "p.yaml:2:9: error: an anchor is not allowed; write the value out where it is used",
        "p.yaml:4:26: error: a tag is not allowed; the policy's own rules say what each value is",
        "p.yaml:4:36: error: a disk has no key \"colour\"; expected one of: kind, path, range, access, exclusive, message",
      ])
  }

  @Test func `a second document is a mistake`() {
    let text =
      #"""
      version: 1
      ---
      version: 1

      """#
    #expect(
      lines(text) == [
        "p.yaml:2:1: error: a second document; expected one (but found another document)"
      ])
  }

  @Test func `a tab for indentation is a syntax error at its place`() {
    let text = "version: 1\nobjects:\n\ta: 1\n"
    #expect(
      lines(text) == [
        "p.yaml:3:1: error: this is not YAML: while scanning for the next token: found character that cannot start any token"
      ])
  }

  @Test func `an unclosed bracket is a syntax error`() {
    let text =
      #"""
      version: 1
      objects: { a: [1, 2

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:1: error: this is not YAML: while parsing a flow sequence: did not find expected ',' or ']'"
      ])
  }

  @Test func `an unclosed quote is a syntax error`() {
    let text =
      #"""
      version: 1
      admins: "abc

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:1: error: this is not YAML: while scanning a quoted scalar: found unexpected end of stream"
      ])
  }

  @Test func `a list for a mapping is a mistake`() {
    let text =
      #"""
      version: 1
      objects: [a]
      applications: 5
      grants: {}

      """#
    #expect(
      lines(text) == [
        "p.yaml:2:10: error: a list stands here; expected a mapping of object names to objects",
        "p.yaml:3:15: error: a single value stands here; expected a mapping of application names to selectors",
        "p.yaml:4:9: error: a mapping stands here; expected a list of grants",
      ])
  }

  @Test func `a key without a value is a mistake after the key`() {
    let text =
      #"""
      version: 1
      objects:
      admins:

      """#
    #expect(
      lines(text) == [
        "p.yaml:2:9: error: a value is missing; expected a mapping of object names to objects",
        "p.yaml:3:8: error: a value is missing; expected the name or number of a group",
      ])
  }

  @Test func `a mapping for a text is a mistake`() {
    let text =
      #"""
      version: 1
      admins: { a: b }

      """#
    #expect(
      lines(text) == [
        "p.yaml:2:9: error: a mapping stands here; expected the name or number of a group"
      ])
  }

  @Test func `a key that is no scalar is a mistake`() {
    let text =
      #"""
      version: 1
      objects:
        ? [a, b]
        : { kind: disk, path: /a }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:5: error: a list stands here; expected a name as key"
      ])
  }
}
