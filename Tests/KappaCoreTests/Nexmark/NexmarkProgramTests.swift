import Foundation
import KappaTesting
import Testing

@testable import KappaBenchmarks
@testable import KappaCore

/// `kappa-bench nexmark`, as a program.
@Suite("kappa-bench nexmark")
struct NexmarkProgramTests {
    private static let program =
        KappaProgram.path.split(separator: "/").dropLast().map { "/" + $0 }.joined()
        + "/kappa-bench"
    private let place: KappaProgram

    init() throws { place = try KappaProgram() }

    private func bench(_ words: String...) throws -> KappaProgram.Finished {
        try place.start(words, program: Self.program).wait()
    }

    private func text(_ path: String) throws -> String {
        try String(contentsOfFile: place.folder.path + "/" + path, encoding: .utf8)
    }

    @Test("generates events, and writes the queries' results")
    func wholeWay() throws {
        let events = try bench(
            "nexmark-generate", "--events", "3000", "--seed", "4", "--rate", "100", "--disorder",
            "0.5")
        #expect(events.code == 0, "\(events.errors)")
        let lines = NexmarkLines.generated(
            3_000, seed: 4, rate: 100, disorderMillis: 500, bidderShift: 1_000)
        #expect(events.lines == (0..<3_000).map { lines[$0] })
        try events.output.write(
            toFile: place.folder.path + "/events.ndjson", atomically: false, encoding: .utf8)
        let run = try bench(
            "nexmark", "--events", "events.ndjson", "--out", "out/results", "--queries", "q4,q11",
            "--lateness", "0.25")
        #expect(run.code == 0, "\(run)")
        // A header and a line for each query.
        #expect(run.lines.count == 3, "\(run)")
        let queries = NexmarkQuery.all(lateness: .milliseconds(250)).filter {
            ["q4", "q11"].contains($0.name)
        }
        let expected = try NexmarkViews.atOnce(queries, lines)
        for query in queries {
            #expect(try text("out/results/\(query.name).csv") == expected[query.name])
        }
        #expect(
            try FileManager.default.contentsOfDirectory(
                atPath: place.folder.path + "/out/results"
            ).sorted() == ["q11.csv", "q4.csv"])
    }

    @Test(
        "killed at random moments and run again, a query gives the same result",
        arguments: ["q1", "q4", "q11", "q19", "q23"])
    func kills(_ name: String) throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        let lines = NexmarkLines.generated(
            4_000, seed: random.next(), disorderMillis: 2_000)
        let data = DataFolder(place.folder.path + "/nexmark-log")
        try Folder.make(data.path)
        let child = ["nexmark-query", name, place.folder.path, "\(lines.count)", "-"]
        for piece in 0..<4 {
            try lines.append(piece * 1_000..<(piece + 1) * 1_000, to: LogWriter(data.log))
            for _ in 0..<2 {
                let killed = try place.start(child, program: Self.program)
                usleep(UInt32.random(in: 5_000...150_000, using: &random))
                killed.signal(SIGKILL)
                _ = try killed.wait()
            }
            // Sometimes it runs to its end, and to a commit.
            guard piece == 3 || random.chance(1, in: 2) else { continue }
            let finished = try place.start(child, program: Self.program).wait()
            #expect(finished.code == 0, "\(finished), KAPPA_SEED=\(seed)")
        }
        let queries = NexmarkQuery.all().filter { $0.name == name }
        let expected = try NexmarkViews.atOnce(queries, lines)
        #expect(expected[name]?.utf8.count ?? 0 > 20)
        expectEqual([name: try text("\(name).csv")], expected, "KAPPA_SEED=\(seed)")
    }

    @Test(
        "a wrong command line is reported, with the correct one",
        arguments: [
            (["nexmark", "--out", "x"], "--events and --out are needed"),
            (["nexmark", "--events", "x"], "--events and --out are needed"),
            (["nexmark", "--events", "x", "--out"], "--out lacks its value"),
            (["nexmark", "--evnts", "x"], "there is no option --evnts"),
            (["nexmark", "--events", "x", "--out", "x", "--queries", "q99"], "no query q99"),
            (["nexmark", "--events", "x", "--out", "x", "--queries", ","], "takes a list"),
            (["nexmark", "--events", "x", "--out", "x", "--queries", "q1,q1"], "q1 twice"),
            (["nexmark", "--events", "x", "--out", "x", "--lateness", "inf"], "not inf"),
            (["nexmark", "--events", "x", "--out", "x", "--lateness", "-1"], "not -1"),
            (["nexmark-generate"], "--events is needed"),
            (["nexmark-generate", "--events", "many"], "not many"),
            (["nexmark-generate", "--events", "1", "--rate", "0"], "not 0"),
            (["nexmark-generate", "--events", "1", "--events", "2"], "--events is given twice"),
            (["nexmark-generate", "--events", "1", "--disorder", "1e300"], "not 1e300"),
            (["nexmrk"], "there is no command nexmrk"),
        ])
    func wrong(_ words: [String], _ message: String) throws {
        let finished = try place.start(words, program: Self.program).wait()
        #expect(finished.code == 64, "\(finished)")
        #expect(finished.errors.contains(message), "\(finished)")
        #expect(finished.output.isEmpty)
    }

    @Test("a missing file of events is reported, and nothing is created")
    func missing() throws {
        let finished = try bench("nexmark", "--events", "none.ndjson", "--out", "out")
        #expect(finished.code == 66, "\(finished)")
        #expect(finished.errors.contains("none.ndjson"))
        #expect(!FileManager.default.fileExists(atPath: place.folder.path + "/out"))
    }

    @Test("each command has help", arguments: ["nexmark", "nexmark-generate"])
    func help(_ command: String) throws {
        let finished = try bench(command, "--help")
        #expect(finished.code == 0)
        #expect(finished.output.contains("kappa-bench \(command) --events"))
        #expect(try bench("help").output.contains("kappa-bench \(command) "))
    }
}
