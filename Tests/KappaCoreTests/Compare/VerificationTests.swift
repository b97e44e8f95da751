import Foundation
import Glibc
import KappaTesting
import Testing

@testable import KappaCore

@Suite("Verifying a version")
struct VerificationTests {
    private let folder: VersionsFolder
    init() throws { folder = try VersionsFolder() }

    private func verify(
        _ views: [any AnyView], _ version: String = "tally"
    ) throws -> Verification {
        let result = try Verifier(folder.catalog(), ViewSet(views))
            .verify(try VersionReference(version))
        #expect(!Folder.names(in: folder.data.path).contains { $0.hasPrefix("scratch") })
        return result
    }

    /// Changes the file of tally@1 without kappa's knowledge.
    private func plant(_ sql: String) throws {
        let file = folder.data.file(VersionID("tally", VersionNumber(1)))
        try SQLiteConnection(file, .readWrite).execute(sql)
    }

    @Test("a version that a run has built is sound, at any position and with any followers")
    func sound() throws {
        try folder.catchUp([tally("a")])
        #expect(try verify([tally("a")]).isSound)
        try folder.append(ticks: 5_000, keys: 40)
        try folder.catchUp([tally("a")], until: Offset(1_234))
        let result = try verify([tally("a")])
        #expect(result.isSound)
        #expect(result.position == Offset(1_234))
        #expect(result.rows == 40)
        let running = try RunningBuild(folder.data, [tally("a")])
        try running.until("tally@1 is at the end") {
            try folder.reader("tally", 1).checkpoint().offset == Offset(5_000)
        }
        #expect(try verify([tally("a")]).isSound)
        try running.stop()
    }

