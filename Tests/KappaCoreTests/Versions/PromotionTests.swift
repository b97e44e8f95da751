import Testing

@testable import KappaCore

@Suite("Promoting and rolling back")
struct PromotionTests {
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

    private func promote(_ ids: VersionID...) throws -> Promotion.Outcome {
        try Promotion(folder.catalog()).promote(ids, reason: "test")
    }

    /// Falsifies a version's checkpoint.
    private func tamper(_ id: VersionID, _ change: String) throws {
        try SQLiteConnection(folder.data.file(id), .readWrite)
            .execute("UPDATE _kappa_checkpoint SET \(change)")
    }

    @Test("several views are switched in one step, or none of them")
    func severalViews() throws {
        let before = [tally("a"), tally("a", named: "other")]
        let after = [tally("b"), tally("b", named: "other")]
        try folder.catchUp(before)
        try folder.catchUp(after, promotes: false)
        try tamper(id(2, "tally"), "digest_crc = digest_crc + 1")
        let error = #expect(throws: KappaError.self) { try promote(id(2, "other"), id(2)) }
        #expect(error?.code == .refused)
        #expect(try [live("other"), live("tally")] == [1, 1])
        try tamper(id(2, "tally"), "digest_crc = digest_crc - 1")
        guard case .switched(let switches) = try promote(id(2, "other"), id(2)) else {
            Issue.record("not promoted")
            return
        }
        #expect(switches.map(\.view) == ["other", "tally"])
        #expect(switches.map(\.position) == [Offset(20), Offset(20)])
        #expect(try [live("other"), live("tally")] == [2, 2])
        #expect(folder.data.linkedNumber(of: "other") == VersionNumber(2))
    }

    @Test(
        "a version that did not apply exactly the log's events is refused",
        arguments: [
            "digest_crc = digest_crc + 1", "digest_bytes = digest_bytes - 1",
            "offset = offset - 1", "digest_bytes = digest_bytes + 12, offset = offset - 1",
        ])
    func proof(change: String) throws {
        try folder.catchUp([tally("a")], promotes: false)
        try tamper(id(1), change)
        let error = #expect(throws: KappaError.self) { try promote(id(1)) }
        #expect(error?.code == .refused)
        #expect(error?.what == "tally@1 did not apply exactly the events of the log")
        #expect(try live() == nil)
    }

    @Test(
        "a version before the position that readers have seen is not promoted until it gets there")
    func neverBack() throws {
        try folder.catchUp([tally("a")])
        try folder.catchUp([tally("b")], promotes: false)
        try folder.append(ticks: 5)
        try folder.catchUp([tally("a")])
        #expect(try promote(id(2)) == .lags(id(2), needs: Offset(25)))
        #expect(try live() == 1)
        try folder.catchUp([tally("b")], promotes: false)
        #expect(try promote(id(2)) != .lags(id(2), needs: Offset(25)))
        #expect(try live() == 2)
    }

    @Test("a version ahead of the log proves a loss: a rebuild says so and does not wait forever")
    func shorterLog() throws {
        try folder.catchUp([tally("a")])
        Folder.remove(folder.data.log)
        let writer = try LogWriter(folder.data.log)
        var line = Tick.line("a", 1)
        _ = try line.withUTF8 { try writer.append(try EventLines(UnsafeRawBufferPointer($0))) }
        let error = #expect(throws: KappaError.self) { try folder.catchUp([tally("b")]) }
        #expect(error?.code == .damaged)
        #expect(error?.what == "the log has lost events that tally@1 has applied")
        #expect(try live() == 1)
        let status = try #require(try VersionStatus.all(folder.catalog(), view: "tally").first)
        #expect(status.lag == -19)
        #expect(status.etaSeconds == 0)
        #expect(status.reason?.contains("19 events that the log does not have") == true)
    }

    @Test("promoting a version that is live already leaves no trace")
    func again() throws {
        try folder.catchUp([tally("a")])
        guard case .switched(let switches) = try promote(id(1)) else {
            Issue.record("not promoted")
            return
        }
        #expect(switches.map(\.from) == [VersionNumber(1)])
        #expect(try folder.catalog().history(of: "tally").count == 1)
    }

