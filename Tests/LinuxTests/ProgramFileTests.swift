import Foundation
import TestSupport
import Linux
import Testing

/// The first 256 bytes of a file that begins so, as the kernel has them.
private func head(_ text: String) -> [UInt8] {
  Array((Array(text.utf8) + [UInt8](repeating: 0, count: ScriptHead.size)).prefix(ScriptHead.size))
}

@Suite struct ScriptHeadTests {
  @Test(arguments: [
    ("#!/bin/sh\n", "/bin/sh"), ("#!/bin/sh", "/bin/sh"), ("#! \t/bin/sh \t\n", "/bin/sh"),
    ("#!/usr/bin/env python3 -x\nrest", "/usr/bin/env"), ("#!sh\n/bin/no", "sh"), ("#!/bin/sh\u{0}x\n", "/bin/sh"),
    ("#!" + String(repeating: "a", count: 253) + "\n", String(repeating: "a", count: 253)),
    ("#!/x " + String(repeating: "y", count: 400), "/x"),
    // Byte 255 may end the name, and is no part of it.
    ("#!" + String(repeating: "a", count: 253) + " yes", String(repeating: "a", count: 253)),
  ])
  func `the interpreter is the one that the kernel takes`(text: String, interpreter: String) {
    #expect(ScriptHead.interpreter(head(text)) == interpreter)
  }

  @Test(arguments: [
    "", "#", "#!", "#!\n", "#!  \t\n/bin/sh", "# !/bin/sh\n", "\u{7F}ELF", "echo\n", "\n#!/bin/sh\n",
    // It may have been cut: the kernel runs none.
    "#!" + String(repeating: "a", count: 254), "#!" + String(repeating: " ", count: 300),
  ])
  func `what the kernel takes for no script is none`(text: String) {
    #expect(ScriptHead.interpreter(head(text)) == nil)
  }
}

@Suite struct ProgramFileTests {
  private final class Folder {
    let path = FileManager.default.temporaryDirectory.path + "/postern-\(UUID().uuidString)"
    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false) }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ name: String, _ text: String, mode: Int = 0o755) throws -> String {
      try text.write(toFile: "\(path)/\(name)", atomically: false, encoding: .utf8)
      try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: "\(path)/\(name)")
      return "\(path)/\(name)"
    }
  }

  @Test func `the first that can be run is found, as execvp does`() throws {
    let folder = try Folder()
    let other = try Folder()
    _ = try folder.write("tool", "", mode: 0o644)
    let right = try other.write("tool", "")
    #expect(try Linux.Program(named: "tool", searching: "/no/such:\(folder.path):\(other.path)").path == right)
    #expect(throws: Linux.Program.Mistake.notFound) { try Linux.Program(named: "tool", searching: "/no/such") }
    #expect(throws: Linux.Program.Mistake.notFound) { try Linux.Program(named: "", searching: folder.path) }
    #expect(throws: Linux.Program.Mistake.notFound) { try Linux.Program(named: folder.path + "/none", searching: nil) }
    for name in ["tool", folder.path + "/tool", folder.path] {
      do {
        _ = try Linux.Program(named: name, searching: folder.path)
        Issue.record("\(name) was found")
      } catch {
        guard case .notExecutable = error else {
          Issue.record("\(name): \(error)")
          continue
        }
      }
    }
  }

  @Test func `the image of a chain of scripts is the last interpreter, of at most five`() throws {
    let folder = try Folder()
    var path = "/bin/sh"
    for step in 1...6 {
      path = try folder.write("s\(step)", "#!\(path) -x\n")
      let program = try Linux.Program(named: path, searching: nil)
      if step <= 5 {
        let image = try program.image().status()
        let shell = try Descriptor.pin("/bin/sh").status()
        #expect(image.inode == shell.inode && image.device == shell.device, "\(step)")
      } else {
        #expect(throws: SystemError.self) { _ = try program.image() }
      }
      // The kernel agrees.
      let process = Process()
      process.executableURL = URL(fileURLWithPath: path)
      process.arguments = []
      process.standardError = FileHandle.nullDevice
      process.standardInput = FileHandle.nullDevice
      let runs = (try? ChildProcess.start(process)) != nil
      if runs { process.waitUntilExit() }
      #expect(runs == (step <= 5), "\(step)")
    }
  }

  @Test func `a program that is no script is its own image`() throws {
    let program = try Linux.Program(named: "sh", searching: "/bin")
    let image = try program.image().status()
    #expect(image.inode == (try Descriptor.pin("/bin/sh").status().inode))
  }
}
