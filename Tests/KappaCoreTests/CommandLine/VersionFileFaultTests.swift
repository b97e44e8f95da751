import Foundation
import Glibc
import KappaTesting
import Testing

@testable import KappaCore

/// A version whose file is missing, damaged or foreign harms no other view, and can be repaired.
@Suite("Missing, damaged and foreign files of versions")
struct VersionFileFaultTests {
    private let kappa: KappaProgram
    private var file: String { kappa.data.file(VersionID("user_totals", VersionNumber(1))) }
    private var other: String { kappa.data.file(VersionID("action_counts", VersionNumber(1))) }

    init() throws {
        kappa = try KappaProgram()
        try kappa.generate(300)
        let built = try kappa.run("rebuild", "user_totals", "action_counts")
        try #require(built.code == 0, "\(built)")
    }

    /// What happened to the file, as a line of `sh`, and the exit code of a command that then reads it.
    private static let faults: [(name: String, line: String, code: Int32)] = [
        ("removed", "rm \"$F\"*", 66),
        ("empty", ": > \"$F\"", 74),
        ("cut short", "truncate -s 100 \"$F\"", 74),
        ("no database", "printf 'no database at all, but a text' > \"$F\"", 74),
        ("another database", "rm \"$F\"; sqlite3 \"$F\" 'CREATE TABLE a (b)'", 74),
        ("a folder", "rm \"$F\"; mkdir \"$F\"", 74),
        ("another view's", "cp \"$O\" \"$F\"", 74),
    ]

    @Test("it is distinguished from a sound one, other views are read, and a rebuild repairs it")
    func faults() throws {
        let hasShell = KappaProgram.succeeds("sqlite3 --version")
        for fault in Self.faults where hasShell || !fault.line.contains("sqlite3") {
            let entry = try Catalog(kappa.data).resolve(VersionReference("user_totals", nil))
            let file = kappa.data.file(entry.id)
            let broken = try kappa.shell("F='\(file)'; O='\(other)'; rm -f \"$F\"-*; \(fault.line)")
            try #require(broken.code == 0, "\(fault.name): \(broken)")
            let comment: Comment = "\(fault.name)"
            let query = try kappa.run("query", "user_totals")
            #expect(query.code == fault.code, "\(fault.name): \(query)")
            #expect(query.output == "", comment)
            // A statement that names it says so; one that does not works.
            let named = try kappa.run("sql", "SELECT count(*) FROM user_totals")
            #expect(named.code == fault.code, "\(fault.name): \(named)")
            let sound = try kappa.run("sql", "SELECT count(*) AS n FROM action_counts")
            #expect(sound.code == 0, "\(fault.name): \(sound)")
            let mended = try kappa.run("rebuild", "user_totals")
            #expect(mended.code == 0, "\(fault.name): \(mended)")
            #expect(try kappa.run("query", "user_totals").code == 0, comment)
        }
    }

    @Test("a statement over a table that no sound version has names the file that cannot be read")
    func secondTable() throws {
        _ = try kappa.shell(": > '\(file)'")
        let asked = try kappa.run("sql", "SELECT * FROM some_table")
        #expect(asked.code == 74 && asked.errors.contains(file), "\(asked)")
    }

    @Test(
        "a run whose file is removed stops for that view and says so, and a new run repairs it")
    func removedUnderRun() throws {
        let run = try kappa.start(["run"])
        try waitFor("it follows") {
            run.errors.contains("user_totals@1: live")
                && run.errors.contains("action_counts@1: live")
        }
        _ = try kappa.shell("rm '\(file)'*")
        try kappa.generate(50, seed: 2)
        try waitFor("it says so") { run.errors.contains("a version's file is gone") }
        try waitFor("the other one is current") {
            try VersionStatus.all(Catalog(kappa.data)).contains {
                $0.id.view == "action_counts" && $0.position == Offset(350)
            }
        }
        run.signal(SIGTERM)
        #expect(try run.wait().code == 74)
        let again = try kappa.run("run", "--until-caught-up")
        #expect(again.code == 0, "\(again)")
        #expect(try kappa.run("query", "user_totals").code == 0)
    }

    @Test("a run goes on following a log whose head was made anew")
    func replacedHead() throws {
        let run = try kappa.start(["run"])
        try waitFor("it follows") { run.errors.contains("user_totals@1: live") }
        var end = try LogReader(kappa.data.log).durableEnd().rawValue
        let head = "'\(LogHead.path(kappa.data.log))'"
        for line in ["rm \(head)", "cp \(head) x && mv x \(head)"] {
            _ = try kappa.shell(line)
            try kappa.generate(50, seed: 3)
            end += 50
            try waitFor("it has applied what came after: \(line)") {
                try VersionStatus.all(Catalog(kappa.data)).allSatisfy {
                    $0.position == Offset(end)
                }
            }
        }
        run.signal(SIGTERM)
        #expect(try run.wait().code == 0)
    }

