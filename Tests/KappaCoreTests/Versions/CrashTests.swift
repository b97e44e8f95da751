import Glibc
import KappaTesting
import Testing

@testable import KappaCore

/// Code of views that ends the process: by a trap, infinite recursion, an abort, an invalid address. The view
/// fails with the event that its code cannot take; no other view does.
@Suite("Views whose code crashes") struct CrashTests {
    static let kinds = [
        "fold", "tables", "encoder", "decoder", "upcaster", "filter", "map", "flat", "key",
        "aggregate", "condition", "session", "lateness", "pair", "combine", "outer", "second",
        "reduce",
    ]
    static let traps = [
        "overflow", "index", "unwrap", "fatal", "recursion", "division", "abort", "address",
    ]

    @Test("whichever closure crashes in whatever way, only its view fails, and says on which event")
    func sweep() throws {
        let seed = Seeds.one()
        var random = SplitMix(state: seed)
        let program = try FaultyProgram("crashing")
        var lines = FaultyProgram.calm(Int.random(in: 0...60, using: &random))
        var offsets: [String: Int] = [:]
        var used: [String: String] = [:]
        for (number, kind) in Self.kinds.shuffled(using: &random).enumerated() {
            // All ways in turn: a seed decides only which kind goes with which.
            let trap = Self.traps[number % Self.traps.count]
            offsets[kind] = lines.count
            used[kind] = trap
            lines.append(FaultyProgram.blow(kind, trap, number))
            lines += FaultyProgram.calm(Int.random(in: 0...2, using: &random))
        }
        try program.append(lines)
        let run = try program.run("run", "--until-caught-up")
        #expect(run.code == 70, "KAPPA_SEED=\(seed)\n\(run)")
        let status = try program.run("status", "--format", "json").records
        #expect(status.count == Self.kinds.count + 1, "KAPPA_SEED=\(seed)")
        for record in status {
            let view = record["view"] as? String ?? ""
            let comment: Comment = "KAPPA_SEED=\(seed) \(view) \(used[view] ?? "")\n\(run.errors)"
            guard let offset = offsets[view] else {
                #expect(record["state"] as? String == "live", comment)
                continue
            }
            #expect(record["state"] as? String == "failed", comment)
            let reason = record["reason"] as? String ?? ""
            #expect(reason.contains("view \(view) crashes"), comment)
            #expect(reason.contains("event \(offset) of the log"), "\(reason)\n\(comment)")
            #expect(reason.contains(#""trap":"\#(used[view] ?? "")""#), "\(reason)\n\(comment)")
        }
        let whole = try program.run("query", "whole", "--format", "csv")
        let counted = whole.lines.dropFirst().compactMap { Int($0.split(separator: ",")[1]) }
        // All but the one of another shape.
        #expect(counted.reduce(0, +) == lines.count - 1, "KAPPA_SEED=\(seed)\n\(whole)")
        // Another run knows about the failures, and crashes no more.
        let again = try program.run("run", "--until-caught-up")
        #expect(again.code == 70)
        #expect(!again.errors.contains("starting again"), "\(again)")
    }

