import Foundation
import TestSupport
import Testing

/// `postern audit serve` with a real broker, and a real browser.
@Suite(
  .enabled(if: Tier.has("python3", "chromium", "curl"), "needs python3, chromium and curl"), .timeLimit(.minutes(5)))
struct PageTests {
  private struct Served {
    var address: String
    var site: String { address.split(separator: "/").prefix(2).joined(separator: "//") }
    var token: String { address.split(separator: "=").last.map(String.init) ?? "" }
  }

  private func serve(_ scene: Scene, _ arguments: String...) throws -> Served {
    let line =
      [
        try Programs.path("postern"), "--socket", scene.socket, "audit", "serve", "--state-dir",
        scene.folder + "/state",
      ]
      + arguments
    let said = try scene.start(line, as: scene.brokerUser).heard()
    try #require(said.hasPrefix("Open http://127.0.0.1:"), "\(said)")
    return Served(address: String(said.dropFirst(5)))
  }

  /// Drives a browser.
  private func browse(_ scene: Scene, _ steps: String) throws {
    try scene.write("steps", steps)
    let result = try Command.run(["/bin/sh", "-c", "python3 '\(try Programs.path("page"))' < '\(scene.folder)/steps'"])
    #expect(result.status == 0 && result.output.contains("DONE"), "\(result.output)\(result.errors)")
  }

  private func get(_ served: Served, _ path: String) throws -> String {
    try Command.run(["/usr/bin/curl", "-s", "-H", "Authorization: Bearer \(served.token)", served.site + path]).output
  }

  private func status(_ arguments: String...) throws -> String {
    try Command.run(["/usr/bin/curl", "-s", "-o", "/dev/null", "-w", "%{http_code}"] + arguments).output
  }

  @Test func `it filters, follows a live refusal, opens why, and loads nothing from elsewhere`() throws {
    try Scene.run(Policies.image()) { scene in
      #expect(try scene.postern("read", "nothing-of-yours").status == 1)
      #expect(try scene.postern("read", "<script>alert(1)</script>").status == 1)
      let served = try serve(scene)
      let refused =
        "'\(try Programs.path("postern"))' --socket '\(scene.socket)' read nothing-of-yours 2>/dev/null; test $? -eq 1"
      try browse(
        scene,
        """
        size 1280 900 light
        open \(served.address)
        wait document.querySelectorAll('#rows tr').length > 1 && !location.search.includes('token')
        wait document.getElementById('badge').textContent.includes('integrity unkeyed · complete up to')
        wait document.getElementById('rows').innerText.includes('<script>alert(1)</script>')
        wait document.querySelectorAll('#graph path.grant').length == 1
        wait document.querySelectorAll('#timeline rect').length > 0
        key /
        type object:nothing-of-yours
        wait document.querySelectorAll('#rows tr').length == 1
        wait decodeURIComponent(location.search) == '?filter=object:nothing-of-yours'
        key Enter
        run \(refused)
        wait document.querySelectorAll('#rows tr').length == 2
        key ArrowDown
        key Enter
        wait document.getElementById('told').innerText.includes('the policy has no such object')
        wait document.getElementById('told').innerText.includes('What would have allowed exactly this')
        size 390 844 dark
        wait document.documentElement.scrollWidth <= 390
        key Escape
        wait document.getElementById('detail').hidden
        wait document.documentElement.scrollWidth <= 390
        open \(served.site)/?filter=reason:busy
        wait document.getElementById('empty').innerText.includes('no record at all has reason:busy')

        """)
    }
  }

  /// What would do something in a page that takes a name for markup, script or style.
  private static let hostile = [
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "</title></svg></style><script>alert(2)</script>",
    "javascript:alert(3)", "'+alert(4)+'", "${alert(5)}", "&lt;b&gt;&#60;", "]]><b>", "__proto__", "constructor",
    "\u{202E}gnp.exe", "e\u{301}\u{301}\u{301}", "名前名前名前名前名前名前名前名前名前名前",
    String(repeating: "W", count: 200),
  ]

  /// Nothing on the page but what belongs there, and each line within the page.
  private static let harmless = """
    wait document.title === 'Postern audit' && !document.querySelector('img, b, iframe, object, style, [onerror], [href^=javascript]')
    wait document.querySelectorAll('script').length === 1 && Object.prototype.toString.call({}) === '[object Object]'
    wait document.documentElement.scrollWidth <= innerWidth
    wait [...document.querySelectorAll('#graph text')].every(text => { const inner = text.getBoundingClientRect(), \
    outer = document.getElementById('graph').getBoundingClientRect(); \
    return inner.left >= outer.left - 1 && inner.right <= outer.right + 1 })
    """

