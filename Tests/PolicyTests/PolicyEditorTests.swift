import Authority
import Instructions
import Testing

@testable import Policy

/// The file after one change.
private func edited(_ text: String, _ edits: PolicyEdit...) throws -> String {
  var editor = PolicyEditor(files: [PolicyFile(name: "p.yaml", bytes: Array(text.utf8))])
  try editor.apply(edits)
  return String(decoding: editor.files[0].bytes, as: UTF8.self)
}

private let key = GrantKey(application: "a", object: "o")

@Suite struct PolicyEditorTests {
  @Test(arguments: [
    (
      "grants: [{ application: a, object: o, operations: [read] }]",
      "grants: [{ application: a, object: o, operations: [read, write] }]"
    ),
    (
      "grants: [{ application: a, object: o, operations: [ read, ] }]",
      "grants: [{ application: a, object: o, operations: [ read, write, ] }]"
    ),
    (
      "grants: [{ application: a, object: o, operations: [] }]",
      "grants: [{ application: a, object: o, operations: [write] }]"
    ),
    (
      "grants:\n- application: a\n  object: o\n  operations: [\"read\"] # r\n",
      "grants:\n- application: a\n  object: o\n  operations: [\"read\", write] # r\n"
    ),
    (
      "grants:\n  - application: a\n    operations:\n    - 'read'   # r\n\n    # o\n    object: o\n",
      "grants:\n  - application: a\n    operations:\n    - 'read'   # r\n    - write\n\n    # o\n    object: o\n"
    ),
    (
      "grants:\r\n  - application: a\r\n    object: o\r\n    operations:\r\n      - read\r\n",
      "grants:\r\n  - application: a\r\n    object: o\r\n    operations:\r\n      - read\r\n      - write\r\n"
    ),
    (
      "grants:\n  - { application: b, object: o, operations: [read] }\n  - {application: a,\n     object: o, # o\n     operations: [read,   # r\n       flush\n     ] }\n",
      "grants:\n  - { application: b, object: o, operations: [read] }\n  - {application: a,\n     object: o, # o\n     operations: [read,   # r\n       flush, write\n     ] }\n"
    ),
  ]) func `an operation is added to its list, and nothing else is touched`(before: String, after: String) throws {
    #expect(try edited(before, .addOperations(OperationSet(.write), to: key)) == after)
  }

  @Test(arguments: [
    (
      "grants:\n  - { application: a, object: o, operations: [read] }",
      "grants:\n  - { application: a, object: o, operations: [read], on-fork: revalidate }"
    ),
    (
      "grants:\n  - { application: a, object: o, on-fork: deny, operations: [read] }",
      "grants:\n  - { application: a, object: o, on-fork: revalidate, operations: [read] }"
    ),
    (
      "grants:\n  - application: a\n    object: o\n    on-fork: 'deny'   # never\n    operations: [read]\n",
      "grants:\n  - application: a\n    object: o\n    on-fork: revalidate   # never\n    operations: [read]\n"
    ),
    (
      "grants:\n  - application: a   # A\n    object: o   # O\n\n# end\n",
      "grants:\n  - application: a   # A\n    object: o   # O\n    on-fork: revalidate\n\n# end\n"
    ),
    (
      "grants:\n  - application: a\n    object: o\n    message: no, it's not yours\n",
      "grants:\n  - application: a\n    object: o\n    message: no, it's not yours\n    on-fork: revalidate\n"
    ),
    (
      "grants:\n  - application: a\n    object: o\n    message: folded\n      over lines   # c\n",
      "grants:\n  - application: a\n    object: o\n    message: folded\n      over lines   # c\n    on-fork: revalidate\n"
    ),
    (
      "grants:\n  - application: a\n    object: o\n    range: { offset: 0,\n      length: 1 }\n",
      "grants:\n  - application: a\n    object: o\n    range: { offset: 0,\n      length: 1 }\n    on-fork: revalidate\n"
    ),
    (
      "\u{FEFF}grants: [ {application: a, object: o, message: \"}, \\\" ] # x\"} ] # }",
      "\u{FEFF}grants: [ {application: a, object: o, message: \"}, \\\" ] # x\", on-fork: revalidate} ] # }"
    ),
    (
      "grants: [{application: a, object: o, message: 'it''s }'}]",
      "grants: [{application: a, object: o, message: 'it''s }', on-fork: revalidate}]"
    ),
  ]) func `a key is set where it stands, or added at the end of its mapping`(before: String, after: String) throws {
    #expect(try edited(before, .setInGrant(key, key: "on-fork", value: "revalidate")) == after)
  }

  @Test func `an application and a grant go to the end of their collections, or make them`() throws {
    let both = [
      PolicyEdit.addApplication("n", keys: [PolicyEdit.Key("user", "\"ann\"")]),
      .addGrant(
        GrantKey(application: "n", object: "o"), OperationSet([.read]), keys: [PolicyEdit.Key("handover", "true")]),
    ]
    var editor = PolicyEditor(files: [
      PolicyFile(
        name: "p.yaml", bytes: Array("version: 1   # one\nobjects: { o: { kind: disk, path: /dev/vda } }".utf8))
    ])
    try editor.apply(both)
    #expect(
      String(decoding: editor.files[0].bytes, as: UTF8.self) == """
        version: 1   # one
        objects: { o: { kind: disk, path: /dev/vda } }
        applications:
          n: { user: "ann" }
        grants:
          - { application: n, object: o, operations: [read], handover: true }
        """)
    let text = "applications:\n  # first\n  m: { user: bob }   # m\n# between\ngrants: []\n"
    #expect(
      try edited(text, both[0], both[1])
        == "applications:\n  # first\n  m: { user: bob }   # m\n  n: { user: \"ann\" }\n# between\ngrants: [{ application: n, object: o, operations: [read], handover: true }]\n"
    )
  }

  @Test func `what stands in a second file is changed there`() throws {
    var editor = PolicyEditor(files: [
      PolicyFile(name: "p.yaml", bytes: Array("version: 1\n".utf8)),
      PolicyFile(name: "q.yaml", bytes: Array("grants:\n  - { application: a, object: o, operations: [read] }\n".utf8)),
    ])
    try editor.apply([.addOperations(OperationSet(.write), to: key)])
    #expect(String(decoding: editor.files[0].bytes, as: UTF8.self) == "version: 1\n")
    #expect(String(decoding: editor.files[1].bytes, as: UTF8.self).contains("[read, write]"))
  }

  @Test(arguments: [
    "grants: []", "grants:\n  - application: a\n    object: o\n    message: |\n      text\n",
    "grants:\n  - application: a\n    object: o\n    message:\n",
    "a: &x 1\nb: *x\n", "grants: [1, 2",
  ]) func `what cannot be edited is refused, never damaged`(text: String) {
    #expect(throws: PolicyEditFailure.self) { try edited(text, .setInGrant(key, key: "mmap", value: "true")) }
  }
}
