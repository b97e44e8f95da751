import KappaTesting
import Testing

@testable import KappaCore

@Suite("Runs of rows, merged by their keys")
struct RunHeapTests {
    private static let schema = TableSchema(
        name: "t",
        columns: [
            ColumnSchema("key", .text, isKey: true), ColumnSchema("number", .integer, isKey: true),
            ColumnSchema("run", .integer),
        ], hasState: false)

    private static let textOnly = TableSchema(
        name: "t",
        columns: [ColumnSchema("key", .text, isKey: true), ColumnSchema("run", .integer)],
        hasState: false)

    /// Texts with the same first sixteen bytes, some with zeros that could be taken for terminators.
    private static func text(_ random: inout SplitMix) -> String {
        let start = ["", "a", "user_12345678901", "user_1234567890", "ä"]
        let end = ["", "\u{0}", "\u{0}\u{0}", "2", "23", "2\u{0}", "\u{1}", "z"]
        return (start.randomElement(using: &random) ?? "")
            + (end.randomElement(using: &random) ?? "")
    }

    @Test(
        "come in the order of the store, the rows of one key together, in the order of their runs")
    func order() throws {
        for seed in Seeds.random(60) {
            var random = SplitMix(state: seed)
            let folder = try TemporaryFolder()
            let schema = Bool.random(using: &random) ? Self.schema : Self.textOnly
            let hasNumber = schema.keyColumns.count > 1
            var expected: [[[UInt8]: [Int]]] = []
            var cursors: [RunCursor] = []
            for run in 0..<Int.random(in: 0...9, using: &random) {
                var keys: Set<[UInt8]> = []
                for _ in 0..<Int.random(in: 0...20, using: &random) {
                    let number = UInt8.random(in: 0...2, using: &random)
                    keys.insert(Array(Self.text(&random).utf8) + [0xFF, hasNumber ? number : 0])
                }
                let sorted = keys.sorted(by: Self.isBefore)
                let path = folder.path + "/\(run).run"
                let writer = try RunWriter(path)
                let row = BulkRow(schema, writer)
                for key in sorted { try Self.write(key, run, hasNumber, row) }
                try writer.finish()
                cursors.append(try RunCursor(path, schema))
                expected.append(Dictionary(uniqueKeysWithValues: sorted.map { ($0, [run]) }))
            }
            let all = expected.reduce(into: [:]) { $0.merge($1) { $0 + $1 } }
            var heap = try RunHeap(cursors)
            var found: [[UInt8]] = []
            var runs: [Int] = []
            while let first = heap.first {
                let cursor = heap.cursor(first)
                let key = Self.key(cursor, hasNumber)
                let isAlone = !heap.hasTwoOfFirst
                found.append(key)
                #expect(isAlone == (all[key]?.count == 1), "seed \(seed)")
                if isAlone, Bool.random(using: &random) {
                    #expect(all[key] == [first], "seed \(seed)")
                    try heap.advanceFirst()
                    continue
                }
                heap.takeFirstKey(into: &runs)
                #expect(all[key] == runs, "seed \(seed)")
                for run in runs {
                    #expect(Self.key(heap.cursor(run), hasNumber) == key, "seed \(seed)")
                    try heap.advance(run)
                }
            }
            #expect(found == all.keys.sorted(by: Self.isBefore), "seed \(seed)")
        }
    }

    /// The text, then the number: the separator never occurs in UTF-8.
    private static func isBefore(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        let (x, y) = (a.dropLast(2), b.dropLast(2))
        return x == y ? a[a.count - 1] < b[b.count - 1] : x.lexicographicallyPrecedes(y)
    }

    private static func write(
        _ key: [UInt8], _ run: Int, _ hasNumber: Bool, _ row: BulkRow
    ) throws {
        try key.dropLast(2).withUnsafeBytes { text in
            row.bind(0, text: text)
            if hasNumber { row.bind(1, Int64(key[key.count - 1])) }
            row.bind(hasNumber ? 2 : 1, Int64(run))
            try row.execute()
        }
    }

    private static func key(_ cursor: RunCursor, _ hasNumber: Bool) -> [UInt8] {
        Array(cursor.row.text(0)) + [0xFF, hasNumber ? UInt8(cursor.row.integer(1)) : 0]
    }
}
