import Foundation
import Glibc
import KappaTesting
import Testing

@testable import KappaCore

/// No leftover of a killed program stays for good: the next run or `gc` resumes or removes it.
@Suite("Leftovers of a kill")
struct KillLeftoverTests {
    private static let strace = "/usr/bin/strace"
    private static let canTrace = KappaProgram.succeeds("\(strace) -o /dev/null true")
    private static let calls =
        "pwrite64,write,fdatasync,fsync,rename,unlink,ftruncate,symlink,mkdir,openat"
    /// KAPPA_FULL_SWEEP=1 tries every call of each command, otherwise some.
    private static let isFull = getenv("KAPPA_FULL_SWEEP") != nil

    private static let commands = [
        ["rebuild", "user_totals"],
        ["rebuild", "user_totals", "--memory", "1M", "--keep-snapshots", "every=100,keep=2"],
        ["run", "--until-caught-up"], ["gc", "--keep", "0"], ["rollback", "user_totals"],
        ["promote", "user_totals@2"], ["abort", "user_totals@2"],
        ["diff", "user_totals@1", "user_totals@2"], ["plan"], ["verify", "user_totals@1"],
    ]

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

    /// A view with a live version, a previous one, and a waiting build.
    private func prepare() throws -> KappaProgram {
        let kappa = try KappaProgram()
        try kappa.generate(300)
        #expect(try kappa.run("rebuild", "user_totals").code == 0)
        try kappa.generate(20, seed: 2)
        #expect(try kappa.run("rebuild", "user_totals").code == 0)
        #expect(try kappa.run("rollback", "user_totals").code == 0)
        return kappa
    }

    @Test(
        "after a kill at any call of any command, a run and a gc leave no stray files",
        .enabled(if: canTrace, "strace does the killing"))
    func sweep() throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        let kappa = try prepare()
        let trial = try KappaProgram()
        let commands = Self.commands.shuffled(using: &random).prefix(Self.isFull ? 100 : 2)
        for words in commands {
            try copy(kappa, trial)
            let list = trial.folder.path + "/calls"
            _ = try traced(trial, ["-o", list], words)
            // strace counts for each thread.
            let threads = try String(contentsOfFile: list, encoding: .utf8).split(separator: "\n")
                .map { $0.prefix { $0 != " " } }
            let most = Dictionary(grouping: threads) { $0 }.values.map(\.count).max() ?? 0
            // The first few dozen open the program's libraries.
            var numbers = Array(1...max(1, most))
            if !Self.isFull { numbers = Array(numbers.shuffled(using: &random).prefix(2)) }
            for number in numbers {
                try copy(kappa, trial)
                let inject = "inject=\(Self.calls):signal=SIGKILL:when=\(number)"
                let killed = try traced(trial, ["-o", "/dev/null", "-e", inject], words)
                let comment: Comment =
                    "\(words) killed at call \(number): \(killed.code), KAPPA_SEED=\(seed)"
                let run = try trial.run("run", "--until-caught-up")
                #expect(run.code == 0, "\(run) \(comment)")
                let unfinished = try Catalog(trial.data).entries().filter(\.isUnfinished)
                let gc = try trial.run("gc", "--keep", "1")
                #expect(gc.code == 0, "\(gc) \(comment)")
                #expect(LeftoverTests.strays(in: trial.data) == [], comment)
                let left = try Catalog(trial.data).entries().filter(\.isUnfinished)
                #expect(left.isEmpty, "\(unfinished) then \(left) \(comment)")
                let names = Folder.names(in: trial.data.log)
                #expect(
                    names.allSatisfy { $0.hasSuffix(".log") || ["head", "lock"].contains($0) },
                    "\(names) \(comment)")
            }
        }
    }

    @Test("a killed rebuild is finished by a run that is already running")
    func besideRun() throws {
        let kappa = try KappaProgram()
        try kappa.generate(20_000)
        let run = try kappa.start(["run"])
        try waitFor("run follows") { run.errors.contains("user_totals@1: live since") }
        let rebuild = try kappa.start(["rebuild", "user_totals"])
        try waitFor("the rebuild has begun") { rebuild.errors.contains("user_totals@2: building") }
        rebuild.signal(SIGKILL)
        _ = try rebuild.wait()
        try waitFor("it is live") { try Catalog(kappa.data).live("user_totals")?.rawValue == 2 }
        try kappa.generate(50, seed: 2)
        try waitFor("it is followed") {
            try VersionReader(kappa.data.file(VersionID("user_totals", VersionNumber(2))))
                .checkpoint().offset == Offset(20_050)
        }
        run.signal(SIGTERM)
        #expect(try run.wait().code == 0)
        #expect(run.errors.contains("user_totals@1: retired; lease released"))
    }

    @Test("of two identical servers, the second takes over when the first is killed")
    func standby() throws {
        let kappa = try KappaProgram()
        try kappa.generate(500)
        var first = try kappa.start(["run"])
        try waitFor("the first follows") { first.errors.contains("user_totals@1: live since") }
        for round in 1...2 {
            let second = try kappa.start(["run"])
            try waitFor("the second stands by") {
                second.errors.contains("user_totals@1: standing by: process \(first.pid) holds")
            }
            first.signal(round == 1 ? SIGKILL : SIGTERM)
            _ = try first.wait()
            try kappa.generate(10, seed: 1 + round)
            try waitFor("the second has taken over") {
                let end = try LogReader(kappa.data.log).durableEnd()
                return try VersionStatus.all(Catalog(kappa.data)).allSatisfy { $0.position == end }
            }
            first = second
        }
        let held = try kappa.run("rebuild", "user_totals", "--no-promote")
        #expect(held.code == 0, "\(held)")
        let busy = try kappa.run("run", "--until-caught-up")
        #expect(busy.code == 75, "\(busy)")
        #expect(busy.errors.contains("process \(first.pid) holds its lease"))
        first.signal(SIGTERM)
        #expect(try first.wait().code == 0)
    }
}
