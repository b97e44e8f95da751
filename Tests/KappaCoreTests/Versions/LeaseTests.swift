import Glibc
import KappaTesting
import Testing

@testable import KappaCore

/// A lease ends with the version's work, and a runner that has the definition takes over a free version.
/// Leases are locks of open files, so two runners in one process behave like two processes.
@Suite("A lease ends with the work")
struct LeaseTests {
    private let folder: VersionsFolder

    init() throws {
        folder = try VersionsFolder()
        try folder.append(ticks: 20)
    }

    private func id(_ number: Int, _ view: String = "tally") -> VersionID {
        VersionID(view, VersionNumber(number))
    }

    private func live(_ view: String = "tally") throws -> Int? {
        try folder.catalog().live(view)?.rawValue
    }

    private func position(_ number: Int, _ view: String = "tally") throws -> UInt64 {
        try folder.reader(view, number).checkpoint().offset.rawValue
    }

    private func isHeld(_ number: Int, _ view: String = "tally") -> Bool {
        Lease.holder(of: id(number, view), in: folder.data) != nil
    }

    @Test("after a rollback to its own definition, a run keeps the now live version current")
    func rollBackToOwn() throws {
        let build = try RunningBuild(folder.data, [tally("a"), tally("x", named: "more")])
        try build.until("both are live") { try live() == 1 && live("more") == 1 }
        try folder.catchUp([tally("a")], rebuilds: true)
        try build.until("tally@2 is followed") { isHeld(2) && !isHeld(1) }
        _ = try Promotion(folder.catalog()).rollBack(["tally"])
        try folder.append(ticks: 10, first: 20)
        try build.until("tally@1 is followed") { try position(1) == 30 }
        try build.until("tally@2 is free") { !isHeld(2) }
        #expect(try position(1, "more") == 30)
        try build.stop()
    }

    @Test("a live version that retires between being taken and being opened stays retired")
    func retiresMeanwhile() throws {
        try folder.catchUp([tally("a")])
        try folder.catchUp([tally("a")], rebuilds: true)
        let definition = try ViewSet([tally("a")]).workedOut().definition(of: "tally")
        let taken = ViewRunner.Taken(
            id: id(2), definition: definition, lease: try Lease(id(2), in: folder.data),
            isLive: true, promotes: true, isRebuild: false, isRetry: false)
        _ = try Promotion(folder.catalog()).rollBack(["tally"])
        let catalog = try folder.catalog()
        let member = try RunnerMember(
            taken, catalog, plan: ExtractionPlan(), budgetBytes: 1 << 20)
        #expect(try catalog.entries(of: "tally").map(\.state) == [.live, .retired])
        // So the first read of the catalog ends its work.
        #expect(member.isLive)
        member.end()
        #expect(!isHeld(2))
    }

    @Test("a rollback to another build's version gives the lease to that build, which stands by")
    func rollBackToOther() throws {
        let old = try RunningBuild(folder.data, [tally("a")])
        try old.until("tally@1 is live") { try live() == 1 }
        let new = try RunningBuild(folder.data, [tally("b")])
        try new.until("tally@2 is live") { try live() == 2 }
        try old.until("tally@1 is free") { !isHeld(1) }
        #expect(!old.isDone)
        for round in 1...3 {
            _ = try Promotion(folder.catalog()).rollBack(["tally"])
            let now = round % 2 == 0 ? 2 : 1
            #expect(try live() == now)
            try folder.append(ticks: 10, first: 10 + 10 * round)
            try waitFor("tally@\(now) is followed") {
                try position(now) == UInt64(20 + 10 * round)
            }
            try waitFor("the other one is free") { !isHeld(3 - now) }
        }
        try old.stop()
        try new.stop()
    }

    @Test("a failed version is free, while the other views are kept current")
    func failed() throws {
        try folder.catchUp([tally("a"), tally("x", named: "more")])
        try SQLiteConnection(folder.data.file(id(1, "more")), .readWrite)
            .execute("UPDATE _kappa_checkpoint SET digest_crc = digest_crc + 1")
        let build = try RunningBuild(folder.data, [tally("a"), tally("x", named: "more")])
        try folder.append(ticks: 10, first: 20)
        try build.until("tally@1 is followed") { try position(1) == 30 }
        try build.until("more@1 has failed and is free") {
            build.said.contains { $0.hasPrefix("failed more@1") } && !isHeld(1, "more")
        }
        #expect(isHeld(1))
        try build.stop()
        #expect(!isHeld(1))
    }

