import Foundation
import Glibc
import Testing

@testable import KappaCore

/// What a user sees in the first hour: help, mistakes, and interrupted commands.
@Suite("The first hour on the command line")
struct FirstHourTests {
    private let kappa: KappaProgram
    init() throws { kappa = try KappaProgram() }

    private func text(_ arguments: String...) throws -> String {
        let finished = try kappa.start(arguments).wait()
        #expect(finished.output == "", "errors go to standard error")
        return "\(finished.code) \(finished.errors)"
    }

    @Test("each error says what failed, where, why, and what to do next")
    func errorTexts() throws {
        let data = kappa.data.path
        #expect(
            try text("status") == """
                66 kappa: there is no data folder
                  where: \(data)
                  why:   it does not exist
                  next:  Append events first (`kappa append FILE`), or name the folder with --data

                """)
        let lines = Array(repeating: "{\"a\":1}", count: 16) + ["{\"a\":1,}", "{}"]
        let bad = try kappa.run("append", input: lines.joined(separator: "\n"))
        #expect(
            "\(bad.code) \(bad.errors)" == """
                65 kappa: line 17 is not a JSON object
                  where: standard input, line 17, column 8
                  why:   a key in quotes was expected
                  next:  Nothing of this batch was appended. Correct the line and append again

                """)
        #expect(try kappa.run("log", "info", "--format", "csv").lines[1].hasPrefix("0,0,0,"))
        try kappa.generate(1_000)
        #expect(
            try text("query", "user_totals") == """
                66 kappa: view user_totals has no version
                  where: \(data)
                  why:   nothing was built yet
                  next:  Build it with `kappa rebuild user_totals`; `kappa views` lists the names

                """)
        #expect(
            try text("rebuild", "user_total") == """
                66 kappa: there is no view user_total
                  where: this build and \(data)
                  why:   did you mean user_totals?
                  next:  `kappa views` lists the views of this build, `kappa status` what was built

                """)
        #expect(
            try text("stauts") == """
                64 kappa: there is no command stauts
                  why:   did you mean status?
                  next:  `kappa help` lists the commands

                """)
        #expect(
            try text("query", "user_totals", "--limt", "3") == """
                64 kappa: kappa query has no option --limt
                  why:   did you mean --limit?
                  next:  `kappa help query` lists its options

                """)
        #expect(
            try text("append", "nosuch.ndjson") == """
                66 kappa: cannot open a file
                  where: nosuch.ndjson
                  why:   No such file or directory
                  next:  Check the name and who may read it

                """)
        try kappa.run("rebuild", "user_totals")
        #expect(
            try text("query", "user_totals@4") == """
                66 kappa: there is no version user_totals@4
                  where: \(data)
                  why:   there is user_totals@1
                  next:  Name that one

                """)
        #expect(
            try text("query", "user_totals", "--where", "evnts > 3") == """
                64 kappa: the condition cannot be used
                  where: evnts > 3
                  why:   no such column: evnts
                  next:  Write an SQL expression over the columns user_id, events, revenue, \
                last_seen, last_action; times as '2024-01-15T14:30:00Z'

                """)
        #expect(
            try text("sql", "DROP TABLE user_totals") == """
                64 kappa: only SELECT can be run
                  where: DROP TABLE user_totals
                  why:   views are made from the log
                  next:  Ask with SELECT; change rows by appending events

                """)
        #expect(
            try text("abort", "user_totals@1") == """
                64 kappa: user_totals@1 is live
                  why:   readers see it
                  next:  `kappa rebuild user_totals` builds another version and makes that live; \
                `kappa rollback user_totals` goes back to the one before

                """)
    }

    @Test("wrong commands, options and arguments end with 64")
    func usage() throws {
        let wrong = [
            ["frobnicate"], ["log"], ["log", "frobnicate"], ["generate"], ["query"],
            ["status", "--nosuch"], ["status", "a", "b"], ["status", "--format", "xml"],
            ["status", "--format"], ["status", "--watch=1"], ["query", "x", "--limit", "many"],
            ["query", "x", "--limit", "-1"], ["query", "x@y"], ["rebuild"], ["diff", "a@1"],
            ["rebuild", "x", "--all"], ["rebuild", "--all", "--memory", "0"],
            ["diff", "a@1", "b@1"], ["diff", "a@1", "a@2", "--tolerance", "-1"], ["sql"],
            ["completions", "tcsh"], ["help", "nosuch"], ["append", "--batch", "0"],
            ["generate", "user-events", "--count", "x"], ["status", "--data", ""],
        ]
        for words in wrong {
            let finished = try kappa.start(words).wait()
            #expect(finished.code == 64, "\(words): \(finished)")
            #expect(finished.errors.hasPrefix("kappa: "), "\(words)")
        }
        #expect(!kappa.data.exists)
    }

    @Test("help, version and the bare program explain themselves")
    func help() throws {
        let overview = try kappa.run("help")
        #expect(overview.code == 0)
        #expect(overview.output.contains("usage: kappa COMMAND"))
        #expect(try kappa.run("--help").output == overview.output)
        #expect(try kappa.run("-h").output == overview.output)
        let bare = try kappa.run()
        #expect(bare.code == 64)
        #expect(bare.output == overview.output)
        #expect(try kappa.run("--version").output.hasPrefix("kappa "))
        let names = overview.lines.filter { $0.hasPrefix("  ") }.compactMap {
            $0.dropFirst(2).components(separatedBy: "  ").first
        }
        #expect(names.count > 20)
        for name in names where name != "help" {
            let words = name.split(separator: " ").map(String.init)
            let help = try kappa.start(["help"] + words).wait()
            #expect(help.code == 0)
            #expect(help.output.hasPrefix("kappa \(name): "))
            #expect(try kappa.start(words + ["--help"]).wait().output == help.output)
            for line in help.lines { #expect(line.count <= 100, "\(line)") }
        }
    }

    @Test("commands that read say so if there is no data folder, and create none")
    func noFolder() throws {
        let commands = [
            ["log", "info"], ["log", "read"], ["log", "verify"], ["log", "seal"], ["plan"],
            ["rebuild", "--all"], ["status"], ["query", "user_totals"], ["sql", "SELECT 1"],
            ["tail", "user_totals"], ["diff", "user_totals@1", "user_totals@2"],
            ["promote", "user_totals"], ["rollback", "user_totals"], ["abort", "user_totals@1"],
            ["gc"], ["dead", "user_totals"],
        ]
        for words in commands {
            let finished = try kappa.start(words).wait()
            #expect(finished.code == 66, "\(words): \(finished)")
        }
        #expect(!kappa.data.exists)
    }

    @Test("unknown views and versions end with 66")
    func unknownViews() throws {
        try kappa.generate(100)
        let commands = [
            ["rebuild", "nosuch"], ["status", "nosuch"], ["query", "nosuch"], ["tail", "nosuch"],
            ["dead", "nosuch"], ["promote", "nosuch"], ["rollback", "nosuch"],
            ["abort", "nosuch@1"], ["diff", "nosuch@1", "nosuch@2"],
        ]
        for words in commands {
            let finished = try kappa.start(words).wait()
            #expect(finished.code == 66, "\(words): \(finished)")
        }
    }

    @Test(
        "a second run names the first, stands by and takes over; with an end it exits with 75"
    )
    func secondRun() throws {
        try kappa.generate(100)
        let first = try kappa.start(["run"])
        try waitFor("the first is at work") { first.errors.contains("author_streaks@1: live") }
        let second = try kappa.start(["run"])
        try waitFor("the second stands by") {
            second.errors.contains("process \(first.pid) holds its lease")
        }
        #expect(try kappa.run("run", "--until-caught-up").code == 75)
        first.signal(SIGINT)
        let ended = try first.wait()
        try waitFor("the second takes over") { second.errors.contains("author_streaks@1: live") }
        second.signal(SIGINT)
        #expect(try second.wait().code == 0)
        #expect(ended.code == 0)
        #expect(ended.errors.contains("stopped at a checkpoint"))
    }

    @Test("an interrupted rebuild stops at a checkpoint, says so, and is finished by run")
    func interruptedRebuild() throws {
        try kappa.generate(60_000)
        let rebuild = try kappa.start(["rebuild", "user_sessions", "user_totals"])
        try waitFor("it has begun") { rebuild.errors.contains("building from offset 0") }
        rebuild.signal(SIGINT)
        let ended = try rebuild.wait()
        #expect(ended.errors.contains("stopped at a checkpoint"))
        #expect(ended.code == 130)
        let run = try kappa.run("run", "--until-caught-up")
        #expect(run.code == 0, "\(run)")
        let status = try kappa.run("status", "user_totals", "--format", "csv")
        #expect(status.lines.count == 2)
        #expect(status.lines[1].hasPrefix("user_totals,1,live,true,"))
    }

    @Test(
        "an append that waits for its pipe can be interrupted; the events it counts are durable"
    )
    func interruptedAppend() throws {
        let append = try kappa.start(["append"], input: "|")
        append.write("{\"a\":1}\n{\"a\":2}\n")
        try waitFor("the events are durable") {
            (try? LogReader(kappa.data.log).durableEnd()) == Offset(2)
        }
        append.signal(SIGTERM)
        let ended = try append.wait()
        append.closeInput()
        #expect(ended.code == 143)
        #expect(ended.output.hasPrefix("appended 2 events from offset 0"))
    }

    @Test("a closed pipe ends a command quietly")
    func closedPipe() throws {
        try kappa.generate(20_000)
        try kappa.run("rebuild", "user_totals")
        for command in [
            "log read", "log read --format json", "generate user-events --count 200000",
            "query user_totals --format csv", "help", "tail user_totals",
        ] {
            let line = "{ kappa \(command); echo code $? >&2; } | head -1"
            let finished = try kappa.shell(line)
            #expect(finished.errors == "code 0\n", "\(command)")
            #expect(finished.lines.count == 1, "\(command)")
        }
    }

    @Test("damage ends with 74, with file, byte and offset")
    func damage() throws {
        try kappa.generate(1_000)
        let name = try #require(Folder.names(in: kappa.data.log).first { $0.hasSuffix(".log") })
        let path = kappa.data.log + "/" + name
        let file = try SystemFiles().open(path, O_RDWR)
        try SystemFiles().write(file, [UInt8](repeating: 0x58, count: 8), at: 5_000)
        close(file)
        let verify = try kappa.run("log", "verify", "--format", "json")
        #expect(verify.code == 74)
        #expect(verify.output.hasPrefix(#"{"ok":false,"#))
        #expect(verify.errors.contains(path))
        #expect(verify.errors.contains("byte"))
        #expect(verify.errors.contains("offset"))
        #expect(try kappa.run("rebuild", "user_totals").code == 74)
    }

    @Test("colours and bars are for terminals only")
    func colours() throws {
        try kappa.generate(1_000)
        for words in [["rebuild", "--all"], ["status"], ["query", "user_totals"], ["plan"]] {
            let finished = try kappa.start(words).wait()
            #expect(!(finished.output + finished.errors).contains("\u{1B}"), "\(words)")
        }
    }

    @Test(
        "on a terminal there are colours, unless NO_COLOR says otherwise",
        .enabled(if: access("/usr/bin/script", X_OK) == 0, "script gives the terminal"))
    func terminal() throws {
        try kappa.generate(100)
        try kappa.run("rebuild", "user_totals")
        let command = "script -qec 'kappa status' /dev/null"
        #expect(try kappa.shell(command).output.contains("\u{1B}[1m"))
        #expect(try !kappa.shell("NO_COLOR=1 " + command).output.contains("\u{1B}"))
    }

    @Test("completions parse, and complete commands, options and views")
    func completions() throws {
        for shell in ["bash", "zsh", "fish"] {
            let script = try kappa.run("completions", shell)
            #expect(script.code == 0)
            #expect(script.output.contains("until-caught-up"))
        }
        // Each line of fish is separate: its quotes must be closed.
        for line in try kappa.run("completions", "fish").lines {
            #expect(
                line.replacing("\\'", with: "").count { $0 == "'" }.isMultiple(of: 2), "\(line)")
        }
        let use = """
            kappa completions bash > complete.bash && bash -n complete.bash && bash -c '
            . ./complete.bash
            complete_words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _kappa; echo "${COMPREPLY[@]}"; }
            complete_words kappa sta
            complete_words kappa log ve
            complete_words kappa status --wa
            complete_words kappa query user_t'
            """
        #expect(try kappa.shell(use).output == "status\nverify\n--watch\nuser_totals\n")
    }

    @Test("the demo prints all of its steps in a pipe, too", .timeLimit(.minutes(2)))
    func demo() throws {
        let demo = try kappa.run("demo", "--events", "20000")
        #expect(demo.code == 0, "\(demo)")
        for step in 1...6 { #expect(demo.output.contains("\n\(step). ")) }
        #expect(demo.output.contains("spending@2  live"))
        #expect(!demo.output.contains("\u{1B}"))
        #expect(Folder.names(in: kappa.folder.path).allSatisfy { !$0.hasPrefix("kappa-demo") })
    }

    /// Only root may, and not in every container.
    private static let canMount = KappaProgram.succeeds(
        "PATH=$PATH:/sbin; mkdir m && mount -t tmpfs -o size=1m none m && umount m")

    @Test(
        "a full disk is reported, loses nothing, and work continues once there is space",
        .enabled(if: canMount, "a small file system must be mounted"))
    func fullDisk() throws {
        try Folder.make(kappa.data.path)
        let mounted = try kappa.shell(
            "PATH=$PATH:/sbin mount -t tmpfs -o size=3m none '\(kappa.data.path)'")
        #expect(mounted.code == 0)
        defer { umount2(kappa.data.path, Int32(MNT_DETACH)) }
        try kappa.generate(8_000)
        let more = try kappa.run("generate", "user-events", "--count", "60000", "--seed", "2")
            .output
        let full = try kappa.run("append", input: more)
        #expect(full.code == 74, "\(full)")
        #expect(full.errors.contains("No space left on device"))
        #expect(full.errors.contains("next:"))
        #expect(try kappa.run("log", "verify").code == 0)
        #expect(try kappa.shell("mount -o remount,size=60m '\(kappa.data.path)'").code == 0)
        #expect(try kappa.run("append", input: "{}").code == 0)
        #expect(try kappa.run("rebuild", "user_totals").code == 0)
    }

    @Test(
        "a folder that cannot be written is an error that says so",
        .enabled(if: canMount, "a read-only file system must be mounted"))
    func readOnly() throws {
        try Folder.make(kappa.data.path)
        #expect(try kappa.shell("mount -t tmpfs none '\(kappa.data.path)'").code == 0)
        defer { umount2(kappa.data.path, Int32(MNT_DETACH)) }
        try kappa.generate(100)
        try kappa.run("rebuild", "user_totals")
        _ = try kappa.shell("mount -o remount,ro '\(kappa.data.path)'")
        let append = try kappa.run("append", input: "{}")
        #expect(append.code == 74 || append.code == 73, "\(append)")
        #expect(append.errors.contains("Read-only") || append.errors.contains("read-only"))
        let status = try kappa.run("status")
        #expect([0, 73, 74].contains(status.code), "\(status)")
    }
}
