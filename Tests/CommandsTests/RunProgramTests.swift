import Foundation
import TestSupport
import Glibc
import Instructions
import Linux
import Synchronization
import Testing
import Wire

@testable import PosternCommands

/// `postern run` as a process of its own, around real programs. The broker is a fake one; what it is told is real.
@Suite struct RunProgramTests {
  private let opens = [row("disk", calls: .open)]

  private func run(_ broker: FakeBroker, _ command: String...) throws -> RealCommand.Ended {
    try RealCommand.run([RealCommand.path, "run", "--socket", broker.path, "--"] + command)
  }

  @Test func `the program's output and exit code are its own`() throws {
    let broker = try FakeBroker(plan: opens) { _ in .letThrough }
    let ended = try run(broker, "sh", "-c", "echo out; echo err >&2; exit 7")
    #expect(ended.status == 7)
    #expect(ended.output == "out\n")
    #expect(ended.errors == "err\n")
  }

  @Test func `the process that was started becomes the program`() throws {
    let broker = try FakeBroker(plan: opens) { _ in .letThrough }
    let (process, output, _) = try RealCommand.start(
      [RealCommand.path, "run", "--socket", broker.path, "--", "sh", "-c", "echo $$; kill -TERM $$"])
    let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(said == "\(process.processIdentifier)\n")
    #expect(process.terminationReason == .uncaughtSignal)
    #expect(process.terminationStatus == SIGTERM)
  }

  /// Whatever a program can see of how it was started, but for what a filter needs.
  private static let report = """
    grep -E 'Sig(Blk|Ign|Cgt)|ShdPnd|Umask|Uid|Gid|Groups|Threads|Cap' /proc/self/status
    ls -l /proc/self/fd | sed 's/.* \\([0-9]*\\) ->/\\1 ->/; /proc/d'; ulimit -a; umask; pwd; env | sort; ps -o sid=,tty=,ni=,cls= -p $$
    """

  @Test(arguments: ["", "trap '' PIPE USR1; ", "ulimit -n 77; umask 027; cd /usr; exec 5</dev/zero 0<&-; "])
  func `the program finds everything as its starter left it`(before: String) throws {
    let broker = try FakeBroker(plan: opens) { _ in .letThrough }
    func line(_ prefix: String) -> [String] {
      ["/bin/sh", "-c", before + "export MARK='a b'; exec \"$@\"", "x"]
        + prefix.split(separator: " ").map(String.init) + ["/bin/sh", "-c", RunProgramTests.report]
    }
    let without = try RealCommand.run(line("/usr/bin/env"))
    let with = try RealCommand.run(line("\(RealCommand.path) run --socket \(broker.path) --"))
    #expect(with.status == 0)
    #expect(without.output.contains("MARK=a b"))
    // Pipes, sockets and processes have numbers of their own in each run.
    func comparable(_ text: String) -> [String] {
      text.split(separator: "\n").map(String.init).filter {
        !$0.contains("pipe:") && !$0.contains("socket:") && !$0.hasPrefix(" ")
      }
    }
    #expect(comparable(with.output).difference(from: comparable(without.output)).map { "\($0)" } == [])
  }

  @Test func `arguments reach the program byte by byte`() throws {
    let broker = try FakeBroker(plan: opens) { _ in .letThrough }
    let ended = try RealCommand.run([
      "/bin/sh", "-c", "exec \"$0\" run --socket \"$1\" -- printf %s \"$(printf 'a\\377\\nb')\" | od -An -tx1",
      RealCommand.path, broker.path,
    ])
    #expect(ended.output.trimmingCharacters(in: .whitespacesAndNewlines) == "61 ff 0a 62")
  }

  @Test func `a script without a first line is run by the shell, as execvp does`() throws {
    let broker = try FakeBroker(plan: opens) { _ in .letThrough }
    let script = FileManager.default.temporaryDirectory.path + "/postern-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: script) }
    try "echo \"$0 $1\"\n".write(toFile: script, atomically: false, encoding: .utf8)
    try RealCommand.setMode(0o755, of: script)
    #expect(try run(broker, script, "one").output == "\(script) one\n")
  }

  @Test func `a missing interpreter is told as what cannot be found`() throws {
    let broker = try FakeBroker(plan: opens) { _ in .letThrough }
    let script = FileManager.default.temporaryDirectory.path + "/postern-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: script) }
    try "#!/no/such/interpreter\n".write(toFile: script, atomically: false, encoding: .utf8)
    try RealCommand.setMode(0o755, of: script)
    let ended = try run(broker, script)
    #expect(ended.status == 127)
    #expect(ended.errors.contains("interpreter"))
  }

