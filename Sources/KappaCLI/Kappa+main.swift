import Glibc
import KappaCore

extension Kappa {
    /// Runs the `kappa` program over the given views, with this process's arguments, and exits.
    ///
    /// SIGINT and SIGTERM then ask for a stop at the next commit. The exit codes are those of sysexits; see
    /// ``KappaError/Code``.
    /// ```swift
    /// import KappaCLI
    /// Kappa.main(views: ViewSet([orders], digests: viewDigests))
    /// ```
    /// - Parameters:
    ///   - views: The views that the program knows.
    ///   - connectors: What it can pull from, beside files, pipes and other data folders, and what it can
    ///     publish to. A program links only those that it names.
    public static func main(views: ViewSet, connectors: [any Connector] = []) -> Never {
        Restart.begin()
        Output.holdStandardDescriptors()
        LockWatch.listen { path, holder in
            let who = holder.map { "process \($0.pid) (\($0.command))" } ?? "another process"
            var line = "kappa: waiting for \(who), which holds \(path)"
            if let holder, holder.isStopped {
                line += "; it is stopped: `kill -CONT \(holder.pid)` resumes it"
            }
            Output.say(SafeText.line(line))
        }
        Interrupt.install()
        requireText()
        let program = Program(views: views, connectors: connectors, isProcess: true)
        exit(program.run(Array(CommandLine.arguments.dropFirst())))
    }
}

/// Ends the program if an argument, or the variable with the data folder, is not UTF-8: Swift would put another
/// character in its place, and name another folder or file.
private func requireText() {
    let data = OptionSpec.common.first.flatMap { getenv($0.variable) }
    let words = (0..<Int(CommandLine.argc)).map { CommandLine.unsafeArgv[$0] } + [data]
    for word in words {
        guard let word, String(validatingCString: word) == nil else { continue }
        Output.say(
            "kappa: \(KappaError(.usage, "\"\(String(cString: word))\" is not UTF-8", advice: "Rename the file or folder"))"
        )
        exit(KappaError.Code.usage.exitCode)
    }
}

/// The program. It finds the command, runs it, and turns errors into messages and exit codes.
struct Program {
    static let version = "0.1.0"
    let views: ViewSet
    var connectors: [any Connector] = []
    /// Whether this process is the program rather than a test that runs its commands.
    var isProcess = false

    func run(_ words: [String]) -> Int32 {
        do {
            return try dispatch(words[...])
        } catch is Output.Closed {
            return 0
        } catch is Interrupt.Stopped {
            Output.say("kappa: stopped; nothing was changed")
            return Interrupt.exitCode
        } catch let error as KappaError {
            Output.say("kappa: \(error)")
            return error.code.exitCode
        } catch {
            Output.say("kappa: \(error)")
            return KappaError.Code.bug.exitCode
        }
    }

    private func dispatch(_ all: ArraySlice<String>) throws -> Int32 {
        let (leading, words) = try Self.leadingOptions(all)
        guard let first = words.first else {
            try Help.overview()
            return KappaError.Code.usage.exitCode
        }
        switch first {
        case "--version": return try Self.print("kappa \(Self.version)")
        case "--help", "-h": return try help([])
        case "help": return try help(words.dropFirst().filter { $0 != "help" })
        default: break
        }
        if let second = words.dropFirst().first, ["--help", "-h"].contains(second),
            Commands.all.contains(where: { $0.name.hasPrefix(first + " ") })
        {
            return try help([first])
        }
        let (spec, rest) = try Self.find(words)
        if rest.contains("--help") || rest.contains("-h") {
            try Help.command(spec)
            return 0
        }
        var arguments = try ParsedArguments(leading + rest, spec)
        try arguments.checkCount()
        let data = try Self.dataFolder(arguments)
        arguments.settings = try Settings(Commands.settings, in: data)
        let command = try spec.make(arguments)
        let context = try context(arguments, data)
        try arguments.checkViews(context)
        if command.stopsGently { Interrupt.stopGently() }
        if isProcess { Restart.allow(always: command.restarts) }
        return try command.run(context)
    }