    @Test(
        "a live view whose code crashes keeps its rows; others continue; a fixed build resumes it"
    )
    func live() throws {
        let program = try FaultyProgram("fold")
        try program.append(FaultyProgram.calm(9))
        let running = try program.start("run")
        defer { running.signal(SIGKILL) }
        try program.waitFor("whole", at: 9)
        try program.waitFor("fold", at: 9)
        try program.append([FaultyProgram.blow("fold", "index", 1)])
        try program.append(FaultyProgram.calm(5))
        try program.waitFor("whole", at: 15)
        try waitFor("fold has failed") { try program.reason("fold").contains("crashes on event 9") }
        let rows = try program.run("query", "fold", "--format", "csv")
        #expect(rows.lines.dropFirst().map { $0.prefix(4) } == ["k0,3", "k1,3", "k2,3"], "\(rows)")
        #expect(try program.run("history", "fold").output.contains("crashes on event 9"))
        #expect(try program.run("plan").output.contains("crashes on event 9"))
        #expect(try program.run("views").output.contains("crashes on event 9"))

        // A rebuild by name tries it again, in a new version.
        let rebuild = try program.run("rebuild", "fold")
        #expect(rebuild.code == 70, "\(rebuild)")
        #expect(rebuild.errors.contains("where: fold@2, offset 9"), "\(rebuild)")
        #expect(try program.status("fold").map { $0["state"] as? String } == ["live", "failed"])

        running.signal(SIGTERM)
        let ended = try running.wait()
        #expect(ended.code == 70, "\(ended)")

        // Another program tries the event again.
        let repaired = try program.copied()
        let resumed = try repaired.run(
            "run", "--until-caught-up", environment: ["FAULTY_SAFE": "1"])
        #expect(resumed.code == 0, "\(resumed)")
        let both = try repaired.status("fold")
        #expect(both.first?["position"] as? Int == 15, "\(resumed)")
        #expect(both.first?["reason"] as? String == nil)
    }

    @Test(
        "Swift's own backtrace is printed before the program continues",
        arguments: [
            "overflow", "recursion",
        ])
    func backtrace(trap: String) throws {
        let program = try FaultyProgram("fold")
        try program.append(FaultyProgram.calm(3) + [FaultyProgram.blow("fold", trap, 1)])
        let run = try program.run(
            "run", "--until-caught-up", environment: ["SWIFT_BACKTRACE": "enable=yes,color=no"])
        #expect(run.code == 70, "\(run)")
        #expect(run.errors.contains("Backtracing from") || run.output.contains("Backtracing from"))
        #expect(try program.reason("fold").contains("crashes on event 3"), "\(run)")
    }

    @Test("a process that is killed again and again at one event fails no view")
    func killed() throws {
        let program = try FaultyProgram("fold")
        try program.append(FaultyProgram.calm(9) + [FaultyProgram.blow("fold", "kill", 1)])
        for _ in 0..<4 {
            let run = try program.run("run", "--until-caught-up")
            #expect(run.code == 128 + SIGKILL, "\(run)")
            #expect(!run.errors.contains("crash"), "\(run)")
        }
        let run = try program.run("run", "--until-caught-up", environment: ["FAULTY_SAFE": "1"])
        #expect(run.code == 0, "\(run)")
        #expect(!run.errors.contains("crash"), "\(run)")
        #expect(try program.status("fold").first?["position"] as? Int == 10)
    }

    @Test("a signal that comes from another process ends the program, and nothing is suspected")
    func signalled() throws {
        let program = try FaultyProgram("fold")
        try program.append(FaultyProgram.calm(9))
        for signal in [SIGILL, SIGSEGV, SIGABRT, SIGBUS] {
            let running = try program.start("run")
            try program.waitFor("whole", at: 9)
            running.signal(signal)
            let ended = try running.wait()
            #expect(ended.code == 128 + signal, "\(ended)")
            #expect(!ended.errors.contains("crashed"), "\(ended)")
        }
        #expect(try program.run("run", "--until-caught-up").code == 0)
    }

    @Test("a gate whose code crashes holds back only its version")
    func gate() throws {
        let program = try FaultyProgram("gated")
        try program.append(FaultyProgram.calm(9))
        let run = try program.run("run", "--until-caught-up")
        #expect(run.code == 1, "\(run)")
        #expect(try program.status("gated").first?["state"] as? String == "ready")
        #expect(try program.reason("gated").contains("their code has crashed"))
        #expect(try program.status("whole").first?["state"] as? String == "live")
        #expect(try program.run("promote", "gated", "--force").code == 0)
    }

    @Test("records stay whole across a crash")
    func records() throws {
        let program = try FaultyProgram("fold")
        try program.append(FaultyProgram.calm(9) + [FaultyProgram.blow("fold", "unwrap", 1)])
        let run = try program.run("run", "--until-caught-up", "--format", "json")
        #expect(run.code == 70, "\(run)")
        #expect(!run.lines.isEmpty)
        #expect(run.records.count == run.lines.count, "\(run)")
    }
}