    @Test("each kind of planted fault is reported with key, column and both values")
    func planted() throws {
        try folder.append(ticks: 100, keys: 5)
        try folder.catchUp([tally("a")])
        func finding(_ sql: String) throws -> Discrepancy? {
            try plant("SAVEPOINT s; CREATE TABLE kept AS SELECT * FROM tally; RELEASE s")
            try plant(sql)
            let result = try verify([tally("a")])
            #expect(result.fault == .store)
            #expect(result.differences == 1)
            try plant(
                "DELETE FROM tally; INSERT INTO tally SELECT * FROM kept; DROP TABLE kept;")
            #expect(try verify([tally("a")]).isSound)
            return result.findings.first
        }
        let row = #"{"k":"k3","n":20,"total":1010}"#
        #expect(
            try finding("UPDATE tally SET total = total + 1 WHERE k = 'k3'")
                == Discrepancy(
                    table: "tally", key: [.text("k3")], column: "total", first: .integer(1011),
                    second: .integer(1010)))
        #expect(
            try finding("UPDATE tally SET n = NULL WHERE k = 'k3'")
                == Discrepancy(
                    table: "tally", key: [.text("k3")], column: "n", first: .null,
                    second: .integer(20)))
        #expect(
            try finding("DELETE FROM tally WHERE k = 'k3'")
                == Discrepancy(
                    table: "tally", key: [.text("k3")], column: nil, first: nil,
                    second: .json(row)))
        let added = try finding("INSERT INTO tally (k, n, total) VALUES ('k9', 1, 2)")
        #expect(added?.key == [.text("k9")])
        #expect(added?.second == nil)
        #expect(added?.first == .json(#"{"k":"k9","n":1,"total":2}"#))
    }

    @Test("random faults in random cells are found, all of them")
    func randomFaults() throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        let comment: Comment = "KAPPA_SEED=\(seed)"
        try folder.append(ticks: 400, keys: 40)
        try folder.catchUp([tally("a")])
        try plant("CREATE TABLE kept AS SELECT * FROM tally")
        for _ in 0..<12 {
            let keys = Set((0..<random.below(6)).map { _ in "k\(random.below(40))" })
            for key in keys {
                try plant(
                    random.pick([
                        "UPDATE tally SET n = n + 1 WHERE k = '\(key)'",
                        "UPDATE tally SET total = -total - 1 WHERE k = '\(key)'",
                        "DELETE FROM tally WHERE k = '\(key)'",
                        "UPDATE tally SET k = k || '!' WHERE k = '\(key)'; "
                            + "INSERT INTO tally SELECT * FROM kept WHERE k = '\(key)'",
                    ]))
            }
            let result = try verify([tally("a")])
            #expect(result.isSound == keys.isEmpty, comment)
            #expect(result.differences == keys.count, comment)
            let found = result.findings.map { finding -> String in
                guard case .text(let key) = finding.key.first else { return "" }
                return key.hasSuffix("!") ? String(key.dropLast()) : key
            }
            #expect(Set(found) == keys, comment)
            try plant("DELETE FROM tally; INSERT INTO tally SELECT * FROM kept")
        }
    }

    @Test(
        "a lost dead letter, a wrong count and a file that is no database are faults of the store"
    )
    func otherFaults() throws {
        try folder.append(ticks: 10)
        try folder.append([#"{"k":1,"v":"x"}"#])
        try folder.catchUp([tally("a")])
        #expect(try verify([tally("a")]).isSound)
        try plant("CREATE TABLE kept AS SELECT * FROM _kappa_dead; DELETE FROM _kappa_dead")
        #expect(try verify([tally("a")]).findings.map(\.table) == ["_kappa_dead"])
        try plant("INSERT INTO _kappa_dead SELECT * FROM kept; DROP TABLE kept")
        try plant("UPDATE _kappa_checkpoint SET applied = applied + 1")
        #expect(try verify([tally("a")]).findings.map(\.column) == ["applied"])
        try plant("UPDATE _kappa_checkpoint SET applied = applied - 1, digest_crc = 7")
        #expect(try verify([tally("a")]).error?.what.hasSuffix("the events of the log") == true)
        let file = folder.data.file(VersionID("tally", VersionNumber(1)))
        for suffix in ["-wal", "-shm"] { unlink(file + suffix) }
        try Data(repeating: 7, count: 9_000).write(to: URL(fileURLWithPath: file))
        let result = try verify([tally("a")])
        #expect(result.fault == .store)
        #expect(result.error?.code == .damaged)
    }

    @Test("a damaged log is distinguished from a damaged store, with file and byte")
    func damagedLog() throws {
        try folder.append(ticks: 50)
        try folder.catchUp([tally("a")])
        let segment = SegmentFiles.path(folder.data.log, .zero)
        var bytes = try Data(contentsOf: URL(fileURLWithPath: segment))
        bytes[bytes.count - 9] ^= 1
        try bytes.write(to: URL(fileURLWithPath: segment))
        let result = try verify([tally("a")])
        #expect(result.fault == .log)
        #expect(result.error?.place?.contains(segment) == true)
        // The same holds for a log that has lost events.
        let other = try VersionsFolder()
        try other.append(ticks: 20)
        let whole = try Verifier(other.catalog(), ViewSet([tally("a")]))
        try other.catchUp([tally("a")])
        Folder.remove(other.data.log)
        _ = try LogWriter(other.data.log)
        #expect(try whole.verify(try VersionReference("tally")).fault == .log)
    }

    @Test("a view that uses random numbers or the clock is caught, with column and first offset")
    func notDeterministic() throws {
        struct Drawn: ViewRow {
            var seen = 0
            var drawn: UInt64 = 0
        }
        func view(
            _ name: String, _ look: @escaping @Sendable () -> UInt64
        ) -> View<Drawn> {
            View(name, initially: Drawn(), digest: "1") {
                On(Tick.self, key: \.k) { event, row in
                    row.seen += 1
                    if event.v == 77 { row.drawn = look() }
                }
            }
        }
        let lots = view("lots") {
            var generator = SystemRandomNumberGenerator()
            return generator.next() >> 1
        }
        let clock = view("clock") {
            var time = timespec()
            clock_gettime(CLOCK_MONOTONIC, &time)
            return UInt64(time.tv_sec * 1_000_000_000 + time.tv_nsec)
        }
        try folder.append(ticks: 300, keys: 4)
        try folder.catchUp([lots, clock])
        for view in [lots, clock] {
            let result = try verify([lots, clock], view.name)
            #expect(result.fault == .definition, "\(result.error?.description ?? "")")
            #expect(result.offset == Offset(77))
            #expect(result.findings.map(\.column) == ["drawn"])
            #expect(result.findings.map(\.key) == [[.text("k1")]])
            let found = try #require(result.findings.first)
            #expect(found.first != found.second)
        }
    }

    @Test("a view that tosses a coin only now and then is caught at an event that tosses it")
    func coin() throws {
        /// The last coin tosses of a key, as bits.
        struct Tossed: ViewRow { var heads = 0 }
        let coin = View("coin", initially: Tossed(), digest: "1") {
            On(Tick.self, key: \.k) { event, row in
                guard event.v % 10 == 3 else { return }
                row.heads = (row.heads * 2 + (Bool.random() ? 1 : 0)) & 0xFFFF_FFFF
            }
        }
        try folder.append(ticks: 3_000, keys: 4)
        try folder.catchUp([coin])
        let result = try verify([coin], "coin")
        #expect(result.fault == .definition, "\(result.error?.description ?? "")")
        #expect(result.offset.map { $0.rawValue % 10 } == 3)
    }

    @Test("a version whose definition is not in this build cannot be verified")
    func otherBuild() throws {
        try folder.append(ticks: 5)
        try folder.catchUp([tally("a")])
        for views in [[tally("b")], []] {
            let error = #expect(throws: KappaError.self) { try verify(views) }
            #expect(error?.code == .notFound)
            #expect(error?.what == "this build does not have the definition of tally@1")
        }
    }

    @Test("an interrupted verification leaves nothing behind")
    func stopped() throws {
        struct Enough: Error {}
        try folder.append(ticks: 5_000)
        try folder.catchUp([tally("a")])
        let verifier = try Verifier(
            folder.catalog(), ViewSet([tally("a")]),
            progress: { _, _ in throw Enough() })
        #expect(throws: Enough.self) { try verifier.verify(try VersionReference("tally")) }
        #expect(!Folder.names(in: folder.data.path).contains { $0.hasPrefix("scratch") })
    }
}
