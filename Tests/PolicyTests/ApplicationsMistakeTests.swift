import Policy
import Testing

@Suite struct ApplicationsMistakeTests {
  @Test func `a selector that selects nobody is a mistake`() {
    let text =
      #"""
      version: 1
      applications:
        a: { processes: 5 }
        b: {}

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:3: error: application \"a\" selects nobody; expected at least one of: user, group, executable, cgroup",
        "p.yaml:4:3: error: application \"b\" selects nobody; expected at least one of: user, group, executable, cgroup",
      ])
  }

  @Test func `an unknown user or group is a mistake at its value`() {
    let text =
      #"""
      version: 1
      applications:
        a: { user: nobody-here, group: nor-here }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:14: error: there is no user \"nobody-here\" on this machine; expected the name or number of a user",
        "p.yaml:3:34: error: there is no group \"nor-here\" on this machine; expected the name or number of a group",
      ])
  }

  @Test func `a number that means "unchanged" is no user`() {
    let text =
      #"""
      version: 1
      applications:
        a: { user: 4294967295 }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:14: error: 4294967295 is out of range; expected a user number below 4294967295"
      ])
  }

  @Test func `numbers are in range`() {
    let text =
      #"""
      version: 1
      applications:
        a: { user: alice, processes: 0, requests-per-second: 0 }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:32: error: 0 is out of range for processes; expected a number from 1 to 1000000",
        "p.yaml:3:56: error: 0 is out of range for requests-per-second; expected a number from 1 to 1000000000",
      ])
  }

  @Test func `a cgroup is an absolute path without dots`() {
    let text =
      #"""
      version: 1
      applications:
        a: { cgroup: system.slice }
        b: { cgroup: /a/../b }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:16: error: \"system.slice\" is not absolute; expected a cgroup as in /proc/PID/cgroup, such as /system.slice/x.service",
        "p.yaml:4:16: error: \"/a/../b\" has an empty, \".\" or \"..\" component; expected a cgroup as in /proc/PID/cgroup, such as /system.slice/x.service without them",
      ])
  }

  @Test func `a namespace has pid or network`() {
    let text =
      #"""
      version: 1
      applications:
        a: { user: alice, namespace: {} }
        b: { user: alice, namespace: { pid: host } }
        c: { user: alice, namespace: { mount: /x } }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:32: error: namespace is empty; expected pid, network or both",
        "p.yaml:4:39: error: \"host\" is not absolute; expected the absolute path of a pid namespace",
        "p.yaml:5:32: error: namespace is empty; expected pid, network or both",
        "p.yaml:5:34: error: namespace has no key \"mount\"; expected one of: pid, network",
      ])
  }

  @Test func `an executable alone is warned about`() {
    let text =
      #"""
      version: 1
      applications:
        a: { executable: /bin/true }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:8: warning: any program of the same user can run inside this executable (LD_PRELOAD, ld.so(8)); add a cgroup that the user cannot write"
      ])
  }

  @Test func `an executable in a cgroup of the user is warned about`() {
    let text =
      #"""
      version: 1
      applications:
        a: { executable: /bin/true, cgroup: /user.slice/user-1000.slice/user@1000.service/app.slice }

      """#
    #expect(
      lines(text) == [
        "p.yaml:3:31: warning: the user can write this cgroup, and any program of the same user can run inside this executable (LD_PRELOAD, ld.so(8))"
      ])
  }
}
