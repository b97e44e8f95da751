import KappaSinks
import KappaTesting
import Testing

@testable import KappaCore

@Suite("The conformance of sinks")
struct SinkConformanceTests {
    @Test("a folder of CSV files conforms")
    func csv() throws {
        let folder = try TemporaryFolder()
        try ChangeSinkConformance(seed: Seeds.one()) {
            try CSVSink(folder.path + "/a", view: "conformance")
        } rows: {
            try SinkReader.csv(folder.path + "/a", $0)
        }.check()
        // The lock, the manifest, and the files of the last two commits, of at most two tables.
        #expect(Folder.names(in: folder.path + "/a").count <= 1 + 4 + 1)
    }

    @Test("a SQLite file conforms")
    func sqlite() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/a.db"
        try ChangeSinkConformance(seed: Seeds.one()) {
            try SQLiteSink(path, view: "conformance")
        } rows: {
            try SinkReader.sqlite(path, $0)
        }.check()
    }

    @Test(
        "a sink in memory without a fault conforms; with any one it does not",
        arguments: [nil] + MemorySink.Fault.allCases)
    func planted(fault: MemorySink.Fault?) throws {
        let place = MemoryPlace()
        let conformance = ChangeSinkConformance(seed: Seeds.one()) {
            MemorySink(place, fault)
        } rows: { _ in
            place.read()
        }
        if fault == nil { return try conformance.check() }
        #expect(throws: ChangeSinkConformance.Failure.self) { try conformance.check() }
    }

    @Test("two publishers of one place: the second is refused, and the first goes on")
    func two() throws {
        let folder = try TemporaryFolder()
        let table = TableSchema(name: "t", columns: [ColumnSchema("k", .integer, isKey: true)])
        func position(_ number: Int64) -> SinkPosition {
            SinkPosition(
                view: "t", change: ChangeID(VersionNumber(1), number), offset: .zero, digest: "d")
        }
        let csv = try CSVSink(folder.path + "/t", view: "t")
        let error = #expect(throws: KappaError.self) {
            try CSVSink(folder.path + "/t", view: "t")
        }
        #expect(error?.code == .heldElsewhere)
        try csv.begin(anew: [table])
        try csv.commit(position(1))
        let path = folder.path + "/t.db"
        let sinks = [try SQLiteSink(path, view: "t"), try SQLiteSink(path, view: "t")]
        try sinks[0].begin(anew: [table])
        try sinks[0].commit(position(1))
        let late = #expect(throws: KappaError.self) { try sinks[1].begin(anew: [table]) }
        #expect(late?.code == .heldElsewhere)
        sinks[1].rollBack()
        try sinks[0].begin(anew: nil)
        try sinks[0].commit(position(2))
    }

    @Test("a file to which a later kappa has published is refused")
    func later() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/a.db"
        let sink = try SQLiteSink(path, view: "t")
        try sink.begin(anew: [])
        try sink.commit(
            SinkPosition(
                view: "t", change: ChangeID(VersionNumber(1), 1), offset: .zero, digest: "d"))
        _ = try SQLiteSink(path, view: "t")
        try SQLiteConnection(path, .readWrite).execute("UPDATE kappa_publication SET format = 2")
        let error = #expect(throws: KappaError.self) { try SQLiteSink(path, view: "t") }
        #expect(error?.code == .usage && error?.reason?.contains("format 2") == true)
    }

    @Test("a table of somebody else is not touched")
    func foreign() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/a.db"
        try SQLiteConnection(path, .create).execute("CREATE TABLE t (a); INSERT INTO t VALUES (1)")
        let sink = try SQLiteSink(path, view: "t")
        let table = TableSchema(name: "t", columns: [ColumnSchema("k", .integer, isKey: true)])
        let error = #expect(throws: KappaError.self) { try sink.begin(anew: [table]) }
        #expect(error?.what == "there is a table t already")
        sink.rollBack()
        #expect(try SQLiteConnection(path, .readOnly).integer("SELECT a FROM t") == 1)
    }
}
