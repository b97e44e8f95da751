import KappaTesting
import Testing

@testable import KappaBenchmarks
@testable import KappaCore

/// However the log is read, a query's result is the same.
@Suite("Nexmark, replayed in many ways")
struct NexmarkReplayTests {
    /// Brings queries over lines in uneven pieces, with restarts and commits in between.
    private static func inPieces(
        _ queries: [NexmarkQuery], _ lines: NexmarkLines, _ random: inout SplitMix
    ) throws -> [String: String] {
        let views = try NexmarkViews(queries)
        var done = 0
        while done < lines.count {
            // Many small pieces, and a few large ones.
            let most = random.pick([3, 50, 700, 4_000])
            let piece = min(lines.count - done, 1 + random.below(most))
            try views.append(lines, done..<(done + piece))
            if random.chance(1, in: 3) { views.close() }
            if random.chance(1, in: 3) {
                let middle = Offset(UInt64(done + random.below(piece + 1)))
                try views.scan(to: middle, commitMilliseconds: 0)
                if random.chance(1, in: 3) { views.close() }
            }
            try views.scan(commitMilliseconds: random.pick([0, 3_000]))
            done += piece
        }
        return try views.results()
    }

    @Test("in uneven pieces with restarts, every query gives what it gives at once")
    func pieces() throws {
        for seed in Seeds.random(1) {
            var random = SplitMix(state: seed)
            let lines = NexmarkLines.generated(
                8_000, seed: random.next(), disorderMillis: 3_000)
            let queries = NexmarkQuery.all()
            let pieces = try Self.inPieces(queries, lines, &random)
            expectEqual(
                pieces, try NexmarkViews.atOnce(queries, lines), "KAPPA_SEED=\(seed)")
            for (name, text) in pieces {
                #expect(text.utf8.count { $0 == 0x0A } > 1, "\(name) is empty, KAPPA_SEED=\(seed)")
            }
        }
    }

    @Test("event by event, every query gives what it gives at once")
    func single() throws {
        let lines = NexmarkLines.generated(
            600, seed: 7, disorderMillis: 1_000)
        let queries = NexmarkQuery.all()
        let views = try NexmarkViews(queries)
        for index in 0..<lines.count {
            try views.append(lines, index..<(index + 1))
            try views.scan()
        }
        expectEqual(
            try views.results(), try NexmarkViews.atOnce(queries, lines), "event by event")
    }

    @Test("with a lateness, the same events are late in every replay")
    func lateness() throws {
        for seed in Seeds.random(2) {
            var random = SplitMix(state: seed)
            let lines = NexmarkLines.generated(
                6_000, seed: random.next(), disorderMillis: 15_000)
            let queries = NexmarkQuery.all(lateness: .seconds(4)).filter { query in
                ["q5", "q7", "q8", "q11"].contains(query.name)
            }
            let pieces = try Self.inPieces(queries, lines, &random)
            let atOnce = try NexmarkViews.atOnce(queries, lines)
            expectEqual(pieces, atOnce, "KAPPA_SEED=\(seed)")
        }
    }
}