    @Test("a version whose file cannot be opened is free, and the others start")
    func unopened() throws {
        try folder.catchUp([tally("a"), tally("x", named: "more")])
        for suffix in ["-wal", "-shm"] { unlink(folder.data.file(id(1, "more")) + suffix) }
        let file = open(folder.data.file(id(1, "more")), O_WRONLY | O_TRUNC)
        #expect(write(file, "nothing", 7) == 7)
        close(file)
        try folder.append(ticks: 10, first: 20)
        let build = try RunningBuild(folder.data, [tally("a"), tally("x", named: "more")])
        try build.until("tally@1 is followed") { try position(1) == 30 }
        try build.until("more@1 has failed and is free") {
            build.said.contains { $0.hasPrefix("failed more@1") } && !isHeld(1, "more")
        }
        #expect(build.runner.unresolved?.code == .damaged)
        // A rebuild repairs it.
        try folder.catchUp([tally("x", named: "more")], rebuilds: true)
        try build.until("more@2 is followed") { isHeld(2, "more") }
        try build.until("nothing is unresolved") { build.runner.unresolved == nil }
        try build.stop()
    }

    @Test(
        "a run whose versions are all held elsewhere stands by, and takes over what becomes free"
    )
    func hotStandby() throws {
        let views: [any AnyView] = [tally("a"), tally("x", named: "more")]
        let first = try RunningBuild(folder.data, views)
        try first.until("both are live") { try live() == 1 && live("more") == 1 }
        let second = try RunningBuild(folder.data, views)
        try second.until("it stands by") { second.said.count { $0.hasPrefix("left") } == 2 }
        #expect(!second.isDone)
        try first.stop()
        try folder.append(ticks: 10, first: 20)
        try second.until("it has taken over") {
            try position(1) == 30 && position(1, "more") == 30
        }
        try second.stop()
        #expect(try folder.catalog().entries().count == 2)
    }

    @Test("several builds race at different speeds: the live number never goes down automatically")
    func race() throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        try folder.append(ticks: 2_000, first: 20)
        try folder.catchUp([tally("a")])
        for round in 0..<3 {
            // Created in one order, ready in another: each is stopped half-way, then resumed.
            let names = (0..<4).map { "\(round)-\($0)" }
            for name in names {
                try folder.catchUp(
                    [tally(name)], until: Offset(.random(in: 1...1_900, using: &random)))
            }
            let builds = try names.shuffled(using: &random).map { name in
                usleep(.random(in: 0...20_000, using: &random))
                return try RunningBuild(folder.data, [tally(name)])
            }
            let newest = try #require(try folder.catalog().entries(of: "tally").last?.id.number)
            try waitFor("all have caught up, KAPPA_SEED=\(seed)") {
                builds.allSatisfy { build in
                    build.said.contains { $0.hasPrefix("caught up") || $0.hasPrefix("failed") }
                }
            }
            try waitFor("the newest is live, KAPPA_SEED=\(seed)") {
                try folder.catalog().live("tally") == newest
            }
            for build in builds { try build.stop() }
        }
        let history = try folder.catalog().history(of: "tally")
        #expect(
            history.allSatisfy { $0.from == nil || $0.from! < $0.to },
            "\(history.map(\.to)), KAPPA_SEED=\(seed)")
    }

    @Test("a stopped rebuild is finished by the next run, and promoted")
    func stoppedRebuild() throws {
        try folder.append(ticks: 50_000, first: 20)
        try folder.catchUp([tally("a")])
        let rebuild = try RunningBuild(folder.data, [tally("a")]) {
            $0.rebuilds = true
            $0.follows = false
        }
        rebuild.runner.stop()
        try rebuild.wait()
        #expect(try folder.entry("tally", 2)?.state == .building)
        let run = try RunningBuild(folder.data, [tally("a")])
        try run.until("tally@2 is live") { try live() == 2 }
        try run.until("tally@1 is free") { !isHeld(1) && isHeld(2) }
        try run.stop()
        #expect(try folder.catalog().entries().map(\.state) == [.retired, .live])
    }
}
