import Authority
import Glibc
import Instructions
import Linux

/// What the broker uses itself and never brokers, under whatever name: its state folder, its socket, its policy.
public struct BrokerFiles: Sendable {
  private let paths: [String]

  /// - Parameter paths: files and folders; a folder stands for everything in it. They need not exist yet.
  public init(_ paths: [String] = []) { self.paths = paths }

  /// Throws EACCES, with where the name leads to, for what is a file of the kernel or of the broker itself.
  ///
  /// The policy's reader refuses such paths by name (`isBrokerable`); this looks at what the name led to: a symbolic link,
  /// a bind mount or a hard link is another name for the same file.
  func check(_ pin: borrowing Descriptor, _ status: FileStatus, named path: String) throws(SystemError) {
    let resolved = try pin.resolvedPath()
    func refuse(_ whose: String) -> SystemError {
      SystemError(errno: EACCES, operation: "open", path: "\(path), which leads to \(whose), \(resolved)")
    }
    if try pin.isOnKernelFileSystem() { throw refuse("the kernel's own") }
    // Reached through /proc/self/fd: a descriptor of the broker.
    if status.links == 0 { throw refuse("a file without a name") }
    let identity = FileIdentity(status)
    for own in paths {
      guard let ownPin = try? Descriptor.pin(own), let ownStatus = try? ownPin.status() else {
        if Self.contains(own, resolved) { throw refuse("the broker's own") }
        continue
      }
      let place = (try? ownPin.resolvedPath()) ?? own
      if Self.contains(place, resolved) || FileIdentity(ownStatus) == identity { throw refuse("the broker's own") }
      // A hard link, or a bind mount of the folder: only device and inode show it.
      for entry in (try? RegularFile.paths(in: place, suffix: "")) ?? [] {
        guard let entryPin = try? Descriptor.pin(entry, followingLink: false), let found = try? entryPin.status() else {
          continue
        }
        if FileIdentity(found) == identity { throw refuse("the broker's own") }
      }
    }
  }

  private static func contains(_ place: String, _ path: String) -> Bool {
    path == place || path.hasPrefix("\(place)/")
  }
}
