import Foundation
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

    @Test("a failure says what was done, what is wrong, and the seed; the seed repeats it")
    func failure() throws {
        func failure(_ fault: MemorySink.Fault) -> String? {
            let place = MemoryPlace()
            let conformance = ChangeSinkConformance(seed: 7) {
                MemorySink(place, fault)
            } rows: { _ in
                place.read()
            }
            return #expect(throws: ChangeSinkConformance.Failure.self) {
                try conformance.check()
            }?.description
        }
        let text = try #require(failure(.positionWithoutRows))
        #expect(text.hasPrefix("the rows of conformance after the first load: expected "))
        #expect(text.hasSuffix("(seed 7)"))
        #expect(failure(.positionWithoutRows) == text)
        #expect(failure(.forgetsPosition)?.hasPrefix("the position opened anew") == true)
    }

    @Test("two publishers of one place: the second is refused, and the first goes on")
    func two() throws {
        let folder = try TemporaryFolder()
        let table = TableSchema(name: "t", columns: [ColumnSchema("k", .integer, isKey: true)])
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

    @Test(
        "a load keeps the indexes of a SQLite table whose columns stay; a table that is gone is reported"
    )
    func indexes() throws {
        let folder = try TemporaryFolder(inMemory: true)
        let path = folder.path + "/a.db"
        let table = TableSchema(
            name: "t",
            columns: [ColumnSchema("k", .integer, isKey: true), ColumnSchema("a", .text)])
        let more = TableSchema(name: "u", columns: [ColumnSchema("k", .integer, isKey: true)])
        var number: Int64 = 0
        func load(_ tables: [TableSchema]) throws {
            let sink = try SQLiteSink(path, view: "t")
            number += 1
            try sink.begin(anew: tables)
            try sink.apply([SinkChange(table: "t", key: [.integer(1)], row: [.integer(1), .null])])
            try sink.commit(position(number))
        }
        func schema() throws -> Int64? {
            try SQLiteConnection(path, .readOnly).integer(
                "SELECT count(*) FROM sqlite_schema WHERE name IN ('t', 'u', 'by_a')")
        }
        try load([table, more])
        try SQLiteConnection(path, .readWrite).execute("CREATE INDEX by_a ON t (a)")
        try load([table])
        #expect(try schema() == 2)
        #expect(try SQLiteConnection(path, .readOnly).integer("SELECT count(*) FROM t") == 1)
        var other = table
        other.columns[1].kind = .integer
        try load([other])
        #expect(try schema() == 1)
        try SQLiteConnection(path, .readWrite).execute("DROP TABLE t")
        let sink = try SQLiteSink(path, view: "t")
        let error = #expect(throws: KappaError.self) { try sink.begin(anew: nil) }
        #expect(error?.what == "the table t is gone")
        sink.rollBack()
        try load([table])
        #expect(try schema() == 1)
    }

    @Test("what a newer kappa has published, or somebody has damaged, is refused with what to do")
    func formats() throws {
        let folder = try TemporaryFolder(inMemory: true)
        let path = folder.path + "/a.db"
        let sinks: [any ChangeSink] = [
            try SQLiteSink(path, view: "t"), try CSVSink(folder.path + "/t", view: "t"),
        ]
        let table = TableSchema(name: "t", columns: [ColumnSchema("k", .integer, isKey: true)])
        for sink in sinks {
            try sink.begin(anew: [table])
            try sink.commit(position(1))
            sink.close()
        }
        try SQLiteConnection(path, .readWrite).execute("UPDATE kappa_publication SET format = 2")
        let file = #expect(throws: KappaError.self) { try SQLiteSink(path, view: "t") }
        #expect(file?.code == .usage && file?.reason?.contains("format 2") == true)
        try "no database".write(toFile: folder.path + "/b", atomically: true, encoding: .utf8)
        let text = #expect(throws: KappaError.self) {
            try SQLiteSink(folder.path + "/b", view: "t")
        }
        #expect(text?.code == .damaged && text?.advice?.hasPrefix("Name a SQLite file") == true)
        for (manifest, code) in [(#"{"format":2}"#, KappaError.Code.usage), ("{", .damaged)] {
            try manifest.write(
                toFile: folder.path + "/t/manifest.json", atomically: true, encoding: .utf8)
            let error = #expect(throws: KappaError.self) {
                try CSVSink(folder.path + "/t", view: "t")
            }
            #expect(error?.code == code)
        }
    }

    @Test("CSV tells a missing cell from an empty text")
    func missing() throws {
        let folder = try TemporaryFolder(inMemory: true)
        let table = TableSchema(
            name: "t", columns: [ColumnSchema("k", .text, isKey: true), ColumnSchema("a", .text)])
        let sink = try CSVSink(folder.path, view: "t")
        try sink.begin(anew: [table])
        for (key, cell) in [("", Value.null), ("b", .text("")), ("c", .text("x"))] {
            try sink.apply([
                SinkChange(table: "t", key: [.text(key)], row: [.text(key), cell])
            ])
        }
        try sink.commit(position(1))
        try sink.begin(anew: nil)
        try sink.apply([SinkChange(table: "t", key: [.text("c")], row: nil)])
        try sink.commit(position(2))
        #expect(
            try String(contentsOfFile: folder.path + "/t-2.csv", encoding: .utf8)
                == "k,a\n\"\",\nb,\"\"\n")
    }

    private func position(_ number: Int64) -> SinkPosition {
        SinkPosition(
            view: "t", change: ChangeID(VersionNumber(1), number), offset: .zero, digest: "d")
    }
}