    /// The options before the command's name, which all commands take, and the other words.
    private static func leadingOptions(
        _ words: ArraySlice<String>
    ) throws(KappaError) -> (options: ArraySlice<String>, rest: ArraySlice<String>) {
        var rest = words
        while let word = rest.first {
            let name = word.prefix { $0 != "=" }
            guard let option = OptionSpec.common.first(where: { $0.name == name }),
                let wanted = option.value
            else { break }
            if name == word, rest.count == 1 {
                throw ParsedArguments.lacksValue(word, wanted)
            }
            rest = rest.dropFirst(name == word ? 2 : 1)
        }
        return (words[..<rest.startIndex], rest)
    }

    private static func dataFolder(_ arguments: ParsedArguments) throws(KappaError) -> DataFolder {
        let variable = OptionSpec.common.first.flatMap(Settings.variable)
        var path = arguments.string("--data") ?? variable?.value ?? ".kappa"
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        try DataFolder.checkName(path)
        return DataFolder(path)
    }

    private func context(
        _ arguments: ParsedArguments, _ data: DataFolder
    ) throws(KappaError) -> Context {
        let name = "--format"
        let text = arguments.string(name) ?? RecordFormat.text.rawValue
        guard let format = RecordFormat(rawValue: text) else {
            throw arguments.refusal(
                name, text, because: "formats are text, json and csv", example: "json")
        }
        return Context(data: data, views: views, connectors: connectors, format: format)
    }

    /// The command that the words begin with, and what follows it.
    static func find(
        _ words: ArraySlice<String>
    ) throws(KappaError) -> (CommandSpec, ArraySlice<String>) {
        let two = words.prefix(2).joined(separator: " ")
        if let spec = Commands.all.first(where: { $0.name == two }) {
            return (spec, words.dropFirst(2))
        }
        let one = words.first ?? ""
        if let spec = Commands.all.first(where: { $0.name == one }) {
            return (spec, words.dropFirst())
        }
        let family = Commands.all.filter { $0.name.hasPrefix(one + " ") }
        if !family.isEmpty, words.count > 1, !two.contains(" -") {
            throw KappaError(
                .usage, "there is no command \(two)",
                because: Spelling.nearest(two, among: family.map(\.name)).map {
                    "did you mean \($0)?"
                } ?? "there are " + family.map(\.name).joined(separator: ", "),
                advice: "`kappa help` lists the commands")
        }
        if !family.isEmpty {
            throw KappaError(
                .usage, "kappa \(one) needs a second word",
                because: "there are " + family.map(\.name).joined(separator: ", "),
                advice: "`kappa help \(family[0].name)` explains the first of them")
        }
        let names = Commands.shown.map(\.name) + ["help"]
        throw KappaError(
            .usage, "there is no command \(one)",
            because: Spelling.nearest(one, among: names).map { "did you mean \($0)?" },
            advice: "`kappa help` lists the commands")
    }

    private func help(_ words: [String]) throws -> Int32 {
        let family = Commands.shown.filter { words.count == 1 && $0.name.hasPrefix(words[0] + " ") }
        if words.isEmpty {
            try Help.overview()
        } else if !family.isEmpty {
            try Help.family(family)
        } else {
            try Help.command(try Self.find(words[...]).0)
        }
        return 0
    }

    static func print(_ text: String) throws -> Int32 {
        let output = Output()
        try output.write(text + "\n")
        try output.flush()
        return 0
    }
}

extension KappaError.Code {
    /// The exit code, as in sysexits.
    package var exitCode: Int32 {
        switch self {
        case .refused: 1
        case .usage: 64
        case .badInput: 65
        case .notFound: 66
        case .unreachable: 69
        case .bug: 70
        case .cannotCreate: 73
        case .inputOutput, .damaged: 74
        case .heldElsewhere: 75
        case .notPermitted: 77
        }
    }
}
