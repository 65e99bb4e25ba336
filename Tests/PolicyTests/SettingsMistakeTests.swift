import Policy
import Testing

@Suite struct SettingsMistakeTests {
  @Test func `admins is a group that exists`() {
    let text =
      #"""
      version: 1
      admins: wheel

      """#
    #expect(
      lines(text) == [
        "p.yaml:2:9: error: there is no group \"wheel\" on this machine; expected the name or number of a group"
      ])
  }

  @Test func `limits are numbers from 1 to 65536`() {
    let text =
      #"""
      version: 1
      limits: { connections-per-user: 0, requests-per-user: 65537, objects-per-user: x }

      """#
    #expect(
      lines(text) == [
        "p.yaml:2:33: error: 0 is out of range for connections-per-user; expected a number from 1 to 65536",
        "p.yaml:2:55: error: 65537 is out of range for requests-per-user; expected a number from 1 to 65536",
        "p.yaml:2:80: error: \"x\" is not a number; expected a number from 1 to 65536",
      ])
  }

  @Test func `audit settings have units, ranges and known sinks`() {
    let text =
      #"""
      version: 1
      audit: { retention: 90, segment: 1KiB, redact: executable, readers: no-group, sinks: [journal, journald, journald] }

      """#
    #expect(
      lines(text) == [
        "p.yaml:2:21: error: \"90\" has no unit; expected a duration such as 30s, 15m, 8h or 90d",
        "p.yaml:2:34: error: a segment of 1024 bytes is out of range; expected 4KiB to 1TiB",
        "p.yaml:2:48: error: a single value stands here; expected a list of record fields, such as [executable, cgroup]",
        "p.yaml:2:69: error: there is no group \"no-group\" on this machine; expected the name or number of a group",
        "p.yaml:2:79: warning: sinks is not in this version: nothing is sent",
        "p.yaml:2:87: error: \"journal\" is not known for sinks; did you mean \"journald\"?",
        "p.yaml:2:106: error: \"journald\" stands twice in sinks",
      ])
  }

  @Test func `redacting nothing is fine, and anything is an error: this version would write it down`() {
    #expect(lines("version: 1\naudit: { redact: [] }\n") == [])
    #expect(
      lines("version: 1\naudit: { redact: [executable] }\n") == [
        "p.yaml:2:10: error: redact is not in this version: every record has all its fields; expected []"
      ])
  }

  @Test func `a duration has a known unit`() {
    let text =
      #"""
      version: 1
      audit: { retention: 5w }

      """#
    #expect(
      lines(text) == [
        "p.yaml:2:21: error: \"5w\" is not a duration; expected a duration such as 30s, 15m, 8h or 90d"
      ])
  }
}
