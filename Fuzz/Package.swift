// swift-tools-version: 6.2
import PackageDescription

// Static libraries, because the package manager gives every executable a main of its own and libFuzzer brings one.
// The script `run` builds and links them, with the sanitizers for every module, so that coverage guides through them all.
let targets = [
  "FuzzControl": ["Wire"],
  "FuzzChannel": ["Wire"],
  "FuzzInterpreter": ["Mediation"],
]

let package = Package(
  name: "fuzz",
  products: targets.keys.sorted().map { .library(name: $0, type: .static, targets: [$0]) },
  // Without the name, the package would be called after its folder, which is not ours to know.
  dependencies: [.package(name: "postern", path: "..")],
  targets: targets.sorted { $0.key < $1.key }.map { name, products in
    .target(
      name: name,
      dependencies: products.map { .product(name: $0, package: "postern") },
      swiftSettings: [.swiftLanguageMode(.v6), .strictMemorySafety(), .treatAllWarnings(as: .error)])
  }
)
