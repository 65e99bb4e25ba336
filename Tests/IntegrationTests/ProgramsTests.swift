import TestSupport
import Testing

@Suite struct ProgramsTests {
  @Test(arguments: try Programs.names) func `every program of the tests can be had`(name: String) throws {
    _ = try Programs.path(name)
  }
}
