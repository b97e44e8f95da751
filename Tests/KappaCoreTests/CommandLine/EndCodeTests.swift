import Glibc
import Testing

@testable import KappaCLI
@testable import KappaCore

/// Each system error has its own message, with advice, and its own exit code.
@Suite("How a command ends on system errors")
struct EndCodeTests {
    @Test(
        "error numbers keep their meaning",
        arguments: [
            (ENOSPC, KappaError.Code.inputOutput, "space"), (EDQUOT, .inputOutput, "quota"),
            (EMFILE, .inputOutput, "ulimit -n"), (ENFILE, .inputOutput, "file-max"),
            (EACCES, .notPermitted, "owns"), (EPERM, .notPermitted, "owns"),
            (EROFS, .inputOutput, "read-only"),
            (EIO, .inputOutput, "disk"), (ENOMEM, .inputOutput, "memory"),
            (EFBIG, .inputOutput, "ulimit -f"),
        ])
    func numbers(number: Int32, code: KappaError.Code, advice: String) {
        let error = IOFailure("write", number).error("cannot write", at: "/x")
        #expect(error.code == code)
        #expect(error.advice?.contains(advice) == true)
        #expect(error.reason == "write: \(IOFailure.text(of: number))")
        #expect(
            IOFailure("open", ENOENT).error(naming: "cannot open a file", at: "/x").code
                == .notFound)
    }

    @Test("sizes and numbers that are too large are refused, with the option and the value")
    func numbers() throws {
        let kappa = try KappaProgram()
        for words in [
            ["run", "--memory", "9999999999G"], ["run", "--memory", "9223372036854775807K"],
            ["run", "--memory", "0"], ["run", "--memory", "1P"],
            ["generate", "user-events", "--disorder", "9223372036854775807"],
            ["query", "user_totals", "--at", "18446744073709551615"],
            ["log", "read", "--from", "-1"],
            ["append", "--batch", "0"], ["log", "read", "--limit", "9223372036854775808"],
        ] {
            let finished = try kappa.start(words).wait()
            #expect(finished.code == 64, "\(words): \(finished)")
            #expect(
                finished.errors.contains(
                    "\(words[words.count - 2]) \(words[words.count - 1]) cannot be used"),
                "\(words): \(finished)")
            #expect(finished.errors.contains("next:"), "\(words): \(finished)")
        }
        let paced = try kappa.shell(
            "kappa generate user-events --count 9223372036854775807 --rate 9223372036854775807 | head -n 20000 | wc -l"
        )
        #expect(paced.output.contains("20000") && paced.errors == "", "\(paced)")
    }

    @Test("a lack of descriptors is reported as such")
    func descriptors() throws {
        let kappa = try KappaProgram()
        try CommandLines.prepare(kappa)
        var seen = 0
        for most in 4...24 {
            for command in [
                "status", "query user_totals", "sql 'SELECT 1 FROM user_totals'", "log read",
                "append",
            ] {
                let finished = try kappa.shell(
                    "(ulimit -n \(most); exec kappa \(command)) < /dev/null > out")
                #expect(
                    CommandLines.codes.contains(finished.code), "\(most) \(command): \(finished)")
                guard finished.code != 0 else { continue }
                seen += 1
                #expect(
                    finished.code == 74 || finished.code == 73, "\(most) \(command): \(finished)")
                #expect(
                    finished.errors.contains("Too many open files"),
                    "\(most) \(command): \(finished)")
                #expect(finished.errors.contains("ulimit -n"), "\(most) \(command): \(finished)")
            }
        }
        #expect(seen > 0)
    }

    @Test("a path to the wrong kind of file is refused with its name")
    func paths() throws {
        let kappa = try KappaProgram()
        try CommandLines.prepare(kappa)
        let cases: [(String, Int32, String)] = [
            ("append nothing.ndjson", 66, "nothing.ndjson"), ("append .", 66, "a folder"),
            ("append events.ndjson/x", 66, "events.ndjson/x"),
            ("status --data nothing", 66, "nothing"),
            ("status --data events.ndjson", 66, "not a folder"),
            ("append --data events.ndjson events.ndjson", 73, "events.ndjson"),
            ("diff user_totals@1 user_totals@2 --html nothing/x.html", 73, "nothing/x.html"),
            ("diff user_totals@1 user_totals@2 --html .", 73, "Is a directory"),
            ("diff user_totals@1 user_totals@2 --html /dev/full", 74, "No space left"),
            ("promote user_totals@2 --gate sql=.", 66, "a folder"),
            ("log read > /dev/full", 74, "No space left"),
            ("help > /dev/full", 74, "No space left"),
            ("status >&-", 74, "Bad file descriptor"),
        ]
        for (line, code, words) in cases {
            let finished = try kappa.shell("kappa \(line)")
            #expect(finished.code == code, "\(line): \(finished)")
            #expect(finished.errors.contains(words), "\(line): \(finished)")
        }
        let fifo = try kappa.shell("mkfifo pipe; (cat events.ndjson > pipe &) ; kappa append pipe")
        #expect(fifo.code == 0, "\(fifo)")
    }
}
