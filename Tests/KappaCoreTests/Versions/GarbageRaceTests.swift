import Glibc
import KappaTesting
import Testing

@testable import KappaCore

/// Runs gc concurrently with everything else.
@Suite("gc races")
struct GarbageRaceTests {
    private let folder: VersionsFolder
    private static let milliseconds =
        getenv("KAPPA_RACE_MS").flatMap { Int(String(cString: $0)) } ?? 1_000

    init() throws {
        folder = try VersionsFolder()
        try folder.append(ticks: 20)
    }

    @Test("gc beside rollbacks, promotions, rebuilds, runs and readers drops nothing that is live")
    func race() throws {
        let data = folder.data
        try folder.catchUp([tally("a")])
        let seed = Seeds.one()
        let isEnd = Monitor(false)
        let findings = Monitor<[String]>([])
        @Sendable func finding(_ text: String) {
            findings.withLock { $0.append("\(text), KAPPA_SEED=\(seed)") }
        }
        /// An action may be refused with a message; nothing else may go wrong.
        func thread(
            _ name: String, _ number: UInt64,
            _ body: @escaping @Sendable (inout SplitMix) throws -> Void
        ) throws -> WorkerThread {
            try WorkerThread("test-\(name)") {
                var random = SplitMix(state: seed &+ number)
                while !isEnd.withLock({ $0 }) {
                    do { try body(&random) } catch let error as KappaError {
                        let isWord = [.notFound, .refused, .heldElsewhere, .usage].contains(
                            error.code)
                        if !isWord { finding("\(name): \(error)") }
                    } catch { finding("\(name): \(error)") }
                    usleep(.random(in: 0...2_000, using: &random))
                }
            }
        }
        let build = try RunningBuild(data, [tally("a")])
        let threads = [
            try thread("gc", 1) { random in
                let catalog = try Catalog(data)
                _ = try Garbage(catalog).collect(keep: .random(in: 0...1, using: &random))
                _ = try Garbage(catalog).collectSnapshots(keep: 1)
                try Garbage(catalog).removeLeftovers()
            },
            try thread("rollback", 2) { _ in _ = try Promotion(Catalog(data)).rollBack(["tally"]) },
            try thread("promote", 3) { random in
                let catalog = try Catalog(data)
                guard let id = try catalog.entries().randomElement(using: &random)?.id else {
                    return
                }
                _ = try NamedPromotion(data, ViewSet([tally("a"), tally("b")])).run(
                    [VersionReference(id.view, id.number)])
            },
            try thread("rebuild", 4) { random in
                var options = ViewRunner.Options()
                options.follows = false
                options.rebuilds = true
                let digest = ["a", "b"].randomElement(using: &random) ?? "a"
                try ViewRunner(data, ViewSet([tally(digest)]), options: options).run()
            },
            try thread("reader", 5) { _ in
                let catalog = try Catalog(data)
                guard let live = try catalog.live("tally") else {
                    return finding("nothing is live")
                }
                let id = VersionID("tally", live)
                do { _ = try VersionReader(data.file(id)).checkpoint() } catch {
                    // It may have been switched and dropped since.
                    if try catalog.live("tally") == live { finding("\(id) is live: \(error)") }
                }
                guard try catalog.entries(of: "tally").contains(where: \.isLive) else {
                    return finding("what is live was dropped")
                }
            },
        ]
        let follower = try thread("tail", 6) { _ in
            let follower = ChangeFollower("tally", try Catalog(data), from: .rows)
            for _ in 0..<20 { _ = try follower.poll { _ in } }
        }
        usleep(UInt32(Self.milliseconds) * 1_000)
        isEnd.withLock { $0 = true }
        for thread in threads + [follower] { thread.join() }
        #expect(findings.withLock { $0 } == [])
        build.runner.stop()
        try build.wait()
        _ = try Garbage(folder.catalog()).collect(keep: 0)
        try Garbage(folder.catalog()).removeLeftovers()
        #expect(LeftoverTests.strays(in: data) == [])
        #expect(data.linkedNumber(of: "tally") == (try folder.catalog().live("tally")))
    }

    @Test("a rollback to a version that was just dropped says so, and switches nothing")
    func dropped() throws {
        try folder.catchUp([tally("a")])
        try folder.catchUp([tally("b")])
        let catalog = try folder.catalog()
        let change = Catalog.Switch(
            view: "tally", from: VersionNumber(2), to: VersionNumber(1), position: Offset(20),
            reason: Catalog.Switch.rollback, atMicros: 0)
        _ = try Garbage(catalog).collect(keep: 0)
        let error = #expect(throws: KappaError.self) {
            try Promotion(catalog).apply([change], isByName: true)
        }
        #expect(error?.code == .notFound && error?.what == "tally@1 was dropped meanwhile")
        let none = #expect(throws: KappaError.self) { try Promotion(catalog).rollBack(["tally"]) }
        #expect(none?.what == "view tally cannot be rolled back")
        #expect(try catalog.live("tally") == VersionNumber(2))
    }
}
