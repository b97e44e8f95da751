import Glibc
import Testing

@testable import KappaCLI
@testable import KappaCore

/// Nothing from data or from the command line reaches a terminal as a control sequence.
@Suite("Output to a terminal")
struct TerminalTests {
    /// Sequences that set titles, colours and the cursor, in C0 and in C1; characters that reverse the
    /// direction of text.
    private static let hostile = [
        "\u{1B}]0;owned\u{07}", "\u{1B}[31m", "\u{9B}31m", "\u{9D}0;x\u{9C}", "\u{90}q", "\u{7F}",
        "\u{08}\u{08}",
        "\u{202E}gpj.exe", "\u{2066}x\u{2069}", "a\u{2028}b", "a\u{2029}b", "a\u{85}b", "\r",
        "a\nkappa: forged",
        "a\tb", "\u{0}", "\u{8D}", "\u{80}", "\u{9F}", "plain",
    ]

    private static func json(_ text: String) -> String {
        JSONText.string { $0.append(string: text) }
    }

    private static var events: String {
        hostile.map { text in
            #"{"user_id":\#(json(text)),"action":\#(json(text)),"amount":1,"#
                + #""timestamp":"2024-01-15T14:30:00Z","note":\#(json(text))}"# + "\n"
                + #"{"user_id":\#(json(text)),"action":\#(json(text)),"amount":\#(json(text)),"#
                + #""timestamp":\#(json(text))}"# + "\n"
        }.joined()
    }

