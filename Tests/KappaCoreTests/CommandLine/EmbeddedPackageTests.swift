import Foundation
import Glibc
import Testing

@testable import KappaCore

/// fixtures/embedded is a user's package that depends on this one. It is built from a copy, so that the test
/// can change a view in it as its author would.
@Suite("A user's own package", .serialized)
struct EmbeddedPackageTests {
    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    /// Kept from one run of the tests to the next, so that only the first one builds it all.
    private static let place = root.appending(path: ".build/embedded")
    private static let swift: String? = {
        let path = getenv("PATH").map { String(cString: $0) } ?? ""
        let places = path.split(separator: ":").map { "\($0)/swift" }
        return places.first { access($0, X_OK) == 0 }
    }()

    private let kappa: KappaProgram
    init() throws { kappa = try KappaProgram() }

    private func build(changingView change: (String) -> String = { $0 }) throws {
        let files = FileManager.default
        let fixture = Self.root.appending(path: "fixtures/embedded")
        let package = Self.place.appending(path: "package")
        let names = [
            "Package.swift", "Sources/ShopViews/Orders.swift", "Sources/shop/main.swift",
            "Sources/embedded/Embedded.swift",
        ]
        for name in names {
            let target = package.appending(path: name)
            try files.createDirectory(
                at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
            var text = try String(contentsOf: fixture.appending(path: name), encoding: .utf8)
            text = text.replacing(#"path: "../..""#, with: "path: \"\(Self.root.path)\"")
            if name.hasSuffix("Orders.swift") { text = change(text) }
            // An unchanged file keeps its time, and is not built again.
            if (try? String(contentsOf: target, encoding: .utf8)) != text {
                try text.write(to: target, atomically: true, encoding: .utf8)
            }
        }
        let environment = ProcessInfo.processInfo.environment.filter { name, _ in
            ["PATH", "HOME", "TMPDIR", "LANG"].contains(name)
        }
        let swift = try #require(Self.swift)
        let built = try KappaProgram.Child(
            [
                swift, "build", "--package-path", package.path, "--scratch-path",
                Self.place.appending(path: "build").path, "--disable-index-store",
            ], in: kappa.folder.path, input: nil, environment: environment
        ).wait(seconds: 900)
        try #require(built.code == 0, "\(built)")
    }

    /// A program of the package, copied, so that the next build does not replace it.
    private func program(_ name: String, as copy: String) throws -> String {
        let target = kappa.folder.path + "/" + copy
        try FileManager.default.copyItem(
            at: Self.place.appending(path: "build/debug/\(name)"),
            to: URL(fileURLWithPath: target))
        return target
    }

    @Test(
        "it builds, has the whole program, and its changed view is a new version beside the old",
        .timeLimit(.minutes(20)), .enabled(if: swift != nil, "needs the swift command"))
    func builds() throws {
        try build()
        let old = try program("shop", as: "shop-old")
        let embedded = try program("embedded", as: "embedded")
        let flow = try ReviewFlow()
        try build(changingView: flow.edit)
        let new = try program("shop", as: "shop-new")
        try server(embedded)
        try upgrade(from: old, to: new)
        let folder = kappa.folder.path + "/review"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        try flow.act(in: folder, old: old, new: new)
    }

    private func server(_ program: String) throws {
        let folder = kappa.folder.path + "/server"
        let finished = try kappa.start([folder], program: program).wait()
        #expect(finished.code == 0, "\(finished)")
        #expect(
            finished.output == """
                insert ["o-1"] {"order_id":"o-1","total":12,"status":"placed"}
                insert ["o-2"] {"order_id":"o-2","total":30,"status":"placed"}
                update ["o-1"] {"order_id":"o-1","total":12,"status":"shipped"}
                delete ["o-2"] -
                rows: [ShopViews.Order(total: 12, status: ShopViews.Order.Status.shipped)]
                closed

                """)
    }

    private func upgrade(from old: String, to new: String) throws {
        func run(_ program: String, _ words: String...) throws -> KappaProgram.Finished {
            try kappa.start(words, program: program).wait()
        }
        var events = ""
        for number in 0..<500 {
            events += #"{"event_type":"order_placed","order_id":"o-\#(number)","total":5}"# + "\n"
        }
        try kappa.run("append", input: events)
        #expect(try run(old, "views", "--format", "csv").lines.count == 2)
        #expect(try run(old, "views").output != run(new, "views").output)
        let first = try kappa.start(["run"], program: old)
        try waitFor("the old build is live") { first.errors.contains("orders@1: live since") }
        // A reader that reads all the time sees one version or the other, and never an older state.
        var seen: [(version: Int, position: Int)] = []
        func look() throws {
            let status = try run(old, "status", "orders", "--format", "json")
            #expect(status.code == 0, "\(status)")
            let live = try #require(status.records.first { $0["live"] as? Bool == true })
            seen.append((live["version"] as? Int ?? 0, live["position"] as? Int ?? 0))
        }
        try look()
        let second = try kappa.start(["run"], program: new)
        var number = 0
        while seen.last?.version != 2, number < 500 {
            let line = #"{"event_type":"order_cancelled","order_id":"o-\#(number)"}"#
            #expect(try kappa.run("append", input: line).code == 0)
            number += 1
            try look()
        }
        try waitFor("the old build has ended its work") {
            first.errors.contains("orders@1: retired; lease released")
        }
        try waitFor("the new build is current") {
            try look()
            return seen.last?.position == 500 + number
        }
        for (before, after) in zip(seen, seen.dropFirst()) {
            #expect(before.version <= after.version && before.position <= after.position)
        }
        for run in [first, second] {
            run.signal(SIGTERM)
            #expect(try run.wait().code == 0)
        }
        // Only the changed view has rows of cancelled orders.
        let cancelled = try run(
            new, "sql",
            "SELECT count(*) AS n, sum(total) AS t FROM orders WHERE status = 'cancelled'",
            "--format", "csv")
        #expect(cancelled.output == "n,t\n\(number),\(5 * number)\n")
        // Back to the old build: its version is found and brought forward, not rebuilt; only a person can
        // decide that it replaces a newer one.
        let back = try run(old, "run", "--until-caught-up")
        #expect(back.errors.contains("orders@1: resumes from its checkpoint"), "\(back)")
        #expect(
            back.errors.contains(
                "orders@1: ready; orders@2, which is newer, is live, so only "
                    + "`kappa promote orders@1` promotes it"), "\(back)")
        #expect(try run(old, "promote", "orders@1").code == 0)
        let live = try run(old, "status", "orders", "--format", "json").records.first
        #expect(live?["live"] as? Bool == true && live?["position"] as? Int == 500 + number)
    }
}
