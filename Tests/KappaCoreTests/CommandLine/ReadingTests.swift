import Glibc
import Testing

@testable import KappaCLI
@testable import KappaCore

/// Reading writes nothing: it works on a full disk, in a folder that is mounted read-only, and as another
/// user.
@Suite("Reading where nothing can be written")
struct ReadingTests {
    /// Commands that read, and give the same everywhere.
    private static let questions = [
        "query user_totals --order user_id", "query user_totals@2",
        "query user_totals --where 'events > 1'",
        "sql 'SELECT count(*), sum(events) FROM user_totals'", "status --format json",
        "history user_totals",
        "dead user_totals", "log info", "log read", "log verify", "snapshots", "views",
        "plan --format json",
        "diff user_totals@1 user_totals@2", "why user_totals --key '\"user_1\"'",
        "query user_totals --at 100",
    ]

    private static let canMount = geteuid() == 0 && KappaProgram.succeeds("unshare -m true")
    private static let canBeOther =
        geteuid() == 0 && KappaProgram.succeeds("setpriv --reuid=65534 --clear-groups true")

    /// A shell with its own mounts, which end with it; `k` is the data folder.
    private func answers(_ kappa: KappaProgram, _ setUp: String, as user: String = "") throws
        -> String
    {
        var script = "set -e\nexport KAPPA_DATA=$PWD/k\n\(setUp)\nset +e\n"
        for question in Self.questions {
            script +=
                "echo '# \(question.replacing("'", with: ""))'; \(user) kappa \(question) < /dev/null; echo \"= $?\"\n"
        }
        try CommandSweep.write(script, to: kappa.folder.path + "/answers.sh")
        let tool = Self.canMount ? "unshare -m" : ""
        return try kappa.shell("TZ=UTC \(tool) sh answers.sh 2>&1", seconds: 120).output
    }

    /// Builds the folder `k` there.
    private static let build = """
        kappa generate user-events --count 300 --users 5 | kappa append > /dev/null
        echo '{"user_id":7,"action":[],"amount":"x","timestamp":"?"}' | kappa append > /dev/null
        kappa rebuild --all --keep-snapshots every=100 > /dev/null 2>&1
        kappa rebuild user_totals --no-promote > /dev/null 2>&1
        """
    /// Takes all the space that is left.
    private static let fill = "cat /dev/zero > k/filler 2> /dev/null || true"
    private static let forget = "rm -f k/catalog.db-* k/views/*/*-wal k/views/*/*-shm"

    private func differences(_ a: String, _ b: String) -> [String] {
        // The digest of the log's folder and times of appends differ from folder to folder.
        func lines(_ text: String) -> [Substring] { text.split(separator: "\n") }
        return zip(lines(a), lines(b)).filter { $0 != $1 }.map { "\($0)\n   \($1)" }
    }

    @Test(
        "on a full disk everything can be read, with and without the files of the write-ahead logs",
        .enabled(if: canMount, "needs root and mounts"), arguments: [":", forget])
    func fullDisk(change: String) throws {
        let kappa = try KappaProgram()
        let mount = "mkdir -p k; mount -t tmpfs -o size=12m tmpfs k"
        let text = try answers(kappa, "\(mount)\n\(Self.build)\n\(change)\n\(Self.fill)")
        try check(text)
        #expect(text.contains("\"state\":\"live\""))
    }

    private func check(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let parts = text.split(separator: "# ")
        #expect(parts.count >= Self.questions.count, "\(text)", sourceLocation: sourceLocation)
        for part in parts {
            #expect(part.contains("\n= 0"), "\(part)", sourceLocation: sourceLocation)
        }
        #expect(text.contains("user_5"), sourceLocation: sourceLocation)
    }

    @Test(
        "a folder that is mounted read-only is read",
        .enabled(if: canMount, "needs root and mounts"),
        arguments: [":", forget])
    func readOnlyMount(change: String) throws {
        let kappa = try KappaProgram()
        let text = try answers(
            kappa,
            "mkdir -p k\n\(Self.build)\n\(change)\nmount --bind k k\nmount -o remount,bind,ro k")
        try check(text)
    }

