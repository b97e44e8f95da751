import KappaTesting
import Testing

@testable import KappaCore

/// Structs as rows, and back again: by their memory and by their own coding, which must agree.
@Suite("Structs as rows") struct RowCodecTests {
    struct Flat: ViewRow {
        var bool: Bool
        var integer: Int
        var double: Double
        var decimal: ExactDecimal
        var text: String
        var time: Timestamp
        var maybeBool: Bool?
        var maybeInteger: Int64?
        var maybeDouble: Double?
        var maybeDecimal: ExactDecimal?
        var maybeText: String?
        var maybeTime: Timestamp?
    }

    enum Grade: String, Codable, Sendable { case good, bad }
    struct Place: Codable, Equatable, Sendable {
        var city: String
        var height: Double?
        var prices: [ExactDecimal]
    }
    struct Nested: ViewRow {
        var id: Int32
        var grade: Grade
        var place: Place
        var maybePlace: Place?
        var names: [String]
        var counts: [String: Int]
        var last: UInt8?
        var maybeGrade: Grade?
        var ratio: Float
    }

    /// The rows after having been stored, and their cells; `slowly` means without their memory layout.
    private func stored<Row: ViewRow>(
        _ rows: [Row], slowly: Bool, spread: Bool = false
    ) throws -> (rows: [Row], cells: [[Value]], told: [[Value]]) {
        let codec = try EventReaderOptions.$forbidLayouts.withValue(slowly) {
            try RowCodec<Row>(spread: spread)
        }
        let key = ColumnSchema("_n", .integer, isKey: true)
        let table = TableSchema(name: "t", columns: [key] + codec.columns)
        let folder = try TemporaryFolder(inMemory: true)
        let store = try VersionStore(
            at: folder.path + "/t.db", view: "t", number: 1, digest: "", tables: [table])
        try store.commit(Checkpoint()) { transaction in
            let writer = transaction.upsert(into: 0)
            for (number, row) in rows.enumerated() {
                writer.bind(0, Int64(number))
                try withUnsafePointer(to: row) { try codec.bind($0, to: writer, at: 1) }
                try writer.execute()
            }
        }
        var back: [Row] = []
        var cells: [[Value]] = []
        try store.scan(table: 0) { cursor in
            back.append(try codec.decode(cursor, at: 1))
            cells.append(Array(table.values(cursor).dropFirst()))
        }
        return (back, cells, try rows.map { try codec.values($0) })
    }

    struct Stay: ViewRow {
        struct Room: Codable, Equatable, Sendable {
            var number: Int64
            var bed: Bed
            var note: String?
        }
        struct Bed: Codable, Equatable, Sendable {
            var width: Double
            var price: ExactDecimal
        }
        var guest: String
        var room: Room
        var nights: Int64?
    }

