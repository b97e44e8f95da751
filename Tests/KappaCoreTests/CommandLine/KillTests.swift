import Foundation
import Glibc
import KappaTesting
import Testing

@testable import KappaCore

/// The program is killed, at random moments and at each of its writes; its results so far stay, and the rest
/// is the same as without the kill.
@Suite("Killing the program")
struct KillTests {
    private let kappa: KappaProgram
    init() throws { kappa = try KappaProgram() }

    private static let views = ["user_totals", "user_sessions"]

    private func rows(_ kappa: KappaProgram, _ view: String) throws -> String {
        let rows = try kappa.run("query", view, "--format", "csv")
        #expect(rows.code == 0, "\(rows)")
        return rows.output
    }

    /// What must hold whenever the folder is opened again.
    private func check(_ kappa: KappaProgram, _ comment: Comment) throws {
        let catalog = try Catalog(kappa.data)
        for entry in try catalog.entries() where entry.isLive {
            #expect(kappa.data.linkedNumber(of: entry.id.view) == entry.id.number, comment)
            let checkpoint = try VersionReader(kappa.data.file(entry.id)).checkpoint()
            let log = try LogReader(kappa.data.log).digest(at: checkpoint.offset)
            #expect(checkpoint.digest == log, comment)
        }
    }

    @Test("killed at random moments, it resumes where it was, and gives the same rows")
    func random() throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        let comment: Comment = "KAPPA_SEED=\(seed)"
        let events = try kappa.run(
            "generate", "user-events", "--count", "12000", "--users", "300", "--disorder", "60"
        ).output
        let calm = try KappaProgram()
        try calm.run("append", input: events)
        #expect(try calm.run("rebuild", "user_totals", "user_sessions").code == 0)
        var seen: [String: UInt64] = [:]
        for _ in 0..<20 {
            let commands = [
                ["append", "--source", "events", "--batch", "500"],
                ["rebuild"] + Self.views, ["run", "--until-caught-up"], ["run"],
                ["promote"] + Self.views, ["gc", "--keep", "0"],
            ]
            // The log must exist first; after that any command may run.
            let index = seen.isEmpty ? 0 : Int.random(in: 0..<commands.count, using: &random)
            let child = try kappa.start(commands[index], input: index == 0 ? events : nil)
            usleep(UInt32.random(in: 5_000...120_000, using: &random))
            child.signal(SIGKILL)
            _ = try child.wait()
            try check(kappa, comment)
            let catalog = try Catalog(kappa.data)
            for view in Self.views {
                guard let live = try catalog.live(view) else { continue }
                let reader = try VersionReader(kappa.data.file(VersionID(view, live)))
                let position = try reader.checkpoint().offset.rawValue
                #expect(position >= seen[view] ?? 0, "readers went back, KAPPA_SEED=\(seed)")
                seen[view] = position
            }
            if seen.isEmpty, (try? LogReader(kappa.data.log).durableEnd()) != .zero { seen[""] = 0 }
        }
        let rest = try kappa.run("append", "--source", "events", input: events)
        #expect(rest.code == 0, "\(rest)")
        let run = try kappa.run("run", "--until-caught-up")
        #expect(run.code == 0, "\(run), KAPPA_SEED=\(seed)")
        #expect(try LogReader(kappa.data.log).durableEnd() == Offset(12_000), comment)
        for view in Self.views { #expect(try rows(kappa, view) == rows(calm, view), comment) }
    }

    private static let strace = "/usr/bin/strace"
    /// Containers may forbid it.
    private static let canTrace = KappaProgram.succeeds("\(strace) -o /dev/null true")
    private static let calls =
        "pwrite64,write,fdatasync,fsync,rename,unlink,ftruncate,symlink,mkdir"

    /// Copies a data folder.
    private func copy(_ from: KappaProgram, _ to: KappaProgram) throws {
        Folder.remove(to.data.path)
        try FileManager.default.copyItem(atPath: from.data.path, toPath: to.data.path)
    }