    @Test(
        "another user who may only read reads", .enabled(if: canBeOther, "needs root and setpriv"),
        arguments: [":", forget])
    func otherUser(change: String) throws {
        let kappa = try KappaProgram()
        chmod(kappa.folder.path, 0o755)
        let text = try answers(
            kappa, "umask 022; mkdir -p k\n\(Self.build)\n\(change)",
            as: "env TMPDIR=/tmp setpriv --reuid=65534 --clear-groups")
        try check(text)
        let denied = try kappa.shell(
            "export KAPPA_DATA=$PWD/k; echo '{}' | setpriv --reuid=65534 --clear-groups kappa append"
        )
        #expect(denied.code == 77, "\(denied)")
        let promoted = try kappa.shell(
            "export KAPPA_DATA=$PWD/k; setpriv --reuid=65534 --clear-groups kappa promote user_totals@2"
        )
        #expect(promoted.code == 77, "\(promoted)")
        chmod(kappa.folder.path + "/k/log", 0o700)
        for command in ["log info", "log read", "status"] {
            let unread = try kappa.shell(
                "export KAPPA_DATA=$PWD/k; setpriv --reuid=65534 --clear-groups kappa \(command)")
            #expect(unread.code == 77 || command == "status", "\(command): \(unread)")
            #expect(!unread.errors.contains("there is no log here"), "\(command): \(unread)")
        }
    }

    @Test(
        "beside a run, on a full disk and as another user",
        .enabled(if: canMount && canBeOther, "needs root"))
    func besideRun() throws {
        let kappa = try KappaProgram()
        chmod(kappa.folder.path, 0o755)
        let setUp = """
            mkdir -p k; mount -t tmpfs -o size=12m,mode=755 tmpfs k
            \(Self.build)
            kappa run > /dev/null 2>&1 & run=$!
            sleep 1.5
            trap 'kill $run' EXIT
            \(Self.fill)
            """
        try check(try answers(kappa, setUp))
        try check(
            try answers(kappa, setUp, as: "env TMPDIR=/tmp setpriv --reuid=65534 --clear-groups"))
    }

    @Test(
        "the plain sqlite3 reads the live version on a full disk",
        .enabled(
            if: canMount && KappaProgram.succeeds("sqlite3 --version"),
            "needs root, mounts and sqlite3"))
    func plainSQLite() throws {
        let kappa = try KappaProgram()
        let script = """
            set -e; export KAPPA_DATA=$PWD/k
            mkdir -p k; mount -t tmpfs -o size=12m tmpfs k
            \(Self.build)
            \(Self.fill)
            sqlite3 k/views/user_totals/live.db 'SELECT count(*) FROM user_totals'
            """
        try CommandSweep.write(script, to: kappa.folder.path + "/plain.sh")
        let finished = try kappa.shell("unshare -m sh plain.sh")
        #expect(finished.output == "5\n", "\(finished)")
    }

    @Test(
        "what needs space says that there is none, with what to do",
        .enabled(if: canMount, "needs root and mounts"))
    func noSpace() throws {
        let kappa = try KappaProgram()
        let script = """
            export KAPPA_DATA=$PWD/k TMPDIR=$PWD/k
            kappa generate user-events --count 20000 --seed 3 > more
            mkdir -p k; mount -t tmpfs -o size=12m tmpfs k
            \(Self.build)
            kappa generate user-events --count 2000 --seed 2 | kappa append > /dev/null
            \(Self.fill)
            for command in "run --until-caught-up" "rebuild user_totals" "diff user_totals@1 user_totals@2 --at 2000" \
              "verify user_totals" "promote user_totals@2" "append" "log seal"; do
              echo "# $command"; kappa $command < more; echo "= $?"
            done
            """
        try CommandSweep.write(script, to: kappa.folder.path + "/space.sh")
        let text = try kappa.shell("unshare -m sh space.sh 2>&1", seconds: 120).output
        for part in text.split(separator: "# ") {
            #expect(part.contains("\n= 74") || part.contains("\n= 73"), "\(part)")
            #expect(part.contains("No space left on device"), "\(part)")
            #expect(part.contains("Free some space"), "\(part)")
        }
    }
}
