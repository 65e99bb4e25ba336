// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "SensorLogger",
  dependencies: [.package(name: "postern", path: "../../..")],
  targets: [
    .executableTarget(
      name: "SensorLogger", dependencies: [.product(name: "Postern", package: "postern")], path: "Sources",
      swiftSettings: [.swiftLanguageMode(.v6)])
  ]
)
