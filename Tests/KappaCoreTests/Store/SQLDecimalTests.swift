import KappaTesting
import Testing

@testable import KappaCore

/// Runs functions on a connection that has kappa's.
private struct Functions {
    let connection: SQLiteConnection

    init() throws {
        connection = try SQLiteConnection(":memory:", .create)
        SQLFunctions.add(to: connection)
    }

    /// The result as a text: for a decimal its digits, which must be stored in canonical form.
    func decimal(_ sql: String, _ arguments: String?...) throws -> String? {
        let statement = try connection.prepare("SELECT \(sql)")
        bind(arguments, to: statement)
        #expect(try statement.step())
        return try Self.canonical(statement, 0)
    }

    func integer(_ sql: String, _ arguments: String?...) throws -> Int64? {
        let statement = try connection.prepare("SELECT \(sql)")
        bind(arguments, to: statement)
        #expect(try statement.step())
        return statement.isNull(0) ? nil : statement.integer(0)
    }

    private func bind(_ arguments: [String?], to statement: SQLiteStatement) {
        for (index, argument) in arguments.enumerated() {
            if let decimal = argument.flatMap({ ExactDecimal($0) }) {
                DecimalCell.bind(decimal, to: CopyingWriter(statement), at: index)
            }
        }
    }

    static func canonical(_ statement: SQLiteStatement, _ index: Int) throws -> String? {
        if statement.isNull(index) { return nil }
        let decimal = try #require(DecimalCell.read(statement, index))
        switch (DecimalCell.cell(of: decimal), statement.storage(index)) {
        case (.integer, .integer), (.double, .double), (.text, .text): break
        default: Issue.record("\(decimal) is not stored as its one cell")
        }
        return decimal.description
    }
}

/// Binds texts that SQLite copies: a statement's own are gone when it runs.
private final class CopyingWriter: RowWriter {
    let statement: SQLiteStatement
    init(_ statement: SQLiteStatement) { self.statement = statement }
    func bindNull(_ index: Int) { statement.bindNull(index) }
    func bind(_ index: Int, _ value: Int64) { statement.bind(index, value) }
    func bind(_ index: Int, _ value: Double) { statement.bind(index, value) }
    func bind(_ index: Int, text: UnsafeRawBufferPointer) {
        statement.bind(index, String(decoding: text, as: UTF8.self))
    }
    func bind(_ index: Int, _ text: String) { statement.bind(index, text) }
    func bind(_ index: Int, blob: UnsafeRawBufferPointer) {}
    func execute() {}
}

