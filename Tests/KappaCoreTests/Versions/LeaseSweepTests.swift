import Glibc
import KappaTesting
import Testing

@testable import KappaCore

/// Random sequences of what people and programs do to versions. KAPPA_SEED repeats one, and
/// KAPPA_ROUNDS makes more of them.
@Suite("Whoever has the definition follows what is live")
struct LeaseSweepTests {
    private static let rounds = getenv("KAPPA_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 4

    @Test("after any sequence, live versions are followed, and no lease is held for nothing")
    func sequences() throws {
        let seed = versionsSeed()
        for round in 0..<Self.rounds {
            let sweep = try Sweep(SplitMix(state: seed &+ UInt64(round)))
            do { try sweep.run(steps: 14) } catch {
                Issue.record(
                    "KAPPA_SEED=\(seed &+ UInt64(round)) KAPPA_ROUNDS=1: \(error)\n\(sweep.story)")
                sweep.stopAll()
                throw error
            }
        }
    }
}

/// One data folder, some runners, and what is done to them.
private final class Sweep {
    private let folder: VersionsFolder
    private var random: SplitMix
    private var runners: [(digests: [String: String], build: RunningBuild)] = []
    /// Versions whose file says that they were made from another log: they fail for good.
    private var spoilt: Set<VersionID> = []
    private var events = 0
    private(set) var story = ""

    private static let views = ["tally", "more"]
    private static let digests = ["a", "b", "c"]

    init(_ random: SplitMix) throws {
        self.random = random
        folder = try VersionsFolder()
        try append()
        try start()
    }

    func run(steps: Int) throws {
        for _ in 0..<steps {
            try step()
            if Bool.random(using: &random) { continue }
            try append()
            try check()
        }
        try append()
        try check()
        stopAll()
        for entry in try folder.catalog().entries() {
            #expect(Lease.holder(of: entry.id, in: folder.data) == nil, "\(entry.id) \(story)")
        }
    }

    func stopAll() {
        for runner in runners { runner.build.runner.stop() }
        for runner in runners { try? runner.build.wait() }
        runners = []
    }

    private func append() throws {
        try folder.append(ticks: 5, first: events)
        events += 5
    }

    private func views(_ digests: [String: String]) -> [any AnyView] {
        digests.sorted { $0.key < $1.key }.map { tally($0.value, named: $0.key) }
    }

    private func start() throws {
        var digests: [String: String] = [:]
        for view in Self.views where view == "tally" || Bool.random(using: &random) {
            digests[view] = Self.digests.randomElement(using: &random)
        }
        story += "start \(digests)\n"
        runners.append((digests, try RunningBuild(folder.data, views(digests))))
    }

    private func step() throws {
        let view = Self.views.randomElement(using: &random) ?? "tally"
        let catalog = try folder.catalog()
        let entries = try catalog.entries(of: view)
        let id = entries.filter { !spoilt.contains($0.id) && !$0.isLive }
            .randomElement(using: &random)?.id
        let kind = Int.random(in: 0..<9, using: &random)
        do {
            switch kind {
            case 0 where runners.count < 3, 1 where runners.isEmpty: try start()
            case 1:
                let index = Int.random(in: 0..<runners.count, using: &random)
                story += "stop \(runners[index].digests)\n"
                let runner = runners.remove(at: index)
                runner.build.runner.stop()
                // It may have ended because nothing was left that it could do.
                try? runner.build.wait()
            case 2, 3:
                let digest = Self.digests.randomElement(using: &random) ?? "a"
                story += "rebuild \(view) \(digest)\n"
                try folder.catchUp([tally(digest, named: view)], rebuilds: true)
            case 4:
                guard let id else { return }
                story += "promote \(id)\n"
                let digest = entries.first { $0.id == id }?.digest ?? ""
                _ = try NamedPromotion(
                    folder.data, ViewSet([tally(digest, named: view)])
                ).run([VersionReference(view, id.number)])
            case 5, 6:
                story += "rollback \(view)\n"
                _ = try Promotion(catalog).rollBack([view])
            case 7:
                guard let id else { return }
                story += "abort \(id)\n"
                try Garbage(catalog).abort(id)
            default:
                let keep = Int.random(in: 0...2, using: &random)
                story += "gc \(keep)\n"
                _ = try Garbage(catalog).collect(keep: keep)
            }
        } catch let error as KappaError {
            // What cannot be done is refused, in words.
            story += "  \(error.what)\n"
            #expect(error.code != .bug, "\(error)\n\(story)")
        }
    }

    private func check() throws {
        let end = Offset(UInt64(events))
        for view in Self.views {
            let known = Set(runners.compactMap { $0.digests[view] })
            try waitFor("the live version of \(view) is followed") {
                for entry in try folder.catalog().entries(of: view)
                where entry.isLive && known.contains(entry.digest) {
                    let path = folder.data.file(entry.id)
                    return try VersionReader(path).checkpoint().offset == end
                        && Lease.holder(of: entry.id, in: folder.data) != nil
                }
                return true
            }
            // Who holds a lease works: the version gets where the log ends.
            try waitFor("what is held of \(view) is worked on") {
                try folder.catalog().entries(of: view).allSatisfy { entry in
                    guard Lease.holder(of: entry.id, in: folder.data) != nil else { return true }
                    let reader = try? VersionReader(folder.data.file(entry.id))
                    return try reader?.checkpoint().offset == end
                        && known.contains(entry.digest)
                }
            }
        }
    }
}
