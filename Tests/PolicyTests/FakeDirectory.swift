import Authority
import Policy
import Testing

struct FakeDirectory: AccountDirectory {
  var users: [String: UInt32] = ["www-data": 33, "alice": 1000]
  var groups: [String: UInt32] = ["postern-admin": 990, "audit-group": 991, "video": 44]

  func userID(named name: String) -> UInt32? { users[name] }
  func groupID(named name: String) -> UInt32? { groups[name] }
}

/// The lines of every mistake and warning of one file named `p.yaml`, or nothing where there is none.
func lines(_ text: String) -> [String] {
  switch PolicyReader.read(files: [PolicyFile(name: "p.yaml", bytes: Array(text.utf8))], directory: FakeDirectory()) {
  case .success(let policy): policy.warnings.map(\.line)
  case .failure(let failure): failure.mistakes.map(\.line)
  }
}

/// The model of one file that must be read.
func model(_ text: String) throws -> PolicyModel {
  try PolicyReader.read(files: [PolicyFile(name: "p.yaml", bytes: Array(text.utf8))], directory: FakeDirectory()).get()
    .model
}
