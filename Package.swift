// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "kappa",
    products: [
        .library(name: "KappaCore", targets: ["KappaCore"]),
        .library(name: "KappaCLI", targets: ["KappaCLI"]),
        .library(name: "KappaSinks", targets: ["KappaSinks"]),
        .library(name: "KappaTesting", targets: ["KappaTesting"]),
        .executable(name: "kappa", targets: ["kappa"]),
        .executable(name: "kappa-bench", targets: ["KappaBenchmarks"]),
        .plugin(name: "ViewDigests", targets: ["ViewDigests"]),
    ],
    targets: [
        // System libraries and thin C shims.
        .systemLibrary(
            name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .target(name: "CKappa"),
        // `make test-fuzz SIMDJSON=…` links a simdjson other than the system's, under another name.
        .target(
            name: "CKappaJSON",
            linkerSettings: [
                .linkedLibrary(Context.environment["KAPPA_SIMDJSON_LIBRARY"] ?? "simdjson")
            ]),

        // The engine.
        .target(name: "KappaCore", dependencies: ["CKappa", "CKappaJSON", "CSQLite", "CZstd"]),
        .target(name: "KappaTesting", dependencies: ["KappaCore"]),

        // Where views can be published: files.
        .target(name: "KappaSinks", dependencies: ["KappaCore"]),

        // The program: a library that works with any views, and our executable with the sample views.
        .target(name: "KappaCLI", dependencies: ["KappaCore", "CKappa"]),
        .target(
            name: "Views", dependencies: ["KappaCore"], path: "views", plugins: ["ViewDigests"]),
        .executableTarget(name: "kappa", dependencies: ["KappaCLI", "KappaSinks", "Views"]),

        // What `make bench` runs.
        .executableTarget(
            name: "KappaBenchmarks", dependencies: ["KappaCore", "KappaCLI", "Views"],
            exclude: ["Peers"]),

        // Digests of view files, so that a changed definition is a new version.
        .executableTarget(name: "ViewDigestsTool"),
        .plugin(
            name: "ViewDigests", capability: .buildTool(), dependencies: ["ViewDigestsTool"]),

        // Views that `kappa verify` must catch, with a program of their own for the tests.
        .executableTarget(
            name: "FaultyViews", dependencies: ["KappaCLI"], path: "fixtures/faulty"),
        // Views with rows of every kind, with a program that the tests run in several processes.
        .executableTarget(
            name: "RowKinds", dependencies: ["KappaCLI"], path: "fixtures/rows"),

        .testTarget(
            name: "KappaCoreTests",
            dependencies: [
                "KappaCore", "KappaCLI", "KappaSinks", "KappaTesting", "KappaBenchmarks", "Views",
                "ViewDigestsTool",
            ]),
    ],
    cxxLanguageStandard: .cxx17
)
