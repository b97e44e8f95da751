import KappaTesting
import Testing

@testable import KappaCore

/// A changed view may have other keys, other columns, other tables: a difference like any other.
@Suite("Definitions whose tables have another shape") struct ChangedShapeTests {
    private struct Sale: Event, ViewRow {
        var k: String
        var v: Int
        static let eventType: String? = nil
    }

    private static let sales = Events(Sale.self)

    private static func with(_ shape: Int, _ steps: any ViewStep...) -> ShapedView {
        ShapedView(name: "shape", file: #fileID, steps: steps, explicitDigest: "\(shape)")
    }

    private struct ShapedView: AnyView {
        var name: String
        var file: String
        var steps: [any ViewStep]
        var explicitDigest: String?
    }

    /// Ways to make a view named `shape`, each with tables of another shape.
    private static func view(_ shape: Int) -> any AnyView {
        let byK = sales.grouped(by: \.k)
        let byV = sales.grouped(by: \.v)
        switch shape {
        case 0: return with(0, byK.aggregate(.count().as("n")))
        case 1: return with(1, byV.aggregate(.count().as("n")).into("shape"))
        case 2: return with(2, sales.grouped(by: \.k, \.v).aggregate(.count().as("n")))
        case 3: return with(3, sales.grouped(by: \.v, \.k).aggregate(.count().as("n")))
        case 4: return with(4, sales.grouped(as: "other") { $0.k }.aggregate(.count().as("n")))
        case 5: return with(5, sales.grouped(as: "k") { $0.v % 3 }.aggregate(.count().as("n")))
        case 6: return with(6, sales.grouped(as: "k") { $0.v % 2 == 0 }.aggregate(.count().as("n")))
        case 7: return with(7, byK.aggregate(.average(\.v).as("n")))
        case 8: return with(8, byK.aggregate(.last(\.k).as("n"), .max(\.v).as("most")))
        case 9: return with(9, byK.aggregate(.sum(\.v).as("total")))
        case 10:
            return with(
                10, byK.aggregate(.count().as("n")),
                byV.aggregate(.count().as("n")).into("further"))
        default: return with(11, byV.aggregate(.sum(\.v).as("n")).into("further"))
        }
    }

    private static let shapes = 0...11

    private static let gates: [Gate] = [
        .changedRows(atMost: 0), .addedRows(atMost: 0), .removedRows(atMost: 0),
        .differingRows(atMost: .percent(1)), .columnDrift("n", atMost: .percent(5)),
        .sql("SELECT 1 FROM new WHERE 1 = 0"), .deadLetters(atMost: 0), .lateEvents(atMost: 0),
        .check("counts") { $0.newRows >= 0 },
    ]

    @Test("plan, diff, changes and gates work with a definition of any other shape")
    func pairs() throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        for before in Self.shapes {
            // All pairs would take too long; a seed picks some for each shape.
            for after in Self.shapes.filter({ $0 != before }).shuffled(using: &random).prefix(4) {
                let comment: Comment = "\(before) → \(after), KAPPA_SEED=\(seed)"
                try check(before, after, comment, &random)
            }
        }
    }

    private func check(
        _ before: Int, _ after: Int, _ comment: Comment, _ random: inout SplitMix
    ) throws {
        let folder = try VersionsFolder()
        try folder.append(
            (0..<20).map { _ in
                Tick.line(
                    "k\(Int.random(in: 0..<4, using: &random))",
                    Int.random(in: 0..<6, using: &random))
            })
        try folder.catchUp([Self.view(before)])
        let mirror = try Mirror("shape", folder)
        try mirror.poll()

        let plan = try Plan.steps(folder.data, ViewSet([Self.view(after)]), sampleEvents: 1_000)
        #expect(plan.map(\.action) == [.build], comment)
        let planned = try #require(plan.first?.diff, comment)

        try folder.catchUp([Self.view(after)], promotes: false)
        let (old, new) = (try folder.reader("shape", 1), try folder.reader("shape", 2))
        var lines: [String] = []
        let summary = try Diff(old, new).run {
            lines.append($0.line(from: old.tables, to: new.tables))
        }
        #expect(lines.count == summary.differences, comment)
        #expect(summary.added == planned.summary.added, comment)
        #expect(summary.removed == planned.summary.removed, comment)
        #expect(summary.changed == planned.summary.changed, comment)
        let rows = try [old, new].map { reader in
            try reader.tables.indices.map { try reader.rowCount(table: $0) }.reduce(0, +)
        }
        #expect(summary.removed + summary.changed + summary.same == rows[0], comment)
        #expect(summary.added + summary.changed + summary.same == rows[1], comment)

        let id = VersionID("shape", VersionNumber(2))
        for gate in Self.gates {
            let judge = try GateJudge(folder.data, .empty, further: [gate], promoter: .person)
            let judgement = try judge.judge(id, against: VersionID("shape", VersionNumber(1)))
            let finding = try #require(judgement?.findings.first, comment)
            if case .drift = gate.rule {
                // A column that a version lacks, or that is not numeric there, has no sum.
                #expect(
                    finding.figures.contains("its sum")
                        || finding.figures.contains("cannot be judged"),
                    "\(finding) \(comment)")
            } else {
                #expect(!finding.figures.contains("cannot be judged"), "\(finding) \(comment)")
            }
        }
        _ = try Promotion(folder.catalog()).promote([id], reason: "test")
        try mirror.poll()
        #expect(mirror.promotions == 1, comment)
        // Nothing is left of the rows that a table has lost.
        let left = mirror.rows.filter { !$0.value.isEmpty }
        let wanted = try Mirror.rows(folder.reader("shape", 2))
        #expect(left == wanted, comment)
    }
}