/// The program whose views have faulty code, in its own folder.
struct FaultyProgram {
    private let program: KappaProgram
    private let path: String
    private let views: String

    init(_ views: String) throws {
        program = try KappaProgram()
        self.views = views
        path =
            KappaProgram.path.split(separator: "/").dropLast().map { "/" + $0 }.joined()
            + "/FaultyViews"
    }

    private init(_ other: FaultyProgram, _ path: String, _ views: String? = nil) {
        (program, self.views, self.path) = (other.program, views ?? other.views, path)
    }

    var data: DataFolder { program.data }

    /// The same program in another file: like a fixed build.
    func copied() throws -> FaultyProgram {
        let copy = program.folder.path + "/repaired"
        try FileCopy.copy(path, to: copy)
        chmod(copy, 0o755)
        return FaultyProgram(self, copy)
    }

    /// The same program and folder with other views: like another build.
    func with(views: String) throws -> FaultyProgram { FaultyProgram(self, path, views) }

    /// A program that is this one with other views, whatever its environment.
    func wrapper(of views: String) throws -> String {
        let script = "\(program.folder.path)/with-\(views)"
        let text = "#!/bin/sh\nFAULTY_VIEWS=\(views) exec \(path) \"$@\"\n"
        let file = OpenFile(
            try SystemFiles().open(script, O_WRONLY | O_CREAT | O_TRUNC), path: script)
        try SystemFiles().write(file.descriptor, Array(text.utf8), at: 0)
        chmod(script, 0o755)
        return script
    }

    /// Events that crash no view.
    static func calm(_ count: Int) -> [String] {
        (0..<count).map { #"{"k":"k\#($0 % 3)","v":\#($0),"at":"2024-01-01T00:00:00Z"}"# }
    }

    static func blow(_ kind: String, _ trap: String, _ number: Int) -> String {
        if kind == "upcaster" {
            return #"{"oldKey":"u","trap":"\#(trap)","at":"2024-01-01T01:00:00Z"}"#
        }
        let at = "2024-01-01T01:00:00Z"
        return
            #"{"k":"k0","v":\#(1_000 + number),"at":"\#(at)","kind":"\#(kind)","trap":"\#(trap)"}"#
    }

    func append(_ lines: [String]) throws {
        let appended = try program.start(
            ["append"], input: lines.map { $0 + "\n" }.joined(), environment: [:], program: path
        ).wait()
        #expect(appended.code == 0, "\(appended)")
    }

    func start(
        _ arguments: String..., environment: [String: String] = [:]
    ) throws -> KappaProgram.Child { try start(arguments, environment) }

    private func start(
        _ arguments: [String], _ environment: [String: String]
    ) throws -> KappaProgram.Child {
        // A backtrace takes seconds.
        let fixed = ["FAULTY_VIEWS": views, "SWIFT_BACKTRACE": "enable=no"]
        return try program.start(
            arguments, environment: fixed.merging(environment) { $1 }, program: path)
    }

    @discardableResult
    func run(
        _ arguments: String..., environment: [String: String] = [:]
    ) throws -> KappaProgram.Finished { try run(words: arguments, environment: environment) }

    func run(
        words: [String], environment: [String: String] = [:]
    ) throws -> KappaProgram.Finished { try start(words, environment).wait() }

    func status(_ view: String) throws -> [[String: any Sendable]] {
        try run("status", view, "--format", "json").records
    }

    func reason(_ view: String) throws -> String {
        try status(view).first?["reason"] as? String ?? ""
    }

    func waitFor(_ view: String, at position: Int) throws {
        try KappaCoreTests.waitFor("\(view) is at \(position)") {
            let live = try status(view).first { $0["live"] as? Bool == true }
            return live?["position"] as? Int == position
        }
    }
}
