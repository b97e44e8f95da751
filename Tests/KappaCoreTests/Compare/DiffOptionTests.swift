import KappaTesting
import Testing

@testable import KappaCore

@Suite("Options of a comparison")
struct DiffOptionTests {
    private let folder: VersionsFolder
    init() throws { folder = try VersionsFolder() }

    private static let table = TableSchema(
        name: "t",
        columns: [
            ColumnSchema("k", .text, isKey: true), ColumnSchema("n", .integer),
            ColumnSchema("x", .double), ColumnSchema("d", .decimal), ColumnSchema("s", .text),
        ])

    private static func row(
        _ k: String, _ n: Int64, _ x: Double, _ d: ExactDecimal, _ s: String
    ) -> [Value] {
        [.text(k), .integer(n), .double(x), .decimal(d), .text(s)]
    }

    private func pair() throws -> (VersionReader, VersionReader) {
        let old = [
            Self.row("a", 1, 0.5, 10, "x"), Self.row("b", 2, 0.5, 20, "x"),
            Self.row("c", 3, 0, 30, "x"), Self.row("d", 4, 0.5, 40, "x"),
        ]
        let new = [
            Self.row("a", 1, 0.5, 10, "y"), Self.row("b", 7, 2, ExactDecimal("20.05") ?? 0, "x"),
            Self.row("c", -3, 1, 30, "x"), Self.row("e", 5, 0.5, 50, "x"),
        ]
        return (
            try folder.make(1, [(Self.table, old)]), try folder.make(2, [(Self.table, new)])
        )
    }

    private func run(
        atMost most: Int = .max, _ change: (inout Diff.Options) -> Void = { _ in }
    ) throws -> ([String], DiffSummary) {
        var options = Diff.Options()
        change(&options)
        let (old, new) = try pair()
        var found: [String] = []
        let summary = try Diff(old, new, options).run(atMost: most) { difference in
            let key = difference.key.map(\.plainText).joined()
            found.append(
                "\(difference.operation) \(key): \(difference.columns.joined(separator: " "))")
        }
        return (found, summary)
    }

    @Test("the summary has for each column how many rows differ, and by how much at most")
    func statistics() throws {
        let (_, summary) = try run()
        #expect(summary.columns.map(\.column) == ["n", "x", "d", "s"])
        #expect(summary.columns.map(\.rows) == [2, 2, 1, 1])
        #expect(summary.columns[0].largest == .integer(6))
        #expect(summary.columns[0].relative == 2.5)
        #expect(summary.columns[1].largest == .double(1.5))
        // There is no relative difference from zero.
        #expect(summary.columns[1].relative == 3)
        #expect(summary.columns[2].largest == .decimal(ExactDecimal("0.05") ?? 0))
        #expect(summary.columns[3].largest == nil && summary.columns[3].relative == nil)
    }

    @Test("numbers at the ends of their range have a difference, too")
    func extremes() {
        var column = ColumnDifference(table: "t", column: "n")
        column.note(.integer(.min), .integer(.max))
        #expect(column.largest == .double(Double(UInt64.max)))
        let large = ExactDecimal(mantissa: .max, scale: 0)
        var decimals = ColumnDifference(table: "t", column: "d")
        decimals.note(.decimal(large), .decimal(ExactDecimal(mantissa: -.max, scale: 0)))
        #expect(decimals.largest == .double(2 * large.doubleValue))
        decimals.note(.null, .decimal(1))
        #expect(decimals.rows == 2)
    }

    @Test("an ignored column makes no row differ")
    func ignored() throws {
        let (found, summary) = try run { $0.ignored = ["n", "x", "d"] }
        #expect(found == ["changed a: s", "removed d: k s", "added e: k s"])
        #expect(summary.same == 2)
        #expect(summary.columns.map(\.column) == ["s"])
        let unknown = #expect(throws: KappaError.self) { try run { $0.ignored = ["nix"] } }
        #expect(unknown?.reason == "t can differ in n, x, d, s")
        let key = #expect(throws: KappaError.self) { try run { $0.ignored = ["k"] } }
        #expect(key?.code == .usage)
    }