  @Test func `a hostile name does nothing in the list, the graph, the filter, the detail and the diff`() throws {
    try Scene.run(Policies.image()) { scene in
      for name in Self.hostile { #expect(try scene.postern("read", name).status == 1) }
      let folder = scene.folder + "/open/<img src=x onerror=alert(6)>'\"&amp;"
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
      _ = try Command.demand(["/bin/ln", try Programs.path("postern"), folder + "/cat"])
      #expect(try Command.run([folder + "/cat", "--socket", scene.socket, "read", "image"]).status == 1)
      let served = try serve(scene)
      func literal(_ text: String) throws -> String {
        String(decoding: try JSONEncoder().encode(text), as: UTF8.self)
      }
      // As the journal's listing shows it: what acts or has no width of its own stands there escaped.
      let shown = Self.hostile.prefix(10)
      var steps = """
        size 1280 900 light
        open \(served.address)
        wait document.querySelectorAll('#rows tr').length > \(Self.hostile.count)

        """
      for name in shown {
        steps +=
          "wait [...document.querySelectorAll('#rows td')].some(cell => cell.textContent === 'read ' + \(try literal(name)))\n"
        steps += """
          wait [...document.querySelectorAll('#graph title')].some(title => title.textContent.includes('→ ' + \(try literal(name)) + ','))

          """
      }
      steps += "wait !document.getElementById('list').textContent.includes('\u{202E}')\n"
      for size in ["1280 900 light", "1280 900 dark", "390 844 light", "390 844 dark"] {
        steps += "size \(size)\n" + Self.harmless + "\n"
      }
      steps += """
        size 1280 900 light
        key /
        type object:\(Self.hostile[0])
        wait document.querySelectorAll('#rows tr').length == 1
        wait location.search.length > 10 && !document.getElementById('mistake').textContent
        key Enter
        key ArrowDown
        key Enter
        wait document.getElementById('told').innerText.includes(\(try literal(Self.hostile[0])))
        \(Self.harmless)
        key Escape
        open \(served.site)/?filter=object:image
        wait document.querySelectorAll('#rows tr').length == 1
        key ArrowDown
        key Enter
        wait document.getElementById('suggestion').textContent.includes('alert(6)')
        \(Self.harmless)
        wait [...document.querySelectorAll('#words option')].every(option => /^[a-z]+:?/.test(option.value))
        size 390 844 dark
        \(Self.harmless)
        open \(served.site)/?filter=reason:%3Cimg/src=x/onerror=alert(7)%3E
        wait document.getElementById('mistake').textContent.includes('<img')
        wait !document.getElementById('empty').textContent
        \(Self.harmless)

        """
      try browse(scene, steps)
    }
  }

  @Test(arguments: ["1280 900 light", "1280 900 dark", "390 844 light", "390 844 dark"])
  func `the page fits and has the colours that were asked for`(size: String) throws {
    try Scene.run(Policies.image()) { scene in
      for _ in 0..<3 { #expect(try scene.postern("read", "nothing-of-yours").status == 1) }
      let words = size.split(separator: " ")
      let isDark = words[2] == "dark"
      // Text against what is behind it, as bright as it is (WCAG 2.2, relative luminance; 4.5 is its AA).
      let contrast = """
        wait (() => { const light = color => color.match(/[0-9.]+/g).slice(0, 3).map(v => v / 255) \
        .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0); \
        const behind = node => { while (node) { const color = getComputedStyle(node).backgroundColor; \
        if (color !== 'rgba(0, 0, 0, 0)') return color; node = node.parentElement } return 'rgb(255, 255, 255)' }; \
        const dark = light(getComputedStyle(document.body).backgroundColor) < .2; \
        return dark === \(isDark) && [...document.querySelectorAll('body *')].filter(node => node.checkVisibility() && \
        [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim()) && !node.closest('svg')).every(node => { \
        const [a, b] = [light(getComputedStyle(node).color), light(behind(node))].sort((a, b) => b - a); \
        return (a + .05) / (b + .05) >= 4.5 }) })()
        """
      try browse(
        scene,
        """
        size \(size)
        open \(try serve(scene).address)
        wait document.querySelectorAll('#rows tr').length > 3
        \(Self.harmless)
        \(contrast)
        key ArrowDown
        key Enter
        wait document.getElementById('suggestion')
        \(Self.harmless)
        \(contrast)

        """)
    }
  }

  @Test func `a first key that does not cover every record leaves the badge in doubt, and says what to do`() throws {
    try Scene.run(Policies.image()) { scene in
      let card = try scene.postern("audit", "key", "--state-dir", scene.folder + "/state")
      try scene.write("card", card.output)
      scene.killBroker()
      try FileManager.default.removeItem(atPath: scene.folder + "/state/journal.key")
      try scene.startAgain()
      #expect(try scene.postern("read", "nothing-of-yours").status == 1)
      let told = try get(try serve(scene, "--key", scene.folder + "/card"), "/verify")
      #expect(told.contains(#""integrity":"uncovered""#) && told.contains(#""isGood":false,"isBad":false"#), "\(told)")
      #expect(told.contains("do not cover every record") && told.contains("take those records for forged"), "\(told)")
    }
  }

  @Test
  func `the badge has both verdicts, says what was not checked without the first key, and with it that all is well`()
    throws
  {
    try Scene.run(Policies.image()) { scene in
      #expect(try scene.postern("read", "nothing-of-yours").status == 1)
      let without = try get(try serve(scene), "/verify")
      #expect(without.contains(#""integrity":"unkeyed""#) && without.contains(#""completeness":"complete up to "#))
      #expect(
        without.contains("Authenticity was not checked") && without.contains("audit serve --key FILE"), "\(without)")
      let card = try scene.postern("audit", "key", "--state-dir", scene.folder + "/state")
      try scene.write("card", card.output)
      try browse(
        scene,
        """
        size 1280 900 light
        open \(try serve(scene).address)
        wait document.getElementById('badge').textContent.includes('integrity unkeyed · complete up to')
        wait document.getElementById('advice').innerText.includes('Authenticity was not checked')
        size 390 844 dark
        wait document.documentElement.scrollWidth <= 390
        open \(try serve(scene, "--key", scene.folder + "/card").address)
        wait document.getElementById('badge').textContent.includes('integrity intact · complete up to')
        wait document.getElementById('badge').className == 'good' && document.getElementById('advice').hidden

        """)
      let wrong = try scene.postern("audit", "serve", "--key", scene.policyPath)
      #expect(wrong.status == 65 && wrong.errors.contains("is not what `audit key` shows"), "\(wrong)")
    }
  }

  @Test func `the filter reaches what is older than the records that are kept`() throws {
    try Scene.run(Policies.image()) { scene in
      #expect(try scene.postern("read", "the-oldest").status == 1)
      for _ in 0..<8 { #expect(try scene.postern("read", "later").status == 1) }
      try browse(
        scene,
        """
        size 1280 900 light
        open \(try serve(scene, "--newest", "5").address)
        wait document.getElementById('covered').innerText.startsWith('These are the newest 5 of ')
        key /
        type object:the-oldest
        wait document.getElementById('covered').innerText.startsWith('The filter covers the newest 5 of ')
        key Escape
        key o
        wait document.querySelectorAll('#found tr').length == 1
        wait document.getElementById('found').innerText.includes('the-oldest')
        wait document.getElementById('empty').innerText == ''
        key ArrowDown
        key Enter
        wait document.getElementById('told').innerText.includes('the policy has no such object')

        """)
    }
  }

  @Test func `while a journal is verified that takes long, why is told, and the grants and what is older`() throws {
    try Scene.run(Policies.image()) { scene in
      #expect(try scene.postern("read", "nothing-of-yours").status == 1)
      // The head of a segment, and then a terabyte that is none.
      let place = scene.folder + "/open/long"
      try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: false)
      let names = try FileManager.default.contentsOfDirectory(atPath: scene.folder + "/state")
      let name = try #require(names.first { $0.hasSuffix(".pj") })
      try FileManager.default.copyItem(atPath: "\(scene.folder)/state/\(name)", toPath: "\(place)/\(name)")
      _ = try Command.demand(["/usr/bin/truncate", "-s", "1T", "\(place)/\(name)"])
      let served = try serve(scene, "--state-dir", place)
      let asked = ["/usr/bin/curl", "-s", "-m", "20", "-H", "Authorization: Bearer \(served.token)"]
      let verifying = try scene.start(asked + [served.site + "/verify"], as: scene.brokerUser)
      Thread.sleep(forTimeInterval: 1)
      for (path, wanted) in [
        ("/why?id=1", #""title":"record""#), ("/older?before=2&filter=", #""rows""#), ("/grants", #""grants":[{"#),
      ] {
        let told = try Command.run(asked + [served.site + path])
        #expect(told.output.contains(wanted), "\(path): \(told)")
      }
      verifying.end()
    }
  }

  @Test func `connections that send nothing are closed, and hold nobody up meanwhile`() throws {
    try Scene.run(Policies.image()) { scene in
      let served = try serve(scene)
      let port = served.site.split(separator: ":").last.map(String.init) ?? ""
      // 100 at a time, of which 36 give way to the others at once, and the rest after ten seconds.
      let silent = """
        import select, socket, subprocess, sys, time
        start = time.monotonic()
        open_ = [socket.create_connection(("127.0.0.1", \(port))) for _ in range(100)]
        def closed(seconds):
            count, end = 0, time.monotonic() + seconds
            while open_ and time.monotonic() < end:
                for one in select.select(open_, [], [], max(0, end - time.monotonic()))[0]:
                    open_.remove(one)
                    one.close()
                    count += 1
                if seconds < 5 and count >= 36: break
            return count
        first = closed(4)
        asked = time.monotonic()
        code = subprocess.run(["curl", "-s", "-o", "/dev/null", "-m", "5", "-w", "%{http_code}", "-H",
            "Authorization: Bearer \(served.token)", "\(served.site)/grants"], capture_output=True, text=True).stdout
        took = time.monotonic() - asked
        rest = closed(20)
        print(first, code, took < 3, rest, time.monotonic() - start < 20)
        """
      let result = try Command.run(["/usr/bin/env", "python3", "-c", silent])
      // The client may take one more's place.
      #expect(["36 200 True 64 True\n", "37 200 True 63 True\n"].contains(result.output), "\(result)")
    }
  }

  @Test func `it is served on a unix socket that is its owner's alone`() throws {
    try Scene.run(Policies.image()) { scene in
      #expect(try scene.postern("read", "nothing-of-yours").status == 1)
      let path = scene.folder + "/open/page"
      let line = [
        try Programs.path("postern"), "--socket", scene.socket, "audit", "serve", "--state-dir",
        scene.folder + "/state", "--listen", path,
      ]
      let first = try scene.start(line, as: scene.brokerUser)
      let said = first.heard()
      try #require(
        said.hasPrefix("Open http://localhost/?token=") && said.hasSuffix(" at the socket \(path)"), "\(said)")
      let token = said.split(separator: "=")[1].split(separator: " ")[0]
      let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
      #expect(mode == 0o600)
      let curl = ["/usr/bin/curl", "-s", "--unix-socket", path, "http://localhost/verify"]
      #expect(try Command.run(curl + ["-o", "/dev/null", "-w", "%{http_code}"]).output == "403")
      let answer = try Command.run(curl + ["-H", "Authorization: Bearer \(token)"]).output
      #expect(answer.contains(#""completeness":"complete up to "#), "\(answer)")
      if Tier.root {
        #expect(try Command.run(Account.nobody.prefix + curl).status == 7)
      }
      let second = try Command.run(line)
      #expect(second.status == 74 && second.errors.contains("served"), "\(second)")
      first.end()
      // What a killed one left is taken away.
      #expect(try scene.start(line, as: scene.brokerUser).heard().hasPrefix("Open "))
    }
  }

  @Test func `without the token, under another name, or with another method there is nothing`() throws {
    try Scene.run(Policies.image()) { scene in
      let served = try serve(scene)
      let header = "Authorization: Bearer \(served.token)"
      for path in ["/", "/live", "/why?id=1", "/verify", "/grants", "/page.js"] {
        #expect(try status(served.site + path) == "403")
        #expect(try status("-H", header, "-H", "Host: evil.example", served.site + path) == "421")
        #expect(try status("-H", header, "-H", "Origin: http://evil.example", served.site + path) == "421")
        #expect(try status("-H", header, "-X", "POST", served.site + path) == "405")
      }
      #expect(try status("-H", header, served.site + "/") == "200")
      #expect(try status("-H", header, served.site + "/../etc/passwd", "--path-as-is") == "404")
      let answer = try Command.run(["/usr/bin/curl", "-si", served.address]).output
      #expect(answer.contains("303") && answer.contains("HttpOnly; SameSite=Strict"))
      #expect(answer.contains("default-src 'none'"))
    }
  }

  @Test func `a user's page shows that user's own records alone`() throws {
    guard Tier.root else { return }
    try Scene.run(Policies.image()) { scene in
      #expect(try scene.postern("read", "secret-of-root").status == 1)
      #expect(try scene.postern("read", "mine", as: .nobody).status == 1)
      let said = try scene.start(
        [try Programs.path("postern"), "--socket", scene.socket, "audit", "serve"], as: .nobody
      ).heard()
      let served = Served(address: String(said.dropFirst(5)))
      let seen = try Command.run([
        "/usr/bin/curl", "-sN", "--max-time", "3", "-H", "Authorization: Bearer \(served.token)",
        served.site + "/live?filter=",
      ]).output
      #expect(seen.contains("read mine") && !seen.contains("secret-of-root"), "\(seen)")
    }
  }
}