    @Test("nested structs can have their own columns", arguments: [false, true])
    func spread(slowly: Bool) throws {
        let stays = Self.texts.enumerated().map { number, text in
            Stay(
                guest: text,
                room: .init(
                    number: Int64(number),
                    bed: .init(width: 0.5, price: ExactDecimal(Int64(number))),
                    note: number % 2 == 0 ? nil : text),
                nights: number % 3 == 0 ? nil : 7)
        }
        let found = try stored(stays, slowly: slowly, spread: true)
        #expect(found.rows == stays)
        #expect(found.cells == found.told)
        let names = try RowCodec<Stay>(spread: true).columns.map(\.name)
        #expect(
            names == [
                "guest", "room_number", "room_bed_width", "room_bed_price", "room_note", "nights",
            ])
        // If an object may be missing, or two columns would have the same name, nothing is spread.
        let nested = try RowCodec<Nested>(spread: true).columns
        #expect(try nested == RowCodec<Nested>().columns)
    }

    private static let texts = [
        "", "a", "e\u{301}", "\u{E9}", "z\0z", "fifteen bytes !", "a text of sixteen",
        "'; DROP TABLE t; --\"\\\n😀", String(repeating: "long ", count: 3_000),
    ]
    private static let doubles: [Double] = [
        0, -0.0, 0.1, -1.5, 1e15, 9_007_199_254_740_992, .greatestFiniteMagnitude,
        .leastNonzeroMagnitude, .infinity, -.infinity, .nan, 1.0 / 3,
    ]
    private static let decimals = [
        "0", "1", "-1", "0.1", "-2.50", "9223372036854775807", "9223372036854775808",
        "-9223372036854775808", "123456789012345", "1234567890123456.7", "0.0000000000000000000001",
        "99999999999999999999999999999999999999", "-0.00000000000000000000000000000000000001",
    ].compactMap { ExactDecimal($0) }
    private static let integers: [Int] = [0, 1, -1, .max, .min, 9_007_199_254_740_993]
    private static let times = [0, 1, -1, .max, .min, 253_402_300_799_999_999].map {
        Timestamp(microseconds: $0)
    }

    private static func flat(_ random: inout SplitMix) -> Flat {
        func maybe<T>(_ values: [T], _ random: inout SplitMix) -> T? {
            random.chance(1, in: 3) ? nil : random.pick(values)
        }
        return Flat(
            bool: random.chance(1, in: 2), integer: random.pick(integers),
            double: random.pick(doubles), decimal: random.pick(decimals),
            text: random.pick(texts), time: random.pick(times),
            maybeBool: maybe([true, false], &random),
            maybeInteger: maybe(integers.map(Int64.init), &random),
            maybeDouble: maybe(doubles, &random), maybeDecimal: maybe(decimals, &random),
            maybeText: maybe(texts, &random), maybeTime: maybe(times, &random))
    }

    private static func nested(_ random: inout SplitMix) -> Nested {
        func place(_ random: inout SplitMix) -> Place {
            Place(
                city: random.pick(texts), height: random.pick([nil, 0.1, -3, 1e300]),
                prices: (0..<random.below(3)).map { _ in random.pick(decimals) })
        }
        return Nested(
            id: random.pick([0, -5, .max, .min]), grade: random.pick([.good, .bad]),
            place: place(&random), maybePlace: random.chance(1, in: 2) ? nil : place(&random),
            names: (0..<random.below(3)).map { _ in random.pick(texts) },
            counts: random.pick([[:], ["a": 1], ["\"": -7]]), last: random.pick([nil, 0, 255]),
            maybeGrade: random.pick([nil, .bad]), ratio: random.pick([0, 0.5, -1.25]))
    }

    @Test(
        "what is stored comes back the same, by memory and by coding",
        arguments: Seeds.random(4))
    func flat(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        let rows = (0..<60).map { _ in Self.flat(&random) }
        let shape = try EventShape(of: Flat.self)
        let layout = StructLayout(shape, FieldTracer<Flat>(shape))
        #expect(layout != nil, "both ways would be the same one")
        let fast = try stored(rows, slowly: false)
        let slow = try stored(rows, slowly: true)
        #expect(fast.cells == slow.cells, "seed \(seed)")
        #expect(fast.cells == fast.told, "seed \(seed)")
        #expect(slow.cells == slow.told, "seed \(seed)")
        for back in [fast.rows, slow.rows] {
            for (row, again) in zip(rows, back) {
                // The store has no NaN: an optional one comes back as nil, another one as NaN.
                var (row, again) = (row, again)
                if row.maybeDouble?.isNaN == true { row.maybeDouble = nil }
                if row.double.isNaN {
                    #expect(again.double.isNaN, "seed \(seed)")
                    (row.double, again.double) = (0, 0)
                }
                #expect(row == again, "seed \(seed)")
                #expect(row.text.utf8.elementsEqual(again.text.utf8), "seed \(seed)")
            }
        }
    }

    @Test(
        "nested structs, enums, arrays and narrow numbers come back",
        arguments: Seeds.random(2))
    func nested(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        let rows = (0..<60).map { _ in Self.nested(&random) }
        let found = try stored(rows, slowly: false)
        #expect(found.rows == rows, "seed \(seed)")
        #expect(found.cells == found.told, "seed \(seed)")
    }

    struct Secret: ViewRow {
        var shown: Int
        @Hidden var kept: Int
    }

    @Test("hidden properties are refused: only a fold's rows may have them")
    func hidden() throws {
        let error = #expect(throws: KappaError.self) { _ = try RowCodec<Secret>() }
        #expect(error?.what == "Secret hides kept")
    }
}
