import Glibc
import KappaTesting
import Testing

@testable import KappaCore

/// Code of views that ends the process where no version is applied: while a sample is taken, while types are
/// probed, in scratch replays, in a promotion, in a server that only its owner restarts.
@Suite("Views whose code crashes outside of a version's work") struct CrashAsideTests {
    /// The views of the program whose types crash when probed.
    private static let learningKinds = [
        "event", "row", "empty", "second", "joined", "outer", "mapped", "ranked",
        "upcaster",
    ]

    @Test(
        "a crash while a sample is taken costs only the sample: the view stays live and continues")
    func sample() throws {
        let program = try FaultyProgram("sampled")
        let events = VersionSample.usualEvents + 10
        try program.append([FaultyProgram.blow("sampled", "index", 1)])
        try program.append(FaultyProgram.calm(events))
        let run = try program.run("run", "--until-caught-up")
        #expect(run.code == 0, "\(run)")
        #expect(
            run.errors.split(separator: "\n").count { $0.contains("starting again") } == 1, "\(run)"
        )
        let status = try program.status("sampled")
        #expect(status.first?["state"] as? String == "live", "\(run)")
        #expect(status.first?["position"] as? Int == events + 1)
        #expect(status.first?["reason"] as? String == nil)
        let id = VersionID("sampled", VersionNumber(1))
        #expect(CrashStamp.read(program.data.sampleCrashMark(id))?.stamp != nil)
        // A later run works without the sample.
        try program.append(FaultyProgram.calm(3))
        let again = try program.run("run", "--until-caught-up")
        #expect(again.code == 0 && !again.errors.contains("starting again"), "\(again)")
        #expect(try program.status("sampled").first?["position"] as? Int == events + 4)
    }

    @Test("a view whose types crash when probed is invalid; all commands and other views continue")
    func learning() throws {
        let program = try FaultyProgram("learning")
        try program.append(FaultyProgram.calm(9))
        let run = try program.run("run", "--until-caught-up")
        #expect(run.code == 64, "\(run)")
        #expect(try program.status("whole").first?["state"] as? String == "live", "\(run)")
        let views = try program.run("views", "--format", "json")
        let plan = try program.run("plan", "--format", "json")
        let status = try program.run("status")
        for finished in [views, plan, status] { #expect(finished.code == 0, "\(finished)") }
        for kind in Self.learningKinds {
            for (records, reason) in [(views.records, "error"), (plan.records, "note")] {
                let record = records.first { $0["view"] as? String == kind }
                let said = record?[reason] as? String ?? ""
                #expect(said.contains("its code crashes when the types"), "\(kind): \(said)")
            }
            #expect(status.errors.contains("\(kind): invalid"), "\(kind): \(status)")
            let own = try program.run("status", kind)
            #expect(own.code == 64 && own.errors.contains("cannot be worked out"), "\(own)")
            let rebuild = try program.run("rebuild", kind)
            #expect(rebuild.code == 64, "\(rebuild)")
            #expect(rebuild.errors.contains("view \(kind) cannot be worked out"), "\(rebuild)")
        }
        let rows = try program.run("query", "whole", "--format", "csv")
        #expect(rows.code == 0 && rows.lines.count == 4, "\(rows)")
    }

    /// A program whose log ends with one event for each view that the view cannot take, after events that all
    /// can.
    private func applied(_ seed: UInt64) throws -> (FaultyProgram, [String: Int]) {
        var random = SplitMix(state: seed)
        let program = try FaultyProgram("crashing")
        var lines = FaultyProgram.calm(Int.random(in: 5...40, using: &random))
        var offsets: [String: Int] = [:]
        for (number, kind) in CrashTests.kinds.shuffled(using: &random).enumerated() {
            offsets[kind] = lines.count
            lines.append(
                FaultyProgram.blow(
                    kind, CrashTests.traps[number % CrashTests.traps.count], number))
            lines += FaultyProgram.calm(Int.random(in: 0...2, using: &random))
        }
        // A version at the log's end would be compared as it is.
        try program.append(lines + FaultyProgram.calm(2))
        return (program, offsets)
    }

    @Test("plan, verify, why, diff and query --at say on which event a view's code crashes")
    func aside() throws {
        let seed = Seeds.one()
        let (program, offsets) = try applied(seed)
        let plan = try program.run("plan", "--format", "json")
        #expect(plan.code == 0, "KAPPA_SEED=\(seed)\n\(plan)")
        for (kind, offset) in offsets {
            let record = plan.records.first { $0["view"] as? String == kind }
            let note = record?["note"] as? String ?? ""
            #expect(
                note.contains("view \(kind) crashes")
                    && note.contains("event \(offset) of the log"),
                "KAPPA_SEED=\(seed) \(kind) \(offset): \(note)\n\(plan.errors)")
        }
        let safe = try program.run(
            "run", "--until-caught-up", environment: ["FAULTY_SAFE": "1"])
        #expect(safe.code == 0, "\(safe)")
        // Some kinds by each command; a seed chooses.
        var random = SplitMix(state: seed)
        let commands: [(String, (String, Int) -> [String])] = [
            ("verify", { kind, _ in ["verify", kind] }),
            ("query", { kind, offset in ["query", kind, "--at", "\(offset + 1)"] }),
            ("diff", { kind, offset in ["diff", "\(kind)@1", kind, "--at", "\(offset + 1)"] }),
        ]
        for (name, words) in commands {
            for kind in CrashTests.kinds.shuffled(using: &random).prefix(6) {
                let offset = offsets[kind] ?? 0
                let finished = try program.run(words: words(kind, offset))
                let comment: Comment = "KAPPA_SEED=\(seed) \(name) \(kind) \(offset)\n\(finished)"
                #expect(finished.code == 70, comment)
                #expect(finished.errors.contains("view \(kind) crashes"), comment)
                #expect(finished.errors.contains("event \(offset) of the log"), comment)
            }
        }
        // Scratch replays touch no version: all stay live, and no scratch folder is left.
        let status = try program.run("status", "--format", "json").records
        #expect(status.allSatisfy { $0["state"] as? String == "live" }, "KAPPA_SEED=\(seed)")
        let left = Folder.names(in: program.data.path).filter { $0.hasPrefix("scratch") }
        #expect(left.isEmpty, "\(left)")
    }

    @Test(
        "why says on which event a view's code crashes, whether it looks for a key or applies all"
    )
    func why() throws {
        let seed = Seeds.one()
        let (program, offsets) = try applied(seed)
        let safe = try program.run(
            "run", "--until-caught-up", environment: ["FAULTY_SAFE": "1"])
        #expect(safe.code == 0, "\(safe)")
        for kind in CrashTests.kinds {
            let offset = offsets[kind] ?? 0
            let key = Self.key(kind)
            let finished = try program.run("why", kind, "--key", key)
            let comment: Comment = "KAPPA_SEED=\(seed) \(kind) \(key) \(offset)\n\(finished)"
            #expect(finished.code == 70, comment)
            #expect(finished.errors.contains("view \(kind) crashes"), comment)
            #expect(finished.errors.contains("event \(offset) of the log"), comment)
        }
    }

    @Test(
        "why says for each of two definitions on which event its code crashes",
        arguments: ["keyed", "folded"])
    func whyOfTwo(view: String) throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        // More events in one block than are tried one by one after the first crash.
        let count = 1_200
        let pairs = [
            (700, 3), (3, 700),
            (Int.random(in: 0..<count, using: &random), Int.random(in: 0..<count, using: &random)),
        ]
        for (first, second) in pairs where first != second {
            let program = try FaultyProgram("parted")
            var lines = FaultyProgram.calm(count)
            lines[first] = FaultyProgram.blow("\(view)1", "index", 1)
            lines[second] = FaultyProgram.blow("\(view)2", "overflow", 2)
            try program.append(lines)
            for build in ["parted-1", "parted"] {
                let built = try program.with(views: build).run(
                    "rebuild", view, environment: ["FAULTY_SAFE": "1"])
                #expect(built.code == 0, "\(built)")
            }
            let why = try program.run(
                "why", view, "--versions", "1,2", "--key", #""k0""#)
            let comment: Comment = "KAPPA_SEED=\(seed) \(first) \(second)\n\(why)"
            #expect(why.code == 70, comment)
            for (number, offset) in [(1, first), (2, second)] {
                let place = "a replay aside of \(view)@\(number), offset \(offset)"
                #expect(why.errors.contains(place), comment)
                #expect(why.errors.contains("crashes on event \(offset) of the log"), comment)
            }
            let restarts = why.errors.split(separator: "\n").count {
                $0.contains("starting again")
            }
            #expect(restarts <= 8, comment)
        }
    }

    /// The key of the row that the event is about.
    private static func key(_ kind: String) -> String {
        switch kind {
        case "upcaster": #""u""#
        case "reduce": #"["k0",1]"#
        case "flat": "[0,0]"
        case "session": #"["k0","2024-01-01T00:00:00Z"]"#
        case "outer": #"[0,0]"#
        default: #""k0""#
        }
    }

    @Test(
        "promote of a version that has to be brought forward says on which event its code crashes")
    func promote() throws {
        let program = try FaultyProgram("fold")
        try program.append(FaultyProgram.calm(9))
        #expect(try program.run("run", "--until-caught-up").code == 0)
        #expect(try program.run("rebuild", "fold", "--no-promote").code == 0)
        try program.append(
            FaultyProgram.calm(20) + [FaultyProgram.blow("fold", "unwrap", 1)]
                + FaultyProgram.calm(5))
        let promoted = try program.run("promote", "fold@2")
        #expect(promoted.code == 70, "\(promoted)")
        #expect(promoted.errors.contains("view fold crashes on event 29"), "\(promoted)")
        #expect(promoted.errors.contains("where: fold@2, offset 29"), "\(promoted)")
        // Nothing was switched, nothing is held, and the others continue.
        let status = try program.status("fold")
        #expect(status.map { $0["live"] as? Bool } == [true, false], "\(status)")
        let lease = VersionID("fold", VersionNumber(2))
        #expect(Lease.holder(of: lease, in: program.data) == nil)
        let run = try program.run("run", "--until-caught-up")
        #expect(run.code == 70, "\(run)")
        #expect(try program.status("whole").first?["position"] as? Int == 35)
        // After the fix it is promoted.
        let repaired = try program.copied()
        let again = try repaired.run("promote", "fold@2", environment: ["FAULTY_SAFE": "1"])
        #expect(again.code == 0, "\(again)")
    }

    @Test(
        "kappa does not restart a server: its owner's restarts find the event, and calls say so"
    )
    func server() throws {
        let program = try FaultyProgram("server")
        try program.append(FaultyProgram.calm(20) + [FaultyProgram.blow("fold", "index", 1)])
        var crashes = 0
        var served = try program.run()
        while served.code > 128, crashes < 5 {
            #expect(!served.errors.contains("starting again"), "\(served)")
            #expect(served.errors.contains("the code of view fold"), "\(served)")
            crashes += 1
            served = try program.run()
        }
        #expect(crashes == 2 && served.code == 0, "\(crashes) \(served)")
        let reason = "crashes on event 20 of the log"
        for start in [
            "failed fold@1: ", "position of fold: ", "changes of fold: ", "status of fold@1: ",
            "run: ",
        ] {
            let line = served.lines.first { $0.hasPrefix(start) } ?? ""
            #expect(line.contains(reason), "\(start)\n\(served)")
        }
        #expect(served.lines.contains("position of whole: 21"), "\(served)")
        #expect(served.lines.contains("rows of whole: 3"), "\(served)")
        #expect(served.lines.contains("changes of whole"), "\(served)")

        // The same for a version that is live when the event comes.
        let live = try FaultyProgram("server")
        try live.append(FaultyProgram.calm(20))
        let first = try live.run(
            "run", "--until-caught-up", environment: ["FAULTY_VIEWS": "fold"])
        #expect(first.code == 0, "\(first)")
        try live.append([FaultyProgram.blow("fold", "index", 1)])
        while try live.run().code > 128, crashes < 8 { crashes += 1 }
        #expect(crashes == 4)
        let then = try live.run()
        #expect(then.code == 0 && then.lines.contains("rows of fold: 3"), "\(then)")
        #expect(
            then.lines.contains { $0.hasPrefix("position of fold: ") && $0.contains(reason) },
            "\(then)")
    }

    @Test(
        "a server whose views' types crash when probed dies once for each, then runs without them"
    )
    func learningServer() throws {
        let program = try FaultyProgram("learning-server")
        try program.append(FaultyProgram.calm(9))
        var crashes = 0
        var served = try program.run()
        while served.code > 128, crashes < 20 {
            crashes += 1
            served = try program.run()
        }
        #expect(served.code == 0, "\(served)")
        #expect(crashes == Self.learningKinds.count, "\(served)")
        #expect(served.lines.contains("position of whole: 9"), "\(served)")
        for kind in Self.learningKinds {
            for start in [
                "invalid \(kind): ", "position of \(kind): ", "rows of \(kind): ",
                "changes of \(kind): ",
            ] {
                let line = served.lines.first { $0.hasPrefix(start) } ?? ""
                #expect(line.contains("its code crashes when the types"), "\(start)\n\(served)")
            }
        }
        // The owner's fixed build tries again.
        let repaired = try program.copied().run(environment: ["FAULTY_SAFE": "1"])
        #expect(repaired.code == 0 && repaired.lines.contains("position of row: 9"), "\(repaired)")
    }
}
