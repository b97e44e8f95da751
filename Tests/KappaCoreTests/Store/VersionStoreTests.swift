import Glibc
import KappaTesting
import Testing

@testable import KappaCore

@Suite("The store of one version")
struct VersionStoreTests {
    private let folder: TemporaryFolder
    private var path: String { folder.path + "/1.db" }

    private static let table = TableSchema(
        name: "things",
        columns: [
            ColumnSchema("id", .text, isKey: true), ColumnSchema("yes", .bool),
            ColumnSchema("count", .integer), ColumnSchema("ratio", .double),
            ColumnSchema("price", .decimal), ColumnSchema("label", .text),
            ColumnSchema("seen", .timestamp), ColumnSchema("more", .json),
        ])

    init() throws { folder = try TemporaryFolder() }

    private func make() throws -> VersionStore {
        try VersionStore(
            at: path, view: "things", number: 1, digest: "d", tables: [Self.table])
    }

    private func put(_ values: [Value], _ transaction: any StoreTransaction) throws {
        let writer = transaction.upsert(into: 0)
        var sink = StoreSink(writer)
        try values.withTexts {
            sink.append($0)
        } then: {
            try writer.execute()
        }
    }

    private func checkpoint(_ offset: UInt64) -> Checkpoint {
        Checkpoint(
            offset: Offset(offset), digest: LogDigest(bytes: offset * 10, crc: 0xFFFF_FFFF),
            streamTimes: StreamTimes(
                partitions: [
                    .init(name: "", hasEvents: true, times: [.min, 42]),
                    .init(name: "orders/3", hasEvents: true, times: [5, -7]),
                    .init(name: "a@b.c", hasEvents: false, times: [.min, .min]),
                ], least: [.min, -7]))
    }

    private func row(_ id: String, count: Int64 = 1) -> [Value] {
        [.text(id), .bool(true), .integer(count), .null, .null, .null, .null, .null]
    }

    private func rows() throws -> [[Value]] {
        let reader = try VersionReader(path)
        var rows: [[Value]] = []
        try reader.forEachRow(table: 0) { rows.append(reader.tables[0].values($0)) }
        return rows
    }

    @Test("rows and checkpoint are committed together, and are there after reopening")
    func commitsTogether() throws {
        var store: VersionStore? = try make()
        #expect(try store?.lastCheckpoint() == nil)
        var wanted = checkpoint(7)
        wanted.counters.applied = 5
        wanted.counters.late = 2
        try store?.commit(wanted) { try put(row("a"), $0) }
        store = nil
        let reopened = try VersionStore(opening: path)
        #expect(try reopened.lastCheckpoint() == wanted)
        #expect(reopened.tables == [Self.table])
        #expect(try rows() == [row("a")])
        #expect(try VersionReader(path).checkpoint() == wanted)
    }

