import KappaTesting
import Testing

@testable import KappaCore

@Suite("Comparing two versions")
struct DiffTests {
    private let folder: VersionsFolder
    init() throws { folder = try VersionsFolder() }

    private static let two = TableSchema(
        name: "t",
        columns: [
            ColumnSchema("name", .text, isKey: true), ColumnSchema("at", .integer, isKey: true),
            ColumnSchema("x", .double), ColumnSchema("d", .decimal), ColumnSchema("s", .text),
        ])

    private func differences(
        _ old: VersionReader, _ new: VersionReader, tolerance: Double = 0
    ) throws -> ([RowDifference], DiffSummary) {
        var found: [RowDifference] = []
        let summary = try Diff(old, new, tolerance: tolerance).run { found.append($0) }
        return (found, summary)
    }

    @Test("equals a slow comparison with dictionaries, for random tables")
    func reference() throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        let names = ["", "a", "ab", "b", "z", "é", "\u{1F600}", "\u{FFFD}", "B"]
        func table() -> [[Value]: [Value]] {
            var rows: [[Value]: [Value]] = [:]
            for _ in 0..<Int.random(in: 0...40, using: &random) {
                let key: [Value] = [
                    .text(names.randomElement(using: &random) ?? ""),
                    .integer(Int64.random(in: -3...3, using: &random)),
                ]
                rows[key] = [
                    Bool.random(using: &random) ? .null : .double(0.5),
                    .decimal(ExactDecimal(Int64.random(in: 0...1, using: &random))),
                    .text(Bool.random(using: &random) ? "" : "s"),
                ]
            }
            return rows
        }
        for round in 0..<40 {
            let (a, b) = (table(), table())
            let old = try folder.make(round * 2, [(Self.two, a.map { $0.key + $0.value })])
            let new = try folder.make(round * 2 + 1, [(Self.two, b.map { $0.key + $0.value })])
            let (found, summary) = try differences(old, new)
            let comment: Comment = "KAPPA_SEED=\(seed)"
            var wanted: [[Value]: (RowDifference.Operation, [String])] = [:]
            for key in Set(a.keys).union(b.keys) {
                guard let x = a[key] else {
                    wanted[key] = (.added, Self.two.columns.map(\.name))
                    continue
                }
                guard let y = b[key] else {
                    wanted[key] = (.removed, Self.two.columns.map(\.name))
                    continue
                }
                let columns = zip(["x", "d", "s"], zip(x, y)).filter { $0.1.0 != $0.1.1 }
                if !columns.isEmpty { wanted[key] = (.changed, columns.map(\.0)) }
            }
            #expect(found.count == wanted.count, comment)
            for difference in found {
                let other = wanted[difference.key]
                #expect(difference.operation == other?.0, comment)
                #expect(difference.columns == other?.1, comment)
                #expect(difference.before == a[difference.key].map { difference.key + $0 }, comment)
                #expect(difference.after == b[difference.key].map { difference.key + $0 }, comment)
            }
            #expect(summary.added == wanted.values.count { $0.0 == .added }, comment)
            #expect(summary.removed == wanted.values.count { $0.0 == .removed }, comment)
            #expect(summary.changed == wanted.values.count { $0.0 == .changed }, comment)
            #expect(summary.same == Set(a.keys).union(b.keys).count - wanted.count, comment)
            #expect(summary.isSame == wanted.isEmpty, comment)
        }
    }

    @Test("fractional numbers may differ by at most the tolerance")
    func tolerance() throws {
        func row(_ x: Double, _ d: ExactDecimal) -> [Value] {
            [.text("a"), .integer(1), .double(x), .decimal(d), .text("s")]
        }
        let old = try folder.make(1, [(Self.two, [row(1.5, 10)])])
        let new = try folder.make(2, [(Self.two, [row(1.75, ExactDecimal("10.25") ?? 0)])])
        #expect(try differences(old, new).0.map(\.columns) == [["x", "d"]])
        #expect(try differences(old, new, tolerance: 0.2).0.map(\.columns) == [["x", "d"]])
        #expect(try differences(old, new, tolerance: 0.25).1.same == 1)
    }

    @Test("a column or a table that only one version has differs if it has contents")
    func shapes() throws {
        let key = ColumnSchema("k", .text, isKey: true)
        let plain = TableSchema(name: "t", columns: [key, ColumnSchema("n", .integer)])
        let wide = TableSchema(
            name: "t",
            columns: [key, ColumnSchema("m", .text), ColumnSchema("n", .integer)])
        let extra = TableSchema(name: "u", columns: [key])
        let old = try folder.make(
            1, [(plain, [[.text("a"), .integer(1)], [.text("b"), .integer(2)]])])
        let new = try folder.make(
            2,
            [
                (
                    wide,
                    [[.text("a"), .null, .integer(1)], [.text("b"), .text("x"), .integer(3)]]
                ),
                (extra, [[.text("z")]]),
            ])
        let (found, summary) = try differences(old, new)
        #expect(found.map(\.columns) == [["n", "m"], ["k"]])
        #expect(found.map(\.table) == ["t", "u"])
        #expect([summary.added, summary.changed, summary.same] == [1, 1, 1])
        let back = try differences(new, old)
        #expect(back.0.map(\.operation) == [.changed, .removed])
    }

    @Test("a table with another key has all rows removed, and then all added")
    func otherKeys() throws {
        let byText = TableSchema(name: "t", columns: [ColumnSchema("k", .text, isKey: true)])
        let byNumber = TableSchema(name: "t", columns: [ColumnSchema("k", .integer, isKey: true)])
        let old = try folder.make(1, [(byText, [[.text("a")], [.text("b")]])])
        let new = try folder.make(2, [(byNumber, [[.integer(7)]])])
        let (found, summary) = try differences(old, new)
        #expect(found.map(\.operation) == [.removed, .removed, .added])
        #expect(found.map(\.key) == [[.text("a")], [.text("b")], [.integer(7)]])
        #expect([summary.removed, summary.added, summary.changed, summary.same] == [2, 1, 0, 0])
    }

    @Test("versions at different positions are not compared directly")
    func positions() throws {
        let table = TableSchema(name: "t", columns: [ColumnSchema("k", .text, isKey: true)])
        let old = try folder.make(1, [(table, [])], at: 5)
        let new = try folder.make(2, [(table, [])], at: 6)
        let error = #expect(throws: KappaError.self) { try differences(old, new) }
        #expect(error?.code == .refused)
    }

    // MARK: Alignment

    private func align(
        _ a: Int, _ b: Int, views: [any AnyView]
    ) throws -> (offsets: [UInt64], rows: [[String]]) {
        let alignment = try Alignment(
            VersionID("tally", VersionNumber(a)), VersionID("tally", VersionNumber(b)),
            in: folder.data, ViewSet(views))
        return (
            try [alignment.old, alignment.new].map { try $0.checkpoint().offset.rawValue },
            try [alignment.old, alignment.new].map { try folder.csv($0) }
        )
    }

    @Test("a copy of the version at the lower position is brought forward; neither file changes")
    func bringsForward() throws {
        try folder.append(ticks: 40)
        try folder.catchUp([tally("a")], until: Offset(13))
        try folder.catchUp([tally("b", below: 30)], promotes: false)
        let before = try folder.rows("tally", 1)
        let old = tally("a")
        let new = tally("b", below: 30)
        // With the definition of the one at the lower position, in both orders; then with that of the other
        // one.
        let forward = try align(1, 2, views: [old])
        #expect(forward.offsets == [40, 40])
        let reversed = try align(2, 1, views: [old])
        #expect(reversed.offsets == [40, 40])
        #expect(reversed.rows == forward.rows.reversed())
        let backward = try align(1, 2, views: [new])
        #expect(backward.offsets == [13, 13])
        #expect(backward.rows[0] == before)
        let error = #expect(throws: KappaError.self) { try align(1, 2, views: []) }
        #expect(error?.code == .notFound)
        #expect(try folder.rows("tally", 1) == before)
        #expect(try folder.reader("tally", 1).checkpoint().offset == Offset(13))
        #expect(!Folder.names(in: folder.data.path).contains { $0.hasPrefix("scratch") })

        let fresh = try VersionsFolder()
        try fresh.append(ticks: 40)
        try fresh.catchUp([old])
        #expect(try forward.rows[0] == fresh.rows("tally", 1))
    }

    @Test("two versions that follow the log while events flow are compared at one position")
    func followed() throws {
        try folder.append(ticks: 20)
        let old = try RunningBuild(folder.data, [tally("a")])
        try old.until("tally@1 is live") { try folder.entry("tally", 1)?.isLive == true }
        let new = try RunningBuild(folder.data, [tally("b", below: 50)]) { $0.promotes = false }
        try new.until("tally@2 is ready") { try folder.entry("tally", 2)?.state == .ready }
        let isEnd = Monitor(false)
        let data = folder.data
        let feed = try WorkerThread("test-feed") {
            guard let writer = try? LogWriter(data.log) else { return }
            var next = 0
            while !isEnd.withLock({ $0 }) {
                next += 1
                var line = Tick.line("k\(next % 5)", next % 100)
                _ = try? line.withUTF8 {
                    try writer.append(try EventLines(UnsafeRawBufferPointer($0)))
                }
            }
        }
        defer {
            isEnd.withLock { $0 = true }
            feed.join()
        }
        for _ in 0..<5 {
            let alignment = try Alignment(
                VersionID("tally", VersionNumber(1)), VersionID("tally", VersionNumber(2)),
                in: folder.data, ViewSet([tally("a")]))
            let (found, summary) = try differences(alignment.old, alignment.new)
            #expect(found.count == summary.changed + summary.added + summary.removed)
            #expect(summary.position >= Offset(20))
        }
        try old.stop()
        try new.stop()
    }
}