    @Test("a pipe in the place of any file keeps no command waiting, and nothing is lost")
    func pipes() throws {
        let script = """
            cp -a "$KAPPA_DATA" sound
            (cd sound && find . -type f) > files
            while read file; do
                rm -rf "$KAPPA_DATA"
                cp -a sound "$KAPPA_DATA"
                rm "$KAPPA_DATA/$file"
                mkfifo "$KAPPA_DATA/$file"
                for command in append 'run --until-caught-up' 'query user_totals' status 'log verify'; do
                    timeout -k 1 20 kappa $command < /dev/null > out 2>&1
                    code=$?
                    if [ $code -ge 124 ]; then echo "$file: $command: exit $code"; fi
                done
                case $file in
                ./log/0*) ;;
                *) cmp sound/log/0* "$KAPPA_DATA"/log/0* 2>&1 ;;
                esac
            done < files
            """
        try CommandSweep.write(script, to: kappa.folder.path + "/pipes.sh")
        let found = try kappa.shell("sh pipes.sh", seconds: 300)
        #expect(found.output == "", "\(found)")
    }

    @Test("a run whose lease is removed leaves the version to who takes it")
    func removedLease() throws {
        let first = try kappa.start(["run"])
        try waitFor("it follows") { first.errors.contains("user_totals@1: live") }
        let id = VersionID("user_totals", VersionNumber(1))
        _ = try kappa.shell("rm '\(kappa.data.lease(id))'")
        let second = try kappa.start(["run"])
        try waitFor("the first one says so") {
            first.errors.contains("lease of user_totals@1 is lost")
        }
        try kappa.generate(50, seed: 4)
        try waitFor("the second one is current") {
            let isCurrent = try VersionStatus.all(Catalog(kappa.data)).contains {
                $0.id == id && $0.lag == 0
            }
            return isCurrent && Lease.holder(of: id, in: kappa.data)?.pid == second.pid
        }
        for run in [first, second] {
            run.signal(SIGTERM)
            _ = try run.wait()
        }
        #expect(try kappa.run("verify", "user_totals").code == 0)
    }

    @Test("a run whose whole folder is moved or removed ends, and says so")
    func removedFolder() throws {
        for line in ["mv data aside", "rm -r data"] {
            let run = try kappa.start(["run"])
            try waitFor("all are live, and it waits for events") {
                let all = try VersionStatus.all(Catalog(kappa.data))
                return all.count == 7 && all.allSatisfy { $0.isLive && $0.lag == 0 }
                    && run.errors.contains("action_counts@1: live")
            }
            _ = try kappa.shell(line)
            let ended = try run.wait()
            // Which of its files it misses first, is chance.
            let said = ended.errors
            let isTold =
                ended.code == 74 && said.contains("the catalog is gone")
                || ended.code == 66 && said.contains("there is no log here")
            #expect(isTold, "\(line): \(ended)")
            if line.hasPrefix("mv") { _ = try kappa.shell("mv aside data") }
        }
    }

    @Test("an append whose report cannot be written says that the events are durable")
    func unreportedAppend() throws {
        let end = try LogReader(kappa.data.log).durableEnd()
        let append = try kappa.shell("echo '{\"event_type\":\"a\"}' | kappa append > /dev/full")
        #expect(append.code == 74)
        #expect(append.errors.contains("1 event is durable"), "\(append)")
        #expect(append.errors.contains("do not append the events again"), "\(append)")
        #expect(try LogReader(kappa.data.log).durableEnd() == end + 1)
    }

    @Test("an import that fails partway says what is durable, and how to continue")
    func failedImport() throws {
        let line = #"{"event_type":"a"}"#
        let bad = Array(repeating: line, count: 5) + ["no json", line]
        for (options, advice) in [
            (["--batch", "2"], "Append only what comes after those 4 events"),
            (["--batch", "2", "--source", "shop"], "it skips what is already in the log"),
        ] {
            let end = try LogReader(kappa.data.log).durableEnd()
            let failed = try kappa.start(
                ["append"] + options, input: bad.joined(separator: "\n")
            ).wait()
            #expect(failed.code == 65)
            #expect(failed.errors.contains("line 6"), "\(failed)")
            #expect(
                failed.errors.contains("4 events before it were appended from offset \(end)"),
                "\(failed)")
            #expect(failed.errors.contains(advice), "\(failed)")
            #expect(try LogReader(kappa.data.log).durableEnd() == end + 4)
        }
    }

    @Test("one long text does not widen the other rows")
    func wideCells() throws {
        let long = String(repeating: "u", count: 100_000)
        try kappa.run(
            "append",
            input: """
                {"event_type":"user_event","user_id":"\(long)","action":"view","timestamp":"2024-01-15T14:30:00Z"}
                """)
        try kappa.run("rebuild", "user_totals")
        let rows = try kappa.run("query", "user_totals")
        #expect(rows.code == 0)
        #expect(rows.output.utf8.count < 150_000)
    }

    @Test("promoting a live version says that it is live already")
    func promotedTwice() throws {
        let again = try kappa.run("promote", "user_totals@1")
        #expect(again.code == 0 && again.errors.contains("user_totals@1 is live already"))
    }
}
