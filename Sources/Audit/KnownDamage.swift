import Linux
import Synchronization

/// Where segments have no record over a long way, as readers have found it: the next one that comes there goes on at the
/// end at once. For a process that reads for whoever asks, as often as they ask.
///
/// Only of segments that the writer has left. A file that somebody puts right is another version of it, of which nothing
/// is known.
public final class KnownDamage: Sendable {
  private let stretches = Mutex<[FileVersion: [Range<UInt64>]]>([:])

  /// Shorter ones are gone over as fast as they are looked up.
  static let least: UInt64 = 64 << 10
  /// A journal on a disk that loses so many has other troubles.
  private static let mostFiles = 4096

  public init() {}

  /// The first stretch that ends behind a place.
  func stretch(of file: FileVersion, endingBehind offset: UInt64) -> Range<UInt64>? {
    stretches.withLock { $0[file]?.first { $0.upperBound > offset } }
  }

  /// Takes note that no record begins there.
  func note(_ stretch: Range<UInt64>, of file: FileVersion) {
    guard stretch.upperBound - stretch.lowerBound >= KnownDamage.least else { return }
    stretches.withLock { stretches in
      if stretches.count >= KnownDamage.mostFiles, stretches[file] == nil { stretches = [:] }
      var joined = stretch
      var others: [Range<UInt64>] = []
      for other in stretches[file] ?? [] {
        if other.lowerBound <= joined.upperBound, joined.lowerBound <= other.upperBound {
          joined = min(joined.lowerBound, other.lowerBound)..<max(joined.upperBound, other.upperBound)
        } else {
          others.append(other)
        }
      }
      stretches[file] = (others + [joined]).sorted { $0.lowerBound < $1.lowerBound }
    }
  }
}