    private func traced(
        _ kappa: KappaProgram, _ options: [String], _ words: [String]
    ) throws -> KappaProgram.Finished {
        try kappa.start(
            ["-f", "-qq", "-e", "trace=\(Self.calls)"] + options + [KappaProgram.path] + words,
            program: Self.strace
        ).wait()
    }

    /// KAPPA_FULL_SWEEP=1 tries every write, otherwise some of them, spread evenly.
    @Test(
        "killed at its Nth write, a rebuild with its promotion is either done or not done",
        .enabled(if: canTrace, "strace does the killing"))
    func everyWrite() throws {
        try kappa.generate(300)
        #expect(try kappa.run("rebuild", "user_totals").code == 0)
        let wanted = try rows(kappa, "user_totals")
        let trial = try KappaProgram()
        try copy(kappa, trial)
        let list = trial.folder.path + "/calls"
        let whole = try traced(trial, ["-o", list], ["rebuild", "user_totals"])
        #expect(whole.code == 0, "\(whole)")
        // strace counts for each thread.
        let threads = try String(contentsOfFile: list, encoding: .utf8).split(separator: "\n")
            .map { $0.prefix { $0 != " " } }
        let most = Dictionary(grouping: threads) { $0 }.values.map(\.count).max() ?? 0
        #expect(most > 20)
        let isFull = getenv("KAPPA_FULL_SWEEP") != nil
        let step = isFull ? 1 : max(1, most / 20)
        var killed = 0
        for number in stride(from: 1, through: most, by: step) {
            try copy(kappa, trial)
            let inject = "inject=\(Self.calls):signal=SIGKILL:when=\(number)"
            let child = try traced(
                trial, ["-o", "/dev/null", "-e", inject], ["rebuild", "user_totals"])
            if child.code == 137 { killed += 1 }
            try check(trial, "killed at write \(number)")
            #expect(try rows(trial, "user_totals") == wanted, "killed at write \(number)")
            let run = try trial.run("run", "--until-caught-up")
            #expect(run.code == 0, "killed at write \(number): \(run)")
            #expect(try rows(trial, "user_totals") == wanted, "killed at write \(number)")
        }
        #expect(killed > 10)
    }

    @Test("two processes append while run follows: nothing is lost and nothing is applied twice")
    func twoAppenders() throws {
        let count = 20_000
        let inputs = try [1, 2].map { seed in
            try kappa.run(
                "generate", "user-events", "--count", "\(count)", "--users", "200", "--seed",
                "\(seed)"
            ).output.replacing(":\"user_", with: ":\"user_\(seed)_")
        }
        let run = try kappa.start(["run"])
        try waitFor("run follows") { run.errors.contains("author_streaks@1: live since") }
        let appends = try inputs.map { try kappa.start(["append", "--batch", "200"], input: $0) }
        for append in appends {
            let ended = try append.wait()
            #expect(ended.code == 0, "\(ended)")
            #expect(ended.output.hasPrefix("appended 20,000 events"))
        }
        let file = kappa.data.file(VersionID("user_totals", VersionNumber(1)))
        try waitFor("all is applied") {
            try VersionReader(file).checkpoint().offset == Offset(UInt64(2 * count))
        }
        run.signal(SIGTERM)
        #expect(try run.wait().code == 0)
        let lines = try kappa.run("log", "read").lines
        #expect(
            lines.sorted() == inputs.flatMap { $0.split(separator: "\n").map(String.init) }.sorted()
        )
        let reader = try VersionReader(file)
        #expect(try reader.connection.integer("SELECT sum(events) FROM user_totals") == 40_000)
        #expect(try reader.checkpoint().counters.applied == 40_000)
        // Each process's events are in order.
        for input in inputs {
            let own = Set(input.split(separator: "\n").map(String.init))
            #expect(
                lines.filter { own.contains($0) } == input.split(separator: "\n").map(String.init))
        }
    }
}