  @Test func `the broker answers the program's calls`() throws {
    // EOWNERDEAD: nothing else gives it.
    let broker = try FakeBroker(plan: [row("web", calls: .bind)]) { _ in .fail(130) }
    let program = "import socket\ntry: socket.socket().bind(('127.0.0.1', 0))\nexcept OSError as e: print(e.errno)"
    #expect(try run(broker, "/usr/bin/python3", "-c", program).output == "130\n")
  }

  @Test func `a socket may be named from the working directory`() throws {
    let broker = try FakeBroker(plan: opens) { _ in .letThrough }
    let parts = broker.path.split(separator: "/")
    let folder = "/" + parts.dropLast().joined(separator: "/")
    let ended = try RealCommand.run([
      "/bin/sh", "-c", "cd \"$1\" && exec \"$0\" run --socket \"$2\" -- echo ran", RealCommand.path, folder,
      String(parts.last ?? ""),
    ])
    #expect(ended.output == "ran\n", "\(ended.errors)")
  }

  @Test func `a call that a dying broker had received is answered, and those that follow`() throws {
    let seen = Mutex(0)
    var broker: FakeBroker? = try FakeBroker(plan: opens) { _ in
      seen.withLock {
        $0 += 1
        return $0 < 100 ? .letThrough : .leave
      }
    }
    let path = try #require(broker?.path)
    let (process, output, errors) = try RealCommand.start(
      [
        RealCommand.path, "run", "--socket", path, "--", "sh", "-c",
        "i=0; while [ $i -lt 300 ]; do : < /dev/null || exit 9; i=$((i+1)); done; echo done",
      ])
    #expect(RealCommand.wait { seen.withLock { $0 >= 100 } })
    // It stands still: nobody answers.
    usleep(200_000)
    #expect(process.isRunning)
    broker = nil
    let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    #expect(said == "done\n")
    #expect(errors.fileHandleForReading.readDataToEndOfFile() == Data())
    #expect(RealCommand.wait { RealCommand.keepers(of: path).isEmpty })
  }

  @Test func `a broker that comes back has the program's calls again within a second`() throws {
    var first: FakeBroker? = try FakeBroker(plan: opens) { _ in .letThrough }
    let path = try #require(first?.path)
    let input = ChildProcess.pipe()
    let (process, output, _) = try RealCommand.start(
      [RealCommand.path, "run", "--socket", path, "--", "sh", "-c", "while read x; do : < /dev/null; echo $?; done"],
      input: input.fileHandleForReading)
    let reading = output.fileHandleForReading
    func step() -> String {
      input.fileHandleForWriting.write(Data("x\n".utf8))
      return String(decoding: reading.availableData, as: UTF8.self)
    }
    #expect(step() == "0\n")
    first = nil
    #expect(step() == "0\n")
    let again = Atomic<Int>(0)
    let second = try FakeBroker(plan: opens, at: path) { _ in
      again.add(1, ordering: .relaxed)
      return .fail(130)
    }
    usleep(1_000_000)
    #expect(step() != "0\n")
    #expect(again.load(ordering: .relaxed) > 0)
    try input.fileHandleForWriting.close()
    process.waitUntilExit()
    _ = second
  }

  @Test func `brokers that come and go lose no call`() throws {
    let path = FileManager.default.temporaryDirectory.path + "/postern-\(UUID().uuidString.prefix(8)).sock"
    let hasBegun = Atomic<Bool>(false)
    var broker: FakeBroker? = try FakeBroker(plan: opens, at: path) { _ in
      hasBegun.store(true, ordering: .relaxed)
      return .letThrough
    }
    let stop = path + ".stop"
    defer { try? FileManager.default.removeItem(atPath: stop) }
    // Four at once, so that calls wait while the listener changes hands. Asking for a file is no call that is notified.
    let work = "for k in 1 2 3 4; do (while [ ! -e $0 ]; do : < /dev/null || exit 9; done; echo done) & done; wait"
    let (process, output, errors) = try RealCommand.start(
      [RealCommand.path, "run", "--socket", path, "--", "sh", "-c", work, stop])
    #expect(RealCommand.wait { hasBegun.load(ordering: .relaxed) })
    let answered = Atomic<Int>(0)
    for _ in 0..<20 {
      usleep(UInt32.random(in: 1000...150_000))
      #expect(broker != nil)
      broker = nil
      usleep(UInt32.random(in: 1000...150_000))
      let leaves = Int.random(in: 1...50)
      let count = Atomic<Int>(0)
      broker = try FakeBroker(plan: opens, at: path) { _ in
        answered.add(1, ordering: .relaxed)
        return count.add(1, ordering: .relaxed).newValue == leaves ? .leave : .letThrough
      }
    }
    broker = nil
    try Data().write(to: URL(fileURLWithPath: stop))
    let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(said == "done\ndone\ndone\ndone\n")
    #expect(errors.fileHandleForReading.readDataToEndOfFile() == Data())
    #expect(answered.load(ordering: .relaxed) > 0)
  }

