import KappaTesting
import Testing

@testable import KappaCore

@Suite("Rows as records")
struct RecordListTests {
    private static let schema = TableSchema(
        name: "t",
        columns: [
            ColumnSchema("note", .text), ColumnSchema("key", .integer, isKey: true),
            ColumnSchema("size", .double), ColumnSchema("count", .integer),
            ColumnSchema("name", .text, isKey: true), ColumnSchema("bytes", .text),
        ], hasState: true)

    private enum Cell: Equatable {
        case null
        case integer(Int64)
        case double(Double)
        case text([UInt8])
        case blob([UInt8])
    }

    private static func cell(_ random: inout SplitMix) -> Cell {
        switch Int.random(in: 0..<6, using: &random) {
        case 0: return .null
        case 1: return .integer(Int64.random(in: -2...2, using: &random))
        case 2:
            let bits = Int64.random(in: 0...63, using: &random)
            let value = Int64.random(in: .min ... .max, using: &random) >> bits
            // The bounds of each size, too.
            return .integer(value &+ Int64.random(in: -1...1, using: &random))
        case 3: return .double(Double.random(in: -1e9...1e9, using: &random))
        case let kind:
            let die = Int.random(in: 0..<100, using: &random)
            let longest = die == 0 ? 2_000_000 : [3, 60, 5_000][die % 3]
            let count = Int.random(in: 0...longest, using: &random)
            let bytes = [UInt8](repeating: UInt8(count & 0x7F), count: count)
            return kind == 4 ? .text(bytes) : .blob(bytes)
        }
    }

    private static func bind(_ row: [Cell], to writer: RecordList) {
        for (index, cell) in row.enumerated() {
            switch cell {
            case .null: writer.bindNull(index)
            case .integer(let value): writer.bind(index, value)
            case .double(let value): writer.bind(index, value)
            case .text(let bytes): writer.bind(index, String(decoding: bytes, as: UTF8.self))
            case .blob(let bytes):
                // Bytes stay where they are until the row is written.
                bytes.withUnsafeBytes { writer.bind(index, blob: $0) }
            }
        }
    }

    private static func read(_ cursor: RecordCursor) -> [Cell] {
        (0..<7).map { index in
            switch cursor.storage(index) {
            case .null: .null
            case .integer: .integer(cursor.integer(index))
            case .double: .double(cursor.double(index))
            case .text: .text(Array(cursor.text(index)))
            case .blob: .blob(Array(cursor.blob(index)))
            }
        }
    }

    @Test("come back as they were bound, whatever was undone in between")
    func roundTrip() throws {
        for seed in Seeds.random(20) {
            var random = SplitMix(state: seed)
            let list = RecordList(Self.schema)
            var rows: [[Cell]] = []
            var marks: [RecordList.Mark] = []
            for _ in 0..<200 {
                let row = (0..<7).map { _ in Self.cell(&random) }
                marks.append(list.end)
                Self.bind(row, to: list)
                list.execute()
                rows.append(row)
                if Int.random(in: 0..<20, using: &random) == 0 {
                    let count = Int.random(in: 0..<rows.count, using: &random)
                    list.truncate(to: marks[count])
                    rows.removeLast(rows.count - count)
                    marks.removeLast(marks.count - count)
                }
            }
            #expect(list.count == rows.count)
            let cursor = RecordCursor(Self.schema)
            var found: [[Cell]] = []
            try list.forEachRow(cursor) { found.append(Self.read(cursor)) }
            #expect(found == rows, "seed \(seed)")
            list.removeAll()
            #expect(list.count == 0)
        }
    }

    @Test("that are truncated or of another table are refused")
    func damage() throws {
        let list = RecordList(Self.schema)
        Self.bind(
            [.null, .integer(3), .double(1), .null, .text([65]), .text([66]), .null], to: list)
        list.execute()
        let cursor = RecordCursor(Self.schema)
        try list.forEachRecord { record throws(KappaError) in
            #expect(cursor.take(record))
            for count in 0..<record.count {
                #expect(!cursor.take(UnsafeRawBufferPointer(rebasing: record[..<count])))
            }
        }
    }
}
