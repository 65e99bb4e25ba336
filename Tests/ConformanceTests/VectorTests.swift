import Entity
import Testing

@Suite struct VectorTests {
  @Test func `there are at least 200 vectors`() throws {
    #expect(try Vector.readAll().count >= 200)
  }

  @Test func `every vector that Swift can express comes out as written through the simulated entity`() throws {
    try tell(CheckedEntity.init)
  }

  @Test(.enabled(if: KernelTier.isThere, "\(KernelTier.missing)"))
  func `every vector that Swift can express comes out as written through the kernel`() throws {
    let kernel = try KernelTier.load()
    try tell { table in
      try KernelTier.clear(kernel)
      return CheckedEntity(table, kernel)
    }
  }

  private func tell(_ make: @escaping (SimulatedEntity) throws -> CheckedEntity) throws {
    let vectors = try Vector.readAll()
    let expressible = vectors.filter(\.isForSwift)
    #expect(expressible.count >= 400, "vectors for C only are the exception")
    for vector in expressible {
      var story = try Story(make)
      for step in vector.steps {
        let result = try story.run(step)
        #expect(result == step.expected, "\(vector.name): \(step.words.joined(separator: " "))")
      }
      #expect(story.checked.table.validate() == 0, "\(vector.name): the table's invariants")
    }
  }
}
