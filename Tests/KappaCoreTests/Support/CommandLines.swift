import Glibc

@testable import KappaCLI
@testable import KappaCore

/// Command lines of every command, made from its specification: a command that is added is tested with the
/// others.
enum CommandLines {
    /// All commands that end on their own and are quick.
    static var specs: [CommandSpec] {
        // `demo` takes half a minute, in its own folder.
        Commands.all.filter { $0.name != "demo" }
    }

    /// A line that works, over the folder that ``prepare(_:)`` has filled.
    static func words(_ spec: CommandSpec) -> [String] {
        let arguments = spec.arguments.map { argument in
            switch argument.name {
            case "VIEW@A": "user_totals@1"
            case "VIEW@B": "user_totals@2"
            case "VIEW@N": "user_totals@2"
            case "SELECT": "SELECT * FROM user_totals"
            case "SHELL": "bash"
            case _ where argument.isView: "user_totals"
            default: "events.ndjson"
            }
        }
        return spec.name.split(separator: " ").map(String.init) + arguments + needed(spec)
    }

    /// Options without which the command does nothing or never ends.
    private static func needed(_ spec: CommandSpec) -> [String] {
        switch spec.name {
        case "run": ["--until-caught-up"]
        case "why": ["--key", #""user_1""#]
        case "replay-aside": ["--file", "aside.db", "--until", "10"]
        default: []
        }
    }

    /// Fills a data folder: a log, versions that are live and ready, a dead letter.
    static func prepare(_ kappa: KappaProgram, events: String = "") throws {
        try kappa.generate(300, users: 5)
        let dead = #"{"user_id":7,"action":[],"amount":"x","timestamp":"?"}"# + "\n"
        let appended = try kappa.run("append", input: dead + events)
        guard appended.code == 0 else { throw KappaError(.bug, "\(appended)") }
        let built = try kappa.shell(
            """
            kappa rebuild --all --keep-snapshots every=100 && kappa rebuild user_totals --no-promote
            echo '{"user_id":"user_1","action":"view","amount":1,"timestamp":"2024-01-15T14:30:00Z"}' \
            > events.ndjson
            """)
        guard built.code == 0 else { throw KappaError(.bug, "\(built)") }
    }

    /// Quoted as a word of `sh`.
    static func quoted(_ word: String) -> String {
        "'" + word.replacing("'", with: #"'\''"#) + "'"
    }

    /// Whether the long sweeps run: `make test-faults` sets it.
    static var isLong: Bool { getenv("KAPPA_FAULTS") != nil }

    /// The exit codes that are allowed when a command is used wrongly or something fails.
    static let codes: Set<Int32> = [0, 1, 64, 65, 66, 69, 73, 74, 75, 77]
}

/// Runs many command lines, each over the same folder, in few shells.
struct CommandSweep {
    struct Run {
        var words: [String]
        var code: Int32
        /// What it wrote to standard error.
        var errors: String
    }

    let kappa: KappaProgram
    /// Shell redirections after each line.
    var redirections = "> out"
    /// A shell command before each line, such as one that restores the folder.
    var before = ":"
    /// A prefix of the program, such as `timeout`.
    var prefix = "timeout -s INT 20"

    func run(_ lines: [[String]]) throws -> [Run] {
        var script = "mkdir -p sweep\n"
        for (index, words) in lines.enumerated() {
            let line = words.map(CommandLines.quoted).joined(separator: " ")
            script += "\(before)\n\(prefix) kappa \(line) < /dev/null \(redirections) "
            script += "2> sweep/\(index); echo $? > sweep/\(index).code\n"
        }
        let path = kappa.folder.path + "/sweep.sh"
        try Self.write(script, to: path)
        _ = try kappa.shell("sh sweep.sh", seconds: 600)
        return try lines.enumerated().map { index, words in
            let code = try Self.read("\(kappa.folder.path)/sweep/\(index).code")
            let errors = try Self.read("\(kappa.folder.path)/sweep/\(index)")
            return Run(
                words: words, code: Int32(code.prefix { $0 != "\n" }) ?? -1, errors: errors)
        }
    }

    static func write(_ text: String, to path: String) throws {
        let file = try SystemFiles().open(path, O_WRONLY | O_CREAT | O_TRUNC)
        defer { close(file) }
        try SystemFiles().write(file, Array(text.utf8), at: 0)
    }

    static func read(_ path: String) throws -> String {
        guard let text = try InputFile.text(of: path, atMost: 1 << 20) else { return "" }
        return text
    }
}
