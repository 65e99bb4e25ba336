import TestSupport
import Testing

/// The fork protocol through libpostern, whose callers need not know of it (Tests/Programs/library.c).
@Suite struct LibraryForkTests {
  private func run(_ policy: String, _ arguments: String...) throws -> [String] {
    var lines: [String] = []
    try Scene.run(policy) { scene in
      let process = try scene.start("library", arguments: ["image"] + arguments)
      while let line = Optional(process.heard()), line != "ended" { lines.append(line) }
    }
    return lines
  }

  @Test func `a child and a grandchild read through the library without an error`() throws {
    #expect(
      try run(Policies.image()) == ["parent 4 AAAA", "child 4 AAAA", "grandchild 4 AAAA", "parent 4 AAAA"])
  }

  @Test func `a child inherits through the library without an error`() throws {
    #expect(
      try run(Policies.image(grant: ", on-fork: inherit"))
        == ["parent 4 AAAA", "child 4 AAAA", "grandchild 4 AAAA", "parent 4 AAAA"])
  }

  @Test func `on-fork deny reaches a child of the library as the second error with the policy's message`() throws {
    #expect(
      try run(Policies.image(grant: ", on-fork: deny, message: ask the platform team"))
        == [
          "parent 4 AAAA", "child Key was rejected by service refused: ask the platform team",
          "grandchild Key was rejected by service refused: ask the platform team", "parent 4 AAAA",
        ])
  }

  @Test func `without automatic revalidation a child of the library sees the first error`() throws {
    #expect(
      try run(Policies.image(), "manual")
        == [
          "parent 4 AAAA", "child Key has expired not-associated", "grandchild Key has expired not-associated",
          "parent 4 AAAA",
        ])
  }
}
