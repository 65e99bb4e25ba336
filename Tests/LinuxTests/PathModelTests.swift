import Foundation
import Glibc
import Linux
import Testing

/// Random paths in random trees: what the kernel opens for the program is what we resolve.
@Suite(.serialized) struct PathModelTests {
  @Test(.enabled(if: PathTier.root)) func `a random path ends where the program's open ends`() throws {
    let seed = PathTier.seed
    var random = PathRandom(seed: seed)
    var (opened, refused) = (0, 0)
    for tree in 0..<(PathTier.isSoak ? 200 : 10) {
      try round(&random, paths: 300, "POSTERN_TEST_SEED=\(seed), tree \(tree)") { found in
        if found.hasPrefix("file") { opened += 1 } else { refused += 1 }
      }
    }
    // Else nothing was compared.
    #expect(opened > 300 && refused > 300, "\(opened) opened, \(refused) refused, POSTERN_TEST_SEED=\(seed)")
  }

  private func round(
    _ random: inout PathRandom, paths: Int, _ label: String, _ seen: (String) -> Void
  ) throws {
    let (stand, tree) = (try PathStand(), try PathTree())
    defer { stand.end() }
    var folders = [""]
    for _ in 0..<random.below(8) {
      let name = folders[random.below(folders.count)] + letter(&random)
      guard (try? tree.folder(name)) != nil else { continue }
      folders.append(name + "/")
    }
    for _ in 0..<25 {
      let name = folders[random.below(folders.count)] + letter(&random)
      // Not followed: a file is not written where a link points to, which may be outside.
      guard (try? FileManager.default.attributesOfItem(atPath: tree(name))) == nil else { continue }
      if random.below(4) == 0 {
        _ = try? tree.file(name)
      } else {
        try? tree.link(name, to: path(&random))
      }
    }
    try stand.has("chroot", tree.path)
    try stand.has("cwd", "/" + folders[random.below(folders.count)])
    try stand.has("fd", "/" + folders[random.below(folders.count)], "9")
    for _ in 0..<paths {
      let path = path(&random)
      let directory: Int32 = random.below(2) == 0 ? 9 : -100
      let follow = random.below(4) != 0
      let rules: [ResolveRules] = [
        [], [], [], .beneath, .inRoot, .noSymbolicLinks, .noMounts, .noMagicLinks, [.beneath, .noMounts],
        [.inRoot, .noMagicLinks],
      ]
      let rule = rules[random.below(rules.count)]
      let flags = O_RDONLY | O_NONBLOCK | (follow ? 0 : O_NOFOLLOW)
      let expected = try stand.opened(path, flags: flags, rules: rule, directory: directory)
      let found = try stand.resolved(path, follow: follow, rules: rule, directory: directory)
      // What cannot be held to the start, or to the mount, is left to the kernel, and only then.
      let isLeft =
        found == "error \(EAGAIN)" && !rule.isDisjoint(with: [.beneath, .inRoot])
        || found == "error \(EXDEV)" && rule.contains(.noMounts)
      #expect(
        found == expected || isLeft,
        "\(label): \(found), not \(expected): \(path) in \(tree.path) from \(directory) \(follow) \(rule)")
      seen(found)
    }
  }

  private func letter(_ random: inout PathRandom) -> String { ["a", "b", "c", "d"][random.below(4)] }

  private func path(_ random: inout PathRandom) -> String {
    var path = random.below(4) == 0 ? "/" : ""
    let count = 1 + random.below(4)
    for index in 0..<count {
      path += [".", "..", "..", "a", "b", "c", "d", "a", "b", "c", "d"][random.below(11)]
      if index + 1 < count || random.below(6) == 0 { path += random.below(8) == 0 ? "//" : "/" }
    }
    return path
  }
}

/// A link that another thread of the program swaps between a granted file and a forbidden one.
@Suite(.serialized) struct PathRaceTests {
  private func swapping(_ body: (PathStand, PathTree, _ granted: String, _ link: [UInt8]) throws -> Void) throws {
    let (stand, tree) = (try PathStand(), try PathTree())
    defer { stand.end() }
    let granted = try tree.file("granted")
    try tree.file("forbidden")
    try tree.link("link", to: tree("granted"))
    try stand.has("swap", tree("link"), tree("granted"), tree("forbidden"))
    try body(stand, tree, granted, Array(tree("link").utf8))
  }

  private func words(_ file: borrowing Descriptor) throws -> String {
    let status = try file.status()
    return "file \(status.device) \(status.inode)"
  }

  /// 1,000,000 tries with POSTERN_SOAK.
  @Test func `what was matched is what is opened, however fast a link is swapped`() throws {
    try swapping { stand, _, granted, link in
      let surroundings = try stand.surroundings()
      let served = try #require(OpenFlags.servable([]))
      var (matched, others, wrong) = (0, 0, 0)
      for _ in 0..<(PathTier.isSoak ? 1_000_000 : 10_000) {
        let found = try surroundings.resolve(link)
        guard try words(found) == granted else {
          others += 1
          continue
        }
        matched += 1
        if try words(PathSurroundings.reopen(found, as: served)) != granted { wrong += 1 }
      }
      #expect(wrong == 0)
      // It was swapped, or nothing was raced.
      #expect(matched > 0 && others > 0, "\(matched) matched, \(others) not")
    }
  }

  @Test func `the twin that looks the name up again loses`() throws {
    try swapping { stand, _, granted, link in
      let surroundings = try stand.surroundings()
      let served = try #require(OpenFlags.servable([]))
      var lost = false
      for _ in 0..<1_000_000 where !lost {
        let found = try surroundings.resolve(link)
        guard try words(found) == granted else { continue }
        lost = try words(PathSurroundings.reopen(surroundings.resolve(link), as: served)) != granted
      }
      #expect(lost)
    }
  }
}
