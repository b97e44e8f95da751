import Testing

@testable import KappaCore

/// Runs the benchmarks at a size that measures nothing, so that they cannot rot.
@Suite("kappa-bench")
struct BenchmarkTests {
    private static let program =
        KappaProgram.path.split(separator: "/").dropLast().map { "/" + $0 }.joined()
        + "/kappa-bench"

    @Test("measures every kind of workload, and writes the results")
    func tiny() throws {
        let place = try KappaProgram()
        let workloads = [
            "floor-W1", "W1", "W2-1M", "W3-100", "W4", "foundation", "W5", "W6", "W7-pipe", "W9",
            "W11",
        ]
        let finished = try place.start(
            [
                "all", "--out", place.folder.path + "/bench", "--events", "2000", "--runs", "1",
                "--only", workloads.joined(separator: ","),
            ], program: Self.program
        ).wait()
        #expect(finished.code == 0, "\(finished)")
        for workload in workloads {
            #expect(finished.output.contains("\n\(workload)"), "\(finished)")
        }
        let results = try place.shell("cat bench/results.json")
        for workload in workloads {
            #expect(results.output.contains("\"workload\":\"\(workload)\""), "\(results)")
        }
    }

    @Test("measures what live views write")
    func disk() throws {
        let place = try KappaProgram()
        let finished = try place.start(
            [
                "disk", "--out", place.folder.path + "/bench", "--seconds", "1", "--rate", "200",
                "--few", "5",
            ], program: Self.program
        ).wait()
        #expect(finished.code == 0, "\(finished)")
        #expect(finished.output.contains("200 events"), "\(finished)")
        #expect(finished.output.contains("times as many"), "\(finished)")
    }

    @Test("a wrong option is reported")
    func wrong() throws {
        let place = try KappaProgram()
        let finished = try place.start(["all", "--evnts", "3"], program: Self.program).wait()
        #expect(finished.code == 64)
        #expect(finished.errors.contains("--evnts"))
    }
}
