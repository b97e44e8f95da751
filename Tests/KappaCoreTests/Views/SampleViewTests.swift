import KappaTesting
import Testing
import Views

@testable import KappaCore

/// The seven sample views over real and generated histories, against rows computed by a slow reference
/// outside of this project.
@Suite("The sample views", .enabled(if: EventsShared.isThere, EventsShared.reason))
struct SampleViewTests {
    static let ofUsers: [any AnyView] = [actionCounts, userTotals, userSessions, purchaseFunnel]
    static let ofHistories: [any AnyView] = [fileChurn, authorWeeks, authorStreaks]

    /// Materializes views over a file of events in one scan after each append.
    private func run(
        _ views: [any AnyView], over lines: [String], pieces: [Int], restarts: Bool = false,
        forbidColumns: Bool = false, budgetBytes: Int = 1 << 26
    ) throws -> [(view: String, outcome: EventsOutcome)] {
        let folder = try TemporaryFolder()
        let versions = try views.map { try EventsVersion($0, in: folder.path) }
        let writer = try LogWriter(DataFolder(folder.path).log)
        var first = 0
        for piece in pieces {
            let text = lines[first..<(first + piece)].joined(separator: "\n")
            _ = try writer.append(try Array(text.utf8).withUnsafeBytes { try EventLines($0) })
            first += piece
            for version in versions {
                if restarts { version.close() }
                try version.scan(budgetBytes: budgetBytes, forbidColumns: forbidColumns)
            }
        }
        #expect(first == lines.count)
        return try zip(views, versions).map { ($0.name, try $1.outcome()) }
    }

    private func check(_ found: [(view: String, outcome: EventsOutcome)], events: Int) throws {
        for (view, outcome) in found {
            let rows = outcome.tables[0].map { $0.map(\.csvText).joined(separator: ",") }
            let expected = try EventsShared.expected(view).dropFirst()
            #expect(rows.count == expected.count, "\(view)")
            let bytes = { (text: String) in Array(text.utf8) }
            let sorted = rows.sorted { bytes($0).lexicographicallyPrecedes(bytes($1)) }
            for (row, line) in zip(sorted, expected) where row != line {
                Issue.record("\(view): \(row) instead of \(line)")
                break
            }
            let counters = outcome.counters
            #expect(counters.late == (view == "action_counts" ? 4_154 : 0), "\(view)")
            #expect(counters.dead == 0, "\(view): \(outcome.dead.first?.reason ?? "")")
            #expect(
                counters.applied + counters.late + counters.filtered == UInt64(events), "\(view)")
        }
    }

    @Test("user events give the expected rows, replayed at once")
    func users() throws {
        let lines = try EventsShared.events("user-events.ndjson.gz")
        try check(try run(Self.ofUsers, over: lines, pieces: [lines.count]), events: 50_000)
    }

    @Test("user events give the expected rows, in pieces, with restarts and little memory")
    func usersInPieces() throws {
        let lines = try EventsShared.events("user-events.ndjson.gz")
        let pieces = [1, 999, 20_000, 4_000, lines.count - 25_000]
        let found = try run(
            Self.ofUsers, over: lines, pieces: pieces, restarts: true, forbidColumns: true,
            budgetBytes: 1)
        try check(found, events: 50_000)
    }

    @Test("a project's history gives the expected rows, replayed at once")
    func histories() throws {
        let lines = try EventsShared.events("redis-history.ndjson.gz")
        try check(try run(Self.ofHistories, over: lines, pieces: [lines.count]), events: 38_908)
    }

    @Test("a project's history gives the expected rows, in pieces, with restarts and little memory")
    func historiesInPieces() throws {
        let lines = try EventsShared.events("redis-history.ndjson.gz")
        let pieces = [5_000, 1, 12_345, lines.count - 17_346]
        let found = try run(
            Self.ofHistories, over: lines, pieces: pieces, restarts: true, budgetBytes: 1)
        try check(found, events: 38_908)
    }
}