    @Test("every command over hostile data, in every format, sends kappa's own sequences only")
    func commands() throws {
        let kappa = try KappaProgram()
        try CommandLines.prepare(kappa, events: Self.events)
        var lines: [[String]] = []
        let bad = "\u{1B}[31m\u{9B}1m\u{202E}"
        for spec in CommandLines.specs where spec.name != "generate user-events" {
            for format in ["text", "json", "csv"] {
                lines.append(CommandLines.words(spec) + ["--format", format])
            }
            lines.append(CommandLines.words(spec) + ["--" + bad])
            lines.append(CommandLines.words(spec) + ["--format", bad])
            lines.append(spec.name.split(separator: " ").map(String.init) + [bad, bad, bad])
            for option in spec.allOptions where option.value != nil && CommandLines.isLong {
                lines.append(CommandLines.words(spec) + [option.name, bad])
            }
        }
        lines += [
            [bad], ["help", bad],
            ["query", "user_totals", "--where", "user_id = '\(bad)' AND nosuch = 1"],
            ["sql", "SELECT '\(bad)' AS \"\(bad)\""], ["sql", "SELECT \(bad)"],
            ["promote", "user_totals@2", "--gate", "sql=SELECT user_id, last_action FROM new"],
            ["promote", "user_totals@2", "--gate", "sql=SELECT ts(user_id) FROM new"],
            ["why", "user_totals", "--key", Self.json(Self.hostile[0])],
            ["append", bad], ["append", "--source", bad], ["log", bad], ["query", bad],
        ]
        // The data is visible.
        let rows = try Self.terminal(kappa, ["query", "user_totals"])
        #expect(rows.contains("plain") && rows.contains("owned") && rows.contains("\u{1B}[1m"))
        for words in lines {
            let text = try Self.terminal(kappa, words)
            let rest = Self.withoutOwn(text)
            let found = rest.unicodeScalars.filter { scalar in
                SafeText.line(String(scalar)) != String(scalar) && scalar != "\n" && scalar != "\t"
            }
            #expect(
                found.isEmpty,
                "\(words): \(found.map { String($0.value, radix: 16) }) in \(rest.debugDescription)"
            )
        }
    }

    @Test("a newline in data starts no new line of an error message")
    func forged() {
        let error = KappaError(
            .usage, "no", at: "x\n  next:  forged", because: "a\nkappa: b", advice: "c")
        let lines = "\(error)".split(separator: "\n")
        #expect(lines.count { $0.hasPrefix("  next:") } == 1)
        #expect(!lines.contains { $0.hasPrefix("kappa:") })
    }

    @Test("events go to a file or a pipe byte for byte")
    func bytes() throws {
        let kappa = try KappaProgram()
        let line = "{\"a\":\"\u{9B}31m\u{7F}\u{202E}\u{2028}\" , \"b\":\t1}\n"
        try kappa.run("append", input: line)
        #expect(try kappa.run("log", "read").output == line)
    }

    @Test("with standard output closed, output does not go to a file of the log")
    func closed() throws {
        let kappa = try KappaProgram()
        try kappa.generate(10)
        let before = try kappa.run("log", "verify").output
        for line in [
            "echo '{}' | kappa append >&- 2>&-", "kappa status >&- 2>&-", "kappa log read >&-",
            "kappa append <&- >&- 2>&-",
        ] {
            let finished = try kappa.shell(line)
            #expect(CommandLines.codes.contains(finished.code), "\(line): \(finished)")
        }
        #expect(before.contains("true"))
        #expect(try kappa.run("log", "verify").code == 0)
        #expect(try kappa.shell("kappa log read > /dev/full").code == 74)
        #expect(try kappa.shell("kappa log read | head -c 1 > /dev/null").code == 0)
    }

    @Test("one place writes to the standard descriptors, and one knows escape sequences")
    func ways() throws {
        for file in try SourceTree.files("Sources/KappaCLI") + SourceTree.files("Sources/KappaCore")
        {
            let code = file.code
            if file.name != "Output.swift" {
                for way in [
                    "write(1,", "write(2,", "dprintf", "fputs", "perror(", "FileHandle", "fwrite(",
                    "putchar",
                    "Swift.print(", "debugPrint(", "dump(", "STDOUT_FILENO", "STDERR_FILENO",
                ] {
                    #expect(!code.contains(way), "\(file.path) has \(way)")
                }
            }
            if !["Output.swift", "StyledText.swift"].contains(file.name) {
                #expect(!file.text.contains("u{1B}"), "\(file.path) has an escape sequence")
            }
        }
    }

    // MARK: A terminal

    /// The output of a command whose standard output and standard error are a terminal.
    private static func terminal(_ kappa: KappaProgram, _ words: [String]) throws -> String {
        let master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
        var isLocked: Int32 = 0
        var number: UInt32 = 0
        // TIOCSPTLCK and TIOCGPTN, which Swift does not import.
        try #require(ioctl(master, 0x4004_5431, &isLocked) == 0)
        try #require(ioctl(master, 0x8004_5430, &number) == 0)
        let name = "/dev/pts/\(number)"
        // Held open, so that the end comes when it is closed here.
        let slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC)
        let bytes = Monitor<[UInt8]>([])
        let reader = try WorkerThread("test-terminal") {
            var piece = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = read(master, &piece, piece.count)
                if count < 0, errno == EINTR { continue }
                if count <= 0 { return }
                bytes.withLock { $0 += piece[..<count] }
            }
        }
        let line = words.map(CommandLines.quoted).joined(separator: " ")
        // A tail, and any command that waits, is ended as a person ends it.
        let limit = words.first == "tail" ? "timeout -s INT 0.5" : "timeout -s INT 20"
        _ = try kappa.shell("\(limit) kappa \(line) < /dev/null > \(name) 2>&1")
        close(slave)
        reader.join()
        close(master)
        return String(decoding: bytes.withLock { $0 }, as: UTF8.self)
    }

    /// Without kappa's own output: colours, the line of progress, a terminal's line ends.
    private static func withoutOwn(_ text: String) -> String {
        var text = text.replacing("\r\n", with: "\n").replacing("\r\u{1B}[K", with: "")
        for code in ["0", "1", "31", "32", "33"] {
            text = text.replacing("\u{1B}[\(code)m", with: "")
        }
        return text
    }
}