    @Test("when the writing throws, neither rows nor checkpoint nor dead letters are kept")
    func throwKeepsNothing() throws {
        struct Stop: Error {}
        let store = try make()
        try store.commit(checkpoint(1)) { try put(row("a"), $0) }
        #expect(throws: Stop.self) {
            try store.commit(checkpoint(2)) { transaction in
                try put(row("a", count: 99), transaction)
                try put(row("b"), transaction)
                try transaction.add(DeadLetter(offset: Offset(1), reason: "why", event: "{}"))
                throw Stop()
            }
        }
        #expect(try rows() == [row("a")])
        #expect(try store.lastCheckpoint() == checkpoint(1))
        var letters = 0
        try VersionReader(path).deadLetters { _ in letters += 1 }
        #expect(letters == 0)
        // The store still works.
        try store.commit(checkpoint(2)) { try put(row("b"), $0) }
        #expect(try rows() == [row("a"), row("b")])
    }

    @Test("every kind of cell comes back as it went in")
    func roundTrip() throws {
        let texts = ["", "a", "line\nline", "quote \" and '", "nul \0 inside", "ü🙂", "a,b"]
        let decimals = [
            "0", "1", "-1", "0.1", "-0.000000001", "12345678901234567890.123456789",
            "9223372036854775807", "9223372036854775808", "0.30", "1000000000000000000000",
        ]
        let doubles = [
            0.1, -1.5, 1e300, .leastNonzeroMagnitude, .pi, 9_007_199_254_740_992, 1, .infinity,
            -.infinity,
        ]
        let integers: [Int64] = [.min, -1, 0, 1, 1 << 53 + 1, .max]
        let store = try make()
        var wanted: [[Value]] = []
        for index in 0..<10 {
            let decimal = try #require(ExactDecimal(decimals[index % decimals.count]))
            wanted.append([
                .text("key \(index) \(texts[index % texts.count])"), .bool(index % 2 == 0),
                .integer(integers[index % integers.count]),
                .double(doubles[index % doubles.count]), .decimal(decimal),
                .text(texts[index % texts.count]),
                .timestamp(Timestamp(microseconds: integers[index % integers.count])),
                .json(#"{"a":[1,2.50,"x"]}"#),
            ])
        }
        try store.commit(checkpoint(1)) { for row in wanted { try put(row, $0) } }
        #expect(try rows() == wanted)
        // The digits too: 0.30 is the number 0.3, and keeps its value.
        for (found, row) in zip(try rows(), wanted) {
            #expect(found.map(\.jsonText) == row.map(\.jsonText))
        }
    }

    @Test("a deleted row is gone, and no longer counted")
    func deletes() throws {
        let store = try make()
        try store.commit(checkpoint(1)) { transaction in
            for id in ["a", "b", "c"] { try put(row(id), transaction) }
        }
        try store.commit(checkpoint(2)) { transaction in
            let delete = transaction.delete(from: 0)
            delete.bind(0, "b")
            try delete.execute()
        }
        #expect(try rows() == [row("a"), row("c")])
        #expect(try VersionReader(path).rowCount(table: 0) == 2)
    }

    @Test("a reader's snapshot does not change while commits continue")
    func snapshot() throws {
        let store = try make()
        try store.commit(checkpoint(1)) { try put(row("a"), $0) }
        let reader = try VersionReader(path)
        try reader.snapshot {
            try store.commit(checkpoint(2)) { try put(row("b"), $0) }
            #expect(try reader.checkpoint().offset == Offset(1))
            #expect(try reader.rowCount(table: 0) == 1)
        }
        #expect(try reader.checkpoint().offset == Offset(2))
        #expect(try reader.rowCount(table: 0) == 2)
    }

    @Test("a half-made file is made again; a damaged one is an error")
    func halfMade() throws {
        let data = DataFolder(folder.path)
        try Folder.make(data.view("tally"))
        let definition = try #require(try ViewSet([tally("d")]).definitions().first)
        let id = VersionID("tally", VersionNumber(1))
        let half = data.file(id) + ".loading"
        let file = try SystemFiles().open(half, 0o102)
        try SystemFiles().write(file, [1, 2, 3], at: 0)
        let store = try VersionStore.open(id, definition, in: data)
        #expect(access(half, F_OK) != 0)
        #expect(try store.lastCheckpoint() == nil)
        try store.commit(Checkpoint(offset: Offset(3))) { _ in }
        #expect(try VersionReader(data.file(id)).digest == definition.digest)
        #expect(try VersionReader(data.file(id)).checkpoint().offset == Offset(3))

        let bytes = [UInt8](repeating: 7, count: 8_192)
        let damaged = try SystemFiles().open(data.file(id), 0o2)
        try SystemFiles().write(damaged, bytes, at: 0)
        let error = #expect(throws: KappaError.self) {
            try VersionStore.open(id, definition, in: data)
        }
        #expect(error?.code == .damaged)
        #expect(error?.place == data.file(id))
    }

    @Test("a file of an earlier format is read and not continued; one of a later format is refused")
    func formats() throws {
        try make().commit(checkpoint(7)) { try put(row("a"), $0) }
        let connection = try SQLiteConnection(path, .readWrite)
        try connection.execute("UPDATE _kappa_version SET format = 1")
        #expect(try rows() == [row("a")])
        let earlier = #expect(throws: KappaError.self) { try make() }
        #expect(earlier?.what == "things@1 cannot be continued")
        #expect(throws: KappaError.self) { try VersionStore(opening: path) }
        try connection.execute("UPDATE _kappa_version SET format = 9")
        let later = #expect(throws: KappaError.self) { try VersionReader(path) }
        #expect(later?.what == "the file of things@1 cannot be read")
        #expect(later?.place == path && later?.advice?.isEmpty == false)
    }
}