  @Test func `without its keeper a program of a dead broker would fail`() throws {
    var broker: FakeBroker? = try FakeBroker(plan: opens) { _ in .letThrough }
    let path = try #require(broker?.path)
    let input = ChildProcess.pipe()
    let (process, output, _) = try RealCommand.start(
      [RealCommand.path, "run", "--socket", path, "--", "sh", "-c", "echo; read x; : < /dev/null; echo $?"],
      input: input.fileHandleForReading)
    _ = output.fileHandleForReading.availableData
    for keeper in RealCommand.keepers(of: path) { kill(keeper, SIGKILL) }
    #expect(RealCommand.wait { RealCommand.keepers(of: path).isEmpty })
    broker = nil
    usleep(300_000)
    input.fileHandleForWriting.write(Data("x\n".utf8))
    let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(said != "0\n")
  }

  @Test func `the keeper is alone and holds nothing of its starter's`() throws {
    let broker = try FakeBroker(plan: opens) { _ in .letThrough }
    let input = ChildProcess.pipe()
    let (process, output, _) = try RealCommand.start(
      [
        "/bin/sh", "-c", "exec 9</dev/zero; cd /usr; exec \"$0\" run --socket \"$1\" -- sh -c 'echo; read x'",
        RealCommand.path, broker.path,
      ], input: input.fileHandleForReading)
    _ = output.fileHandleForReading.availableData
    let keepers = RealCommand.keepers(of: broker.path)
    #expect(keepers.count == 1)
    let keeper = try #require(keepers.first)
    let root = "/proc/\(keeper)"
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: root + "/cwd") == "/")
    let names = try FileManager.default.contentsOfDirectory(atPath: root + "/fd").map {
      try FileManager.default.destinationOfSymbolicLink(atPath: root + "/fd/" + $0)
    }
    #expect(names.count { $0 == "/dev/null" } == 3)
    #expect(names.count { $0 == "anon_inode:seccomp notify" } == 1)
    #expect(!names.contains("/dev/zero"))
    #expect(!names.contains { $0.hasPrefix("pipe:") })
    #expect(getsid(keeper) != getsid(process.processIdentifier))
    let status = try String(contentsOfFile: root + "/status", encoding: .utf8)
    #expect(!status.contains("PPid:\t\(process.processIdentifier)\n"))
    #expect(status.contains("Name:\tpostern-keep\n"))
    try input.fileHandleForWriting.close()
    process.waitUntilExit()
    #expect(RealCommand.wait { RealCommand.keepers(of: broker.path).isEmpty })
  }

  @Test func `one around another is refused in plain words`() throws {
    let broker = try FakeBroker(plan: opens) { _ in .letThrough }
    let ended = try run(broker, RealCommand.path, "run", "--socket", broker.path, "--", "/bin/true")
    #expect(ended.status == 125)
    #expect(ended.errors.contains("has a seccomp filter with a listener already"))
    #expect(RealCommand.wait { RealCommand.keepers(of: broker.path).isEmpty })
  }

  @Test func `a broker that does not take over ends with 125`() throws {
    let broker = try FakeBroker { request in
      if case .plan = request {
        var page = Page<PlanRow>()
        _ = try? page.append(row("disk", calls: .open))
        return [.plan(page)]
      }
      return [.refused(RefusedReply(Refusal(.quota, message: "too many")))]
    }
    let ended = try run(broker, "/bin/true")
    #expect(ended.status == 125)
    #expect(ended.errors.contains("quota"))
    #expect(ended.errors.contains("too many"))
    #expect(RealCommand.wait { RealCommand.keepers(of: broker.path).isEmpty })
  }

  @Test(.enabled(if: geteuid() == 0)) func `a set-user-ID program is warned of, and runs`() throws {
    let broker = try FakeBroker(plan: opens) { _ in .letThrough }
    let folder = FileManager.default.temporaryDirectory.path + "/postern-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try RealCommand.setMode(0o755, of: folder)
    for name in ["id", "postern"] {
      try FileManager.default.copyItem(
        atPath: name == "id" ? "/usr/bin/id" : RealCommand.path, toPath: "\(folder)/\(name)")
    }
    try RealCommand.setMode(0o4755, of: "\(folder)/id")
    let ended = try RealCommand.run(
      ["/usr/bin/setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]
        + ["\(folder)/postern", "run", "--socket", broker.path, "--", "\(folder)/id", "-u"])
    #expect(ended.status == 0)
    #expect(ended.output == "65534\n")
    #expect(ended.errors.contains("set-user-ID to root"))
    #expect(ended.errors.contains("no_new_privs"))
  }

  @Test func `a keeper is not started by hand`() throws {
    let ended = try RealCommand.run(["/bin/sh", "-c", "exec 3<&-; exec \"$0\" keep", RealCommand.path])
    #expect(ended.status == 64)
    #expect(ended.errors.contains("postern run"))
  }
}
