import Glibc
import KappaTesting
import Testing

@testable import KappaCore

@Suite("kappa log trim and kappa tick") struct LogTrimProgramTests {
    private let kappa: KappaProgram
    init() throws { kappa = try KappaProgram() }

    /// Appends events in three segments, the last of which is written to.
    private func fill() throws {
        for seed in 1...3 {
            try kappa.generate(100, seed: seed)
            if seed < 3 { try kappa.run("log", "seal") }
        }
    }

    @Test("removes whole segments, and everybody says where the log begins")
    func trims() throws {
        try fill()
        try kappa.run("run", "--until-caught-up")
        let text = try kappa.run("query", "user_totals", "--limit", "3").output
        let trimmed = try kappa.run("log", "trim", "--before", "150", "--format", "json")
        #expect(trimmed.output == "{\"first_offset\":100}\n" && trimmed.code == 0, "\(trimmed)")
        #expect(trimmed.errors.contains("begins at 100, and stays whole"))
        let info = try kappa.run("log", "info", "--format", "json")
        #expect(info.output.hasPrefix(#"{"first_offset":100,"next_offset":300,"events":200,"#))
        #expect(try kappa.run("log", "verify").code == 0)
        let read = try kappa.run("log", "read", "--limit", "1", "--format", "json")
        #expect(read.output.hasPrefix(#"{"offset":100,"#))
        let below = try kappa.run("log", "read", "--from", "99")
        #expect(below.code == 66 && below.errors.contains("begins at offset 100"), "\(below)")
        #expect(try kappa.run("query", "user_totals", "--limit", "3").output == text)
        // A rebuild has fewer rows: it says where it begins, and is not promoted.
        let rebuilt = try kappa.run("rebuild", "user_sessions")
        #expect(rebuilt.errors.contains("user_sessions@2: building from offset 100: the log was"))
        #expect(rebuilt.code == 1 && rebuilt.errors.contains("the log was trimmed"), "\(rebuilt)")
        let forced = try kappa.run("promote", "user_sessions@2", "--force")
        #expect(forced.code == 0, "\(forced)")
        let why = try kappa.run("why", "user_totals", "--key", "user_1")
        #expect(why.errors.contains("the log was trimmed: it begins at offset 100"), "\(why)")
        let verify = try kappa.run("verify", "user_totals")
        #expect(verify.code == 66 && verify.errors.contains("cannot be replayed"), "\(verify)")
        #expect(try kappa.run("verify", "user_sessions").code == 0)
        #expect(try kappa.run("plan").code == 0)
        // Nothing is new: the same offset again.
        #expect(try kappa.run("log", "trim", "--before", "100").code == 0)
    }

    @Test("refuses what versions need, and what it does not understand")
    func refused() throws {
        try fill()
        try kappa.run("rebuild", "user_totals", "--until", "120")
        for (words, code, says) in [
            ([], 64, "log trim needs --before"),
            (["--before", "yesterday"], 64, "--before yesterday cannot be used"),
            (["--before", "1000"], 66, "the log has no offset 1000"),
            (["--before", "200"], 1, "is at offset 120"),
            (["--before", "2020-01-01T00:00:00Z"], 0, ""), (["--before", "400d"], 0, ""),
        ] as [([String], Int32, String)] {
            let finished = try kappa.start(["log", "trim"] + words).wait()
            let isSaid = says.isEmpty || finished.errors.contains(says)
            #expect(finished.code == code && isSaid, "\(finished)")
        }
        #expect(try LogReader(kappa.data.log).firstOffset == .zero)
    }

    @Test("run trims by age and size, by kappa.conf too")
    func retains() throws {
        try fill()
        let size = try kappa.run("run", "--until-caught-up", "--retain-size", "1")
        #expect(size.errors.contains("kappa: trimmed the log: it begins at offset 200"), "\(size)")
        for text in ["often", "0d"] {
            let wrong = try kappa.run("run", "--until-caught-up", "--retain", text)
            #expect(wrong.code == 64 && wrong.errors.contains("Write --retain 400d"), "\(wrong)")
        }
        let config = try kappa.shell("KAPPA_RETAIN=3d kappa config --format json")
        #expect(config.output.contains(#""retain""#) && config.output.contains("KAPPA_RETAIN"))
    }

    @Test("a tick closes the last window; a declared partition waits for its own")
    func ticks() throws {
        try kappa.generate(20)
        try kappa.run("run", "--until-caught-up")
        func final() throws -> Int {
            try kappa.run("query", "action_counts", "--final-only", "--format", "json").lines.count
        }
        let all = try kappa.run("query", "action_counts", "--format", "json").lines.count
        #expect(try final() < all)
        let tick = try kappa.run("tick", "--time", "2030-01-01T00:00:00Z", "--format", "json")
        #expect(tick.output == "{\"offset\":20}\n")
        try kappa.run("run", "--until-caught-up")
        #expect(try final() == all)
        for (words, code, says) in [
            (["tick"], 64, "tick needs --time"),
            (["tick", "--time", "x"], 64, "--time x cannot be used"),
            (["tick", "--time", "now", "--source", "x"], 66, "the log has no source x"),
            (["append", "--time-partition"], 64, "--time-partition needs --source"),
            (["pull", "x", "--tick-after", "3"], 64, "--tick-after needs --follow"),
        ] as [([String], Int32, String)] {
            let finished = try kappa.start(words).wait()
            #expect(finished.code == code && finished.errors.contains(says), "\(finished)")
        }
    }
}
