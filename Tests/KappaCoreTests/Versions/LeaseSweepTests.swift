import Glibc
import KappaTesting
import Testing

@testable import KappaCore

/// Random sequences of actions by people and programs on versions. KAPPA_SEED repeats one, and KAPPA_ROUNDS
/// runs more of them.
@Suite("A process that has the definition keeps the live version current")
struct LeaseSweepTests {
    private static let rounds = getenv("KAPPA_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 3

    @Test("after any sequence, live versions are kept current, and no lease is held without work")
    func sequences() throws {
        let seed = Seeds.one()
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

/// One data folder, some runners, and the actions on them.
private final class Sweep {
    private let folder: VersionsFolder
    private var random: SplitMix
    private var runners: [(digests: [String: String], build: RunningBuild)] = []
    /// Versions whose file says that they were made from another log: they fail for good.
    private var corrupted: Set<VersionID> = []
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

    private func definition(_ view: String, _ digest: String) throws -> ViewDefinition {
        try #require(try ViewSet([tally(digest, named: view)]).definitions().first)
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
        let id = entries.filter { !corrupted.contains($0.id) && !$0.isLive }
            .randomElement(using: &random)?.id
        let kind = Int.random(in: 0..<10, using: &random)
        do {
            switch kind {
            case 0 where runners.count < 3, 1 where runners.isEmpty: try start()
            case 1:
                let index = Int.random(in: 0..<runners.count, using: &random)
                story += "stop \(runners[index].digests)\n"
                let runner = runners.remove(at: index)
                runner.build.runner.stop()
                // It may have ended because nothing was left for it to do.
                try? runner.build.wait()
            case 2, 3:
                let digest = Self.digests.randomElement(using: &random) ?? "a"
                story += "rebuild \(view) \(digest)\n"
                try folder.catchUp([tally(digest, named: view)], rebuilds: true)
            case 4:
                guard let id else { return }
                story += "promote \(id)\n"
                let digest = try Self.digests.first { name in
                    try entries.contains {
                        try $0.id == id && $0.digest == definition(view, name).digest
                    }
                }
                let views = ViewSet([tally(digest ?? "a", named: view)])
                _ = try NamedPromotion(folder.data, views).run([VersionReference(view, id.number)])
            case 5, 6:
                story += "rollback \(view)\n"
                _ = try Promotion(catalog).rollBack([view])
            case 7:
                guard let id else { return }
                story += "abort \(id)\n"
                try Garbage(catalog).abort(id)
            case 8:
                guard let id, Lease.holder(of: id, in: folder.data) == nil,
                    folder.data.hasFile(id)
                else { return }
                story += "corrupt \(id)\n"
                corrupted.insert(id)
                try SQLiteConnection(folder.data.file(id), .readWrite)
                    .execute("UPDATE _kappa_checkpoint SET digest_crc = digest_crc + 1")
            default:
                let keep = Int.random(in: 0...2, using: &random)
                story += "gc \(keep)\n"
                _ = try Garbage(catalog).collect(keep: keep)
                try Garbage(catalog).removeLeftovers()
            }
        } catch let error as KappaError {
            // An impossible action is refused, with a message.
            story += "  \(error.what)\n"
            #expect(error.code != .bug, "\(error)\n\(story)")
        }
    }

    private func check() throws {
        let end = Offset(UInt64(events))
        for view in Self.views {
            /// The definitions of the runners that are still running.
            func known() throws -> Set<String> {
                // A runner with nothing left to do has ended.
                let digests = runners.filter { !$0.build.isDone }.compactMap { $0.digests[view] }
                return Set(try digests.map { try definition(view, $0).digest })
            }
            func isHeld(_ id: VersionID) -> Bool { Lease.holder(of: id, in: folder.data) != nil }
            func isAtEnd(_ id: VersionID) throws -> Bool {
                let reader = try? VersionReader(folder.data.file(id))
                return try reader?.checkpoint().offset == end
            }
            try waitFor("the live version of \(view) is followed") {
                try folder.catalog().entries(of: view).allSatisfy { entry in
                    guard entry.isLive, try known().contains(entry.digest) else { return true }
                    if corrupted.contains(entry.id) { return entry.failure != nil }
                    return try isHeld(entry.id) && isAtEnd(entry.id)
                }
            }
            // The holder of a lease does its work: the version reaches the log's end.
            try waitFor("what is held of \(view) is worked on") {
                try folder.catalog().entries(of: view).allSatisfy { entry in
                    try !isHeld(entry.id)
                        || isAtEnd(entry.id) && known().contains(entry.digest)
                }
            }
        }
    }
}