    @Test("with a key, only its row is compared")
    func key() throws {
        let (found, summary) = try run { $0.key = .string("b") }
        #expect(found == ["changed b: n x d"])
        #expect(summary.same + summary.differences == 1)
        let (none, empty) = try run { $0.key = .string("nobody") }
        #expect(none == [] && empty.same == 0)
        let wrong = #expect(throws: KappaError.self) { try run { $0.key = .array([]) } }
        #expect(wrong?.code == .usage)
    }

    @Test("a condition is evaluated on the old and on the new row")
    func condition() throws {
        // b has 2 before and 7 after, d is there before and e after.
        #expect(
            try run { $0.condition = "n >= 5" }.0 == ["changed b: n x d", "added e: k n x d s"])
        #expect(try run { $0.condition = "n = 2" }.0 == ["changed b: n x d"])
        #expect(try run { $0.condition = "k = 'd' or k = 'e'" }.0.count == 2)
        #expect(try run { $0.condition = "false" }.1 == Self.nothing)
        // Null is not true.
        #expect(try run { $0.condition = "null" }.1 == Self.nothing)
    }

    private static let nothing: DiffSummary = {
        var summary = DiffSummary()
        summary.position = Offset(5)
        return summary
    }()

    @Test(
        "a condition can only read the row",
        arguments: [
            "1) or (1", "n = ?", "nix = 1", "n;", "exists (select 1 from _kappa_checkpoint)",
            "exists (select 1 from sqlite_master)", "load_extension('x')", "n = 'open",
        ])
    func hostile(_ condition: String) throws {
        let error = #expect(throws: KappaError.self) { try run { $0.condition = condition } }
        #expect(error?.code == .usage)
    }

    @Test("a condition over a column that only one version has is evaluated on that version")
    func newColumn() throws {
        let key = ColumnSchema("k", .text, isKey: true)
        let old = try folder.make(
            3,
            [
                (
                    TableSchema(name: "t", columns: [key, ColumnSchema("n", .integer)]),
                    [[.text("a"), .integer(1)], [.text("b"), .integer(1)]]
                )
            ])
        let new = try folder.make(
            4,
            [
                (
                    TableSchema(name: "t", columns: [key, ColumnSchema("m", .integer)]),
                    [[.text("a"), .integer(1)], [.text("b"), .integer(2)]]
                )
            ])
        var options = Diff.Options()
        options.condition = "m = 2"
        var keys: [[Value]] = []
        let summary = try Diff(old, new, options).run { keys.append($0.key) }
        #expect(keys == [[.text("b")]])
        #expect(summary.differences == 1)
    }

    @Test("at most the given number of differences are visited, and all are counted")
    func limit() throws {
        let (found, summary) = try run(atMost: 2)
        #expect(found.count == 2)
        #expect(summary == (try run().1))
    }

    @Test("only the named one of several tables is compared")
    func tables() throws {
        let key = ColumnSchema("k", .text, isKey: true)
        let other = TableSchema(name: "u", columns: [key])
        let old = try folder.make(3, [(Self.table, []), (other, [[.text("a")]])])
        let new = try folder.make(4, [(Self.table, []), (other, [])])
        var options = Diff.Options()
        options.table = "u"
        #expect(try Diff(old, new, options).run { _ in }.removed == 1)
        // If no table is named, a key is one of the first table.
        options.key = .string("a")
        #expect(try Diff(old, new, options).run { _ in }.removed == 1)
        options.table = nil
        #expect(try Diff(old, new, options).run { _ in }.isSame)
        options.table = "v"
        let error = #expect(throws: KappaError.self) { try Diff(old, new, options).run { _ in } }
        #expect(error?.code == .notFound)
    }

    @Test("an error thrown by the pulse ends the comparison")
    func pulse() throws {
        struct Enough: Error {}
        let rows = (0..<5_000).map { Self.row("k\($0 + 10_000)", 1, 1, 1, "") }
        let old = try folder.make(3, [(Self.table, rows)])
        let new = try folder.make(4, [(Self.table, rows)])
        var diff = Diff(old, new)
        diff.pulse = { throw Enough() }
        #expect(throws: Enough.self) { try diff.run { _ in } }
    }
}