    @Test("a view that is named twice is refused, and nothing waits forever")
    func twice() throws {
        try folder.catchUp([tally("a")])
        try folder.catchUp([tally("b")], promotes: false)
        let error = #expect(throws: KappaError.self) { try promote(id(1), id(2)) }
        #expect(error?.code == .usage)
        let again = #expect(throws: KappaError.self) {
            try Promotion(folder.catalog()).rollBack(["tally", "tally"])
        }
        #expect(again?.code == .usage)
    }

    @Test("a version that the catalog does not know is refused")
    func unknown() throws {
        try folder.catchUp([tally("a")])
        let error = #expect(throws: KappaError.self) { try promote(id(5)) }
        #expect(error?.code == .notFound)
    }

    @Test("rolling back switches at once, reports the lag, and can be undone")
    func rollBack() throws {
        try folder.catchUp([tally("a")])
        try folder.catchUp([tally("b")])
        try folder.append(ticks: 7)
        try folder.catchUp([tally("b")])
        let back = try Promotion(folder.catalog()).rollBack(["tally"])
        #expect(back.map(\.lag) == [7])
        #expect(back.map(\.change.to) == [VersionNumber(1)])
        #expect(back.map(\.change.position) == [Offset(20)])
        #expect(try live() == 1)
        #expect(folder.data.linkedNumber(of: "tally") == VersionNumber(1))
        #expect(try folder.entry("tally", 2)?.state == .retired)
        let forth = try Promotion(folder.catalog()).rollBack(["tally"])
        #expect(forth.map(\.change.to) == [VersionNumber(2)])
        #expect(forth.map(\.lag) == [0])
    }

    @Test("the old build finds its version and brings it forward, for a person to promote")
    func oldBuildAgain() throws {
        try folder.catchUp([tally("a")])
        try folder.catchUp([tally("b", below: 10)])
        try folder.append(ticks: 9, first: 20)
        try folder.catchUp([tally("b", below: 10)])
        let old = try RunningBuild(folder.data, [tally("a")]) { $0.follows = false }
        try old.wait()
        #expect(old.said == ["started tally@1 resume", "caught up tally@1", "held back tally@1"])
        #expect(try live() == 2)
        #expect(
            try folder.entry("tally", 1)?.reason
                == "held back: tally@2, which is newer, is live; `kappa promote tally@1` makes it live"
        )
        _ = try promote(id(1))
        #expect(try live() == 1)
        let fresh = try VersionsFolder()
        try fresh.append(ticks: 29)
        try fresh.catchUp([tally("a")])
        #expect(try folder.rows("tally", 1) == fresh.rows("tally", 1))
    }

    @Test("a version that somebody rolled back from is brought forward, and promoted by name only")
    func rolledBackFrom() throws {
        try folder.catchUp([tally("a")])
        try folder.catchUp([tally("b")])
        _ = try Promotion(folder.catalog()).rollBack(["tally"])
        try folder.append(ticks: 4, first: 20)
        let new = try RunningBuild(folder.data, [tally("b")]) { $0.follows = false }
        try new.wait()
        #expect(new.said == ["started tally@2 resume", "caught up tally@2", "held back tally@2"])
        #expect(try live() == 1)
        #expect(try folder.entry("tally", 2)?.state == .ready)
        #expect(try folder.reader("tally", 2).checkpoint().offset == Offset(24))

        // By name it is promoted.
        _ = try promote(id(2))
        #expect(try live() == 2)
        try folder.catchUp([tally("c")])
        #expect(try live() == 3)
        // An overtaken version stays overtaken after a rollback, too.
        try folder.catchUp([tally("a")])
        _ = try promote(id(1))
        #expect(try live() == 1)
        try folder.catchUp([tally("b")])
        #expect(try live() == 1)
        #expect(
            try folder.entry("tally", 2)?.reason?.hasPrefix(
                "held back: tally@3, which is newer, was live;") == true)
    }

    @Test("a rebuild of a definition that was rolled back from is promoted")
    func rebuiltAfterRollback() throws {
        try folder.catchUp([tally("a")])
        try folder.catchUp([tally("b")])
        _ = try Promotion(folder.catalog()).rollBack(["tally"])
        try folder.catchUp([tally("b")], rebuilds: true)
        #expect(try live() == 3)
    }

    @Test(
        "a live version whose file is gone is not refilled in place: a new one is built beside it",
        arguments: [false, true])
    func lostFile(rebuilds: Bool) throws {
        try folder.catchUp([tally("a")])
        try folder.catchUp([tally("b")])
        try folder.data.removeFiles(of: id(2))
        let definition = try #require(try ViewSet([tally("b")]).definitions().first)
        #expect(try VersionAction.known(definition, folder.catalog()) == nil)

        // Unfinished, it is never promoted, whoever asks: readers have seen more.
        try folder.catchUp([tally("b")], rebuilds: rebuilds, until: Offset(10))
        #expect(try folder.entry("tally", 2)?.state == .failed)
        #expect(try folder.entry("tally", 2)?.reason == "its file is gone")
        #expect(try promote(id(3)) == .lags(id(3), needs: Offset(20)))
        #expect(try live() == 2)

        try folder.catchUp([tally("b")])
        #expect(try live() == 3)
        #expect(try folder.entry("tally", 2)?.state == .failed)
        #expect(try folder.reader("tally", 3).checkpoint().offset == Offset(20))

        // A rollback skips the version whose file is missing.
        _ = try Promotion(folder.catalog()).rollBack(["tally"])
        #expect(try live() == 1)
    }

    @Test("without an earlier version there is nothing to roll back to")
    func noEarlier() throws {
        try folder.catchUp([tally("a")])
        func refuses() throws {
            let error = #expect(throws: KappaError.self) {
                try Promotion(folder.catalog()).rollBack(["tally"])
            }
            #expect(error?.code == .notFound)
        }
        try refuses()
        try folder.catchUp([tally("b")])
        _ = try Garbage(folder.catalog()).collect(keep: 0)
        try refuses()
        #expect(try live() == 2)
    }
}