@Suite("Decimals in SQL") struct SQLDecimalTests {
    @Test("arithmetic is exact, or refused", arguments: Seeds.random(12))
    func arithmetic(seed: UInt64) throws {
        let functions = try Functions()
        var random = SplitMix(state: seed)
        for _ in 0..<150 {
            let (a, b) = (random.decimalText(), random.decimalText())
            let (x, y) = (SlowDecimal(a), SlowDecimal(b))
            let results = [("dec_add", x + y), ("dec_sub", x + -y), ("dec_mul", x * y)]
            for (name, expected) in results {
                if expected.fits {
                    let found = try functions.decimal("\(name)(?, ?)", a, b)
                    #expect(found == expected.text, "\(name)(\(a), \(b))")
                } else {
                    #expect(throws: KappaError.self, "\(name)(\(a), \(b))") {
                        try functions.decimal("\(name)(?, ?)", a, b)
                    }
                }
            }
            let order: Int64 = x < y ? -1 : y < x ? 1 : 0
            #expect(try functions.integer("_kappa_compare(?, ?)", a, b) == order, "\(a) \(b)")
        }
    }

    @Test("division rounds once", arguments: Seeds.random(12))
    func division(seed: UInt64) throws {
        let functions = try Functions()
        var random = SplitMix(state: seed)
        for _ in 0..<60 {
            let (a, b) = (random.decimalText(), random.decimalText())
            let (x, y) = (SlowDecimal(a), SlowDecimal(b))
            guard !y.digits.isEmpty else {
                #expect(try functions.decimal("dec_div(?, ?)", a, b) == nil)
                #expect(try functions.decimal("dec_div(?, ?, 2)", a, b) == nil)
                continue
            }
            let digits = random.below(39)
            for (sql, expected) in [
                ("dec_div(?, ?)", x.divided(by: y)),
                ("dec_div(?, ?, \(digits))", x.divided(by: y, scale: digits, .toNearestOrEven)),
            ] {
                if expected.fits {
                    #expect(try functions.decimal(sql, a, b) == expected.text, "\(sql) \(a) \(b)")
                } else {
                    #expect(throws: KappaError.self, "\(sql) \(a) \(b)") {
                        try functions.decimal(sql, a, b)
                    }
                }
            }
        }
    }

    @Test("rounding is half away from zero", arguments: Seeds.random(6))
    func rounding(seed: UInt64) throws {
        let functions = try Functions()
        var random = SplitMix(state: seed)
        for _ in 0..<200 {
            let text = random.decimalText()
            let digits = random.below(42)
            let number = SlowDecimal(text)
            let expected =
                digits >= number.scale
                ? number
                : number.divided(by: SlowDecimal("1"), scale: digits, .toNearestOrAwayFromZero)
            #expect(try functions.decimal("dec_round(?, \(digits))", text) == expected.text)
            #expect(try functions.decimal("_kappa_round(?, \(digits))", text) == expected.text)
            if digits == 0 { #expect(try functions.decimal("dec_round(?)", text) == expected.text) }
        }
        #expect(try functions.decimal("dec_round(1234.56, -2)") == "1235")
        #expect(try functions.decimal("dec_round(-2.5)") == "-3")
    }

    @Test("the bytes order like the numbers, and can be converted back")
    func order() throws {
        let functions = try Functions()
        var random = SplitMix(state: 7)
        var all: [(text: String, key: [UInt8])] = []
        for _ in 0..<600 {
            let text = random.decimalText()
            let key = NumberOrder.key(try #require(ExactDecimal(text)))
            let back = try functions.decimal("_kappa_unorder(_kappa_order(?))", text)
            #expect(back == SlowDecimal(text).text)
            #expect(
                text.utf8.withContiguousStorageIfAvailable { NumberOrder.key(.init($0)) } == key)
            all.append((text, key))
        }
        all.sort { $0.key.lexicographicallyPrecedes($1.key) }
        for (a, b) in zip(all, all.dropFirst()) {
            #expect(!(SlowDecimal(b.text) < SlowDecimal(a.text)), "\(a.text) \(b.text)")
            #expect((a.key == b.key) == (SlowDecimal(a.text).text == SlowDecimal(b.text).text))
        }
    }

    @Test("numbers beyond the range of decimals are ordered correctly")
    func orderOfDoubles() throws {
        let functions = try Functions()
        let ordered = [
            "-9e999", "-1.7e308", "-1e300", "-170141183460469231731687303715884105728", "-12.5",
            "-1e-300", "0", "5e-324", "1e-300", "'1e-200'", "0.1", "12", "'12.5'", "1e15", "1e300",
            "'2e300'", "9e999",
        ]
        for (a, b) in zip(ordered, ordered.dropFirst()) {
            #expect(try functions.integer("_kappa_order(\(a)) < _kappa_order(\(b))") == 1, "\(a)")
            #expect(try functions.integer("_kappa_compare(\(a), \(b))") == -1, "\(a) \(b)")
            #expect(try functions.integer("_kappa_compare(\(b), \(a))") == 1, "\(a) \(b)")
        }
        for same in ["1e300", "-9e999", "5e-324", "0.1", "12"] {
            let sql = "_kappa_unorder(_kappa_order(\(same))) = \(same)"
            #expect(try functions.integer(sql) == 1, "\(same)")
        }
    }

    @Test("sums and means of groups and of windows are exact", arguments: Seeds.random(8))
    func aggregates(seed: UInt64) throws {
        let functions = try Functions()
        let connection = functions.connection
        try connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, g INTEGER, x)")
        let insert = try connection.prepare("INSERT INTO t VALUES (?, ?, ?)")
        var random = SplitMix(state: seed)
        // Half of the runs stay small, so that their sums fit.
        let isSmall = seed % 2 == 0
        var rows: [(group: Int, number: SlowDecimal?)] = []
        for id in 0..<120 {
            let text = isSmall ? random.moneyText() : random.decimalText()
            let isNull = random.chance(1, in: 10)
            let group = random.below(5)
            rows.append((group, isNull ? nil : SlowDecimal(text)))
            insert.bind(0, Int64(id))
            insert.bind(1, Int64(group))
            if isNull {
                insert.bindNull(2)
            } else if let decimal = ExactDecimal(text) {
                DecimalCell.bind(decimal, to: CopyingWriter(insert), at: 2)
            }
            try insert.execute()
        }
        func check(_ sql: String, _ numbers: [SlowDecimal?]) throws {
            let there = numbers.compactMap { $0 }
            let sum = there.reduce(SlowDecimal("0"), +)
            let mean = there.isEmpty ? nil : sum.divided(by: SlowDecimal("\(there.count)"))
            for (name, expected) in [
                ("_kappa_sum", there.isEmpty ? nil : sum), ("_kappa_total", sum),
                ("_kappa_avg", mean),
            ] {
                let sql = sql.replacing("AGG", with: name)
                if expected?.fits ?? true {
                    let statement = try connection.prepare(sql)
                    #expect(try statement.step())
                    #expect(try Functions.canonical(statement, 0) == expected?.text, "\(sql)")
                } else {
                    #expect(throws: KappaError.self, "\(sql)") {
                        _ = try connection.prepare(sql).step()
                    }
                }
            }
        }
        for group in 0...5 {
            let numbers = rows.filter { $0.group == group }.map(\.number)
            try check("SELECT AGG(x) FROM t WHERE g = \(group)", numbers)
        }
        if !isSmall { return }
        for id in stride(from: 0, to: 120, by: 7) {
            let frame = rows[max(0, id - 3)...min(119, id + 2)].map(\.number)
            try check(
                """
                SELECT s FROM (SELECT id, AGG(x) OVER (ORDER BY id ROWS BETWEEN 3 PRECEDING
                AND 2 FOLLOWING) AS s FROM t) WHERE id = \(id)
                """, frame)
            try check(
                """
                SELECT s FROM (SELECT id, AGG(x) OVER (PARTITION BY g ORDER BY id) AS s FROM t)
                WHERE id = \(id)
                """, rows[...id].filter { $0.group == rows[id].group }.map(\.number))
        }
    }

    @Test("numbers that leave a window's frame leave no trace, however many digits they had")
    func wideFrames() throws {
        let functions = try Functions()
        let sql = """
            SELECT group_concat(s, ' ') FROM (SELECT _kappa_text(_kappa_sum(x) OVER (ORDER BY id ROWS
            CURRENT ROW)) AS s FROM (SELECT 1 AS id,
            '170141183460469231731687303715884105727' AS x UNION ALL SELECT 2,
            '0.00000000000000000000000000000000000001' UNION ALL SELECT 3,
            '-170141183460469231731687303715884105728' UNION ALL SELECT 4, 2.5))
            """
        let statement = try functions.connection.prepare(sql)
        #expect(try statement.step())
        #expect(
            statement.string(0) == """
                170141183460469231731687303715884105727 0.00000000000000000000000000000000000001 \
                -170141183460469231731687303715884105728 2.5
                """)
    }

    @Test("NULL gives NULL")
    func nulls() throws {
        let functions = try Functions()
        for sql in [
            "dec(NULL)", "dec_add(NULL, 1)", "dec_add(1, NULL)", "dec_sub(1, NULL)",
            "dec_mul(NULL, NULL)", "dec_div(1, NULL)", "dec_div(1, 2, NULL)", "dec_div(1, 0)",
            "dec_round(NULL)", "dec_round(NULL, 2)", "dec_round(1.5, NULL)", "_kappa_abs(NULL)",
            "_kappa_sign(NULL)", "_kappa_text(NULL)", "_kappa_bool(NULL)", "_kappa_order(NULL)",
            "_kappa_unorder(NULL)", "_kappa_compare(NULL, 1)", "_kappa_compare(1, NULL)",
            "_kappa_sum(NULL)", "_kappa_avg(NULL)",
        ] {
            #expect(try functions.integer("\(sql) IS NULL") == 1, "\(sql)")
        }
        #expect(try functions.decimal("_kappa_total(NULL)") == "0")
    }

    @Test(
        "a value that is not a number is refused with a message that names it",
        arguments: [
            "dec('abc')", "dec('')", "dec(x'00')", "dec(1e300)", "dec_add(1, '1,5')",
            "_kappa_sum('abc')", "_kappa_order('abc')", "_kappa_compare(1, 'abc')",
            "dec_div(1, 3, 39)", "dec_div(1, 3, -1)", "dec_round(1, 1.5)", "_kappa_bool('yes')",
            "_kappa_bool(2)", "_kappa_unorder(5)", "_kappa_unorder(x'0300')",
        ])
    func refused(sql: String) throws {
        let functions = try Functions()
        let error = #expect(throws: KappaError.self) { try functions.decimal(sql) }
        #expect(error?.reason?.hasSuffix(".") == true, "\(error?.reason ?? "")")
        #expect(error?.reason?.hasPrefix(String(sql.prefix { $0 != "(" })) == true)
    }

    @Test("booleans are read from texts")
    func booleans() throws {
        let functions = try Functions()
        for text in ["'true'", "'TRUE'", "1", "1.0", "'1'"] {
            #expect(try functions.integer("_kappa_bool(\(text))") == 1)
        }
        for text in ["'false'", "'False'", "0", "'0'"] {
            #expect(try functions.integer("_kappa_bool(\(text))") == 0)
        }
        #expect(try functions.integer("_kappa_sign('-0.001')") == -1)
        #expect(try functions.decimal("_kappa_abs('-0.001')") == "0.001")
        #expect(try functions.decimal("dec('1e2')") == "100")
    }
}

extension SplitMix {
    fileprivate mutating func moneyText() -> String {
        var number = SlowDecimal("\(below(1_000_000))")
        number.scale = below(3)
        number.isNegative = chance(1, in: 3)
        return number.text
    }
}
