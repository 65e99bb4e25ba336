// swift-tools-version: 6.2
import PackageDescription

// Apart from the rest, so that Postern itself does not depend on what only its benchmark needs.
let package = Package(
  name: "report",
  dependencies: [
    .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", exact: "0.2.0")
  ],
  targets: [
    .executableTarget(
      name: "report",
      dependencies: [.product(name: "Histogram", package: "hdrhistogram-swift")],
      swiftSettings: [.swiftLanguageMode(.v6), .strictMemorySafety(), .treatAllWarnings(as: .error)])
  ]
)
