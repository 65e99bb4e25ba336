// swift-tools-version: 6.2
import PackageDescription

let swift: [SwiftSetting] = [
  .swiftLanguageMode(.v6), .strictMemorySafety(), .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("MemberImportVisibility"),
]
let c: [CSetting] = [.unsafeFlags(["-Wall", "-Wextra", "-Werror", "-std=gnu11"])]

func pure(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: swift)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
  .testTarget(
    name: name, dependencies: dependencies, path: "Tests/\(name)", exclude: exclude, swiftSettings: swift)
}

let package = Package(
  name: "postern",
  products: [
    .executable(name: "posternd", targets: ["posternd"]),
    .executable(name: "postern", targets: ["postern"]),
    .executable(name: "postern-audit-serve", targets: ["postern-audit-serve"]),
    .library(name: "Postern", targets: ["Postern"]),
    .library(name: "LibPostern", type: .dynamic, targets: ["LibPostern"]),
    .library(name: "Wire", targets: ["Wire"]),
    // For the fuzzers.
    .library(
      name: "Mediation", targets: ["Mediation", "Entity", "Objects", "Linux", "Authority", "Instructions", "Wire"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
    .package(url: "https://github.com/swhitty/FlyingFox", exact: "0.27.1"),
    .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
    .package(url: "https://github.com/groue/GRDB.swift", exact: "7.10.0"),
  ],
  targets: [
    .systemLibrary(name: "CSeccomp", pkgConfig: "libseccomp", providers: [.apt(["libseccomp-dev"])]),
    .systemLibrary(name: "CCap", pkgConfig: "libcap", providers: [.apt(["libcap-dev"])]),

    .target(name: "KernelEntity", path: "kmodule-sim", exclude: ["bpf"], publicHeadersPath: "include", cSettings: c),

    pure("Instructions"),
    pure("Authority", ["Instructions"]),
    pure("Wire", ["Instructions"]),
    pure("Analysis"),
    pure("Chain", [.product(name: "Crypto", package: "swift-crypto")]),

    .target(name: "CLinux", dependencies: ["KernelEntity"], cSettings: c),
    .target(
      name: "Linux", dependencies: ["CLinux", "KernelEntity", "CSeccomp", "CCap", "Instructions"],
      swiftSettings: swift),
    .target(name: "Objects", dependencies: ["Linux", "Authority", "Instructions"], swiftSettings: swift),
    .target(name: "Entity", dependencies: ["Linux", "Authority", "Instructions"], swiftSettings: swift),
    .target(
      name: "Mediation", dependencies: ["Linux", "Objects", "Entity", "Authority", "Instructions", "Wire"],
      swiftSettings: swift),
    .target(
      name: "Supervision", dependencies: ["Linux", "Objects", "Entity", "Authority", "Instructions"],
      swiftSettings: swift),
    .target(
      name: "Policy", dependencies: ["Authority", "Instructions", .product(name: "Yams", package: "Yams")],
      swiftSettings: swift),
    .target(name: "Audit", dependencies: ["Linux", "Chain", "Authority", "Instructions"], swiftSettings: swift),
    .target(name: "CPostgreSQL", cSettings: c),
    .target(name: "PostgreSQL", dependencies: ["CPostgreSQL"], swiftSettings: swift),
    .target(
      name: "AnalysisDatabase",
      dependencies: [
        "Audit", "Analysis", "PostgreSQL", "Linux", "Authority", "Instructions",
        .product(name: "GRDB", package: "GRDB.swift"),
      ],
      swiftSettings: swift),
    .target(
      name: "AuditAnalysis", dependencies: ["Audit", "Policy", "Authority", "Instructions"], swiftSettings: swift),
    .target(
      name: "AuditViewer", dependencies: ["AuditAnalysis", "Audit", "Authority", "Instructions"], swiftSettings: swift),
    .target(
      name: "Broker",
      dependencies: [
        "Linux", "Objects", "Entity", "Mediation", "Supervision", "Policy", "Audit", "Authority", "Instructions",
        "Wire",
      ],
      swiftSettings: swift),
    .target(name: "Postern", dependencies: ["Linux", "Wire", "Authority", "Instructions"], swiftSettings: swift),
    .target(name: "CPostern"),
    .target(
      name: "LibPostern", dependencies: ["CPostern", "Postern", "Linux", "Authority", "Instructions", "Wire"],
      swiftSettings: swift),
    .target(
      name: "PosternCommands",
      dependencies: [
        "Postern", "Policy", "AuditViewer", "AuditAnalysis", "Audit", "AnalysisDatabase", "Analysis", "Entity",
        "Authority", "Instructions", "Wire", "Linux", "Supervision", "Broker",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: swift),
    .executableTarget(
      name: "posternd",
      dependencies: [
        "Broker", "Postern", "Linux", "Instructions",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: swift),
    .executableTarget(name: "postern", dependencies: ["PosternCommands"], swiftSettings: swift),
    .executableTarget(
      name: "postern-audit-serve",
      dependencies: [
        "PosternCommands", "AuditViewer", "Linux", .product(name: "FlyingFox", package: "FlyingFox"),
        .product(name: "FlyingSocks", package: "FlyingFox"),
      ],
      swiftSettings: swift),
    .executableTarget(
      name: "benchmarks",
      dependencies: ["AnalysisDatabase", "Analysis", "Audit", "Entity", "Linux", "Authority", "Instructions", "Wire"],
      path: "Benchmarks/inprocess", swiftSettings: swift),

    tests(
      "LinuxTests", ["TestSupport", "Linux", "CLinux", "Instructions"], exclude: ["Programs", "system-calls.txt"]),
    tests("InstructionsTests", ["Instructions", "KernelEntity"]),
    tests("AuthorityTests", ["TestSupport", "Authority", "Instructions"]),
    tests("WireTests", ["TestSupport", "Wire", "Instructions"]),
    tests("PolicyTests", ["TestSupport", "Policy", "Authority", "Instructions"]),
    tests(
      "ConformanceTests", ["TestSupport", "Entity", "Linux", "KernelEntity", "Authority", "Instructions"],
      exclude: ["Vectors", "native"]),
    tests("ObjectsTests", ["TestSupport", "Objects", "Linux", "Authority", "Instructions"]),
    tests("ChainTests", ["Chain"]),
    tests("AuditTests", ["TestSupport", "Audit", "Chain", "Linux", "Authority", "Instructions"]),
    tests(
      "AuditAnalysisTests",
      ["TestSupport", "AuditAnalysis", "Audit", "Policy", "Entity", "Linux", "Authority", "Instructions"]),
    tests("AnalysisTests", ["TestSupport", "Analysis"]),
    tests(
      "AnalysisDatabaseTests",
      ["TestSupport", "AnalysisDatabase", "Analysis", "PostgreSQL", "Audit", "Linux", "Authority", "Instructions"]),
    tests("AuditViewerTests", ["TestSupport", "AuditViewer", "AuditAnalysis", "Audit", "Authority", "Instructions"]),
    tests("MediationTests", ["Mediation", "Objects", "Linux", "Entity", "Authority", "Instructions", "Wire"]),
    .target(name: "FakeKernel", path: "Tests/FakeKernel", cSettings: c),
    tests(
      "ClientTests",
      ["TestSupport", "Postern", "LibPostern", "CPostern", "FakeKernel", "Linux", "Wire", "Instructions"]),
    tests(
      "CommandsTests",
      ["TestSupport", "PosternCommands", "Postern", "Policy", "Audit", "Authority", "Instructions", "Wire", "Linux"]),
    tests("BrokerTests", ["TestSupport", "Broker", "Audit", "Authority", "Instructions", "Linux"]),
    .target(name: "TestSupport", path: "Tests/Support", swiftSettings: swift),
    tests("IntegrationTests", ["TestSupport", "Postern", "Linux", "Wire", "Instructions"]),
    tests("RunTests", ["TestSupport"]),
    tests("HostileTests", ["TestSupport", "Audit", "Authority", "Wire", "Instructions"], exclude: ["Programs"]),
  ]
)
