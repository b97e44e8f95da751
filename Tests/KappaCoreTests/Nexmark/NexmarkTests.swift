import Foundation
import KappaTesting
import Testing

@testable import KappaBenchmarks
@testable import KappaCore

/// Nexmark's queries against results of Apache Flink and DuckDB.
@Suite("Nexmark")
struct NexmarkTests {
    private static let events = "events-100k.ndjson.gz"
    private static let isThere =
        access(EventsShared.folder + "/nexmark/" + events, R_OK) == 0

    /// Rows, bytes and hash of a complete result.
    private struct Expected {
        var bytes: Int
        var sha256: String

        static func all() throws -> [String: Expected] {
            let text = try EventsShared.run(
                "cat '\(EventsShared.folder)/nexmark/expected/summary.json'")
            let json = try JSONSerialization.jsonObject(with: Data(text.utf8))
            let queries = try #require(json as? [String: [String: Any]])
            return try queries.mapValues { query in
                Expected(
                    bytes: try #require(query["bytes"] as? Int),
                    sha256: try #require(query["sha256"] as? String))
            }
        }
    }

    @Test(
        "replayed at once, every query gives the expected result",
        .enabled(if: isThere, EventsShared.reason))
    func hashes() throws {
        let expected = try Expected.all()
        let queries = NexmarkQuery.all()
        #expect(Set(queries.map(\.name)) == Set(expected.keys))
        let lines = try NexmarkLines.shared(Self.events)
        #expect(lines.count == 100_000)
        let views = try NexmarkViews(queries)
        try views.append(lines, 0..<lines.count)
        try views.scan()
        for query in queries {
            let path = try views.write(query)
            let hash = try EventsShared.run("sha256sum '\(path)'").prefix { $0 != " " }
            let bytes = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int
            #expect(bytes == expected[query.name]?.bytes, "\(query.name)")
            #expect(hash == expected[query.name]?.sha256 ?? "", "\(query.name)")
            unlink(path)
        }
        #expect(try views.losses().values.allSatisfy { $0 == 0 })
    }

    @Test(
        "late events count, or are left out after 4 s, as in Flink",
        .enabled(if: isThere, EventsShared.reason),
        arguments: [(nil, "keep"), (Duration.seconds(4), "drop")])
    func late(_ lateness: Duration?, _ folder: String) throws {
        let lines = try NexmarkLines.shared("late/events-20k-late.ndjson.gz")
        #expect(lines.count == 20_000)
        let queries = NexmarkQuery.all(lateness: lateness).filter {
            ["q5", "q7", "q8", "q11"].contains($0.name)
        }
        let results = try NexmarkViews.atOnce(queries, lines)
        for query in queries {
            let expected = try EventsShared.run(
                "cat '\(EventsShared.folder)/nexmark/late/expected-\(folder)/\(query.name).csv'")
            let found = results[query.name] ?? ""
            let difference = nexmarkDifference(found, expected)
            #expect(difference.extra == [], "\(query.name)")
            #expect(difference.missing == [], "\(query.name)")
            #expect(found == expected, "\(query.name)")
        }
    }
}
