import Glibc
import KappaCore

/// `kappa pull`: reads a source into the log, each event once.
struct PullCommand: Command {
    static let spec = CommandSpec(
        name: "pull", summary: "reads a file that grows, or another log, into the log, once",
        discussion: """
            SOURCE is a file, the data folder of another kappa, - for standard input, or a URL of a
            connector. Pulled again, it goes on where the log's events of the source end, also after a
            crash. Rotated files are followed. Without --follow, it ends where the source ends now.
            """,
        arguments: [ArgumentSpec(name: "SOURCE")],
        options: [
            OptionSpec(name: "--follow", summary: "waits for more at the end"),
            OptionSpec(
                name: "--source", value: "NAME",
                summary: "names the source in the log; by default, the name of the file or folder"),
            OptionSpec(
                name: "--time-partition",
                summary: "judges lateness in each of its partitions by itself, from now on"
            ),
            OptionSpec(
                name: "--tick-after", value: "SECONDS",
                summary:
                    "with both: ticks partitions that are silent for so long"),
            OptionSpec(
                name: "--batch", value: "N", summary: "at most N events for each fsync"),
        ],
        make: { try PullCommand($0) })

    var stopsGently: Bool { true }
    private let place: String
    private let name: String?
    private let follows: Bool
    private let isTimePartition: Bool
    private let tickAfter: Duration?
    private let batch: Int

    init(_ arguments: ParsedArguments) throws(KappaError) {
        place = arguments.positional[0]
        name = arguments.string("--source")
        follows = arguments.has("--follow")
        isTimePartition = arguments.has("--time-partition")
        tickAfter = try arguments.integer("--tick-after", least: 1, most: 1 << 31).map {
            .seconds($0)
        }
        if tickAfter != nil, !isTimePartition || !follows {
            throw KappaError(
                .usage, "--tick-after needs --follow and --time-partition",
                because:
                    "it closes the windows of partitions that are silent while they are followed",
                advice: "Write both, or append a tick by hand: kappa tick")
        }
        batch = try arguments.integer("--batch", least: 1) ?? .max
    }

    func run(_ context: Context) throws -> Int32 {
        let opener = SourceOpener(
            place: place, name: name, follows: follows, connectors: context.connectors)
        let source = try opener.source()
        defer { source.close() }
        try LogLoss.check(context.data)
        let writer = try LogWriter(context.data.log)
        for warning in writer.warnings { Output.say("kappa: \(warning)") }
        var pull = try SourcePull(
            source, into: writer, following: follows, asTimePartitions: isTimePartition,
            tickAfter: tickAfter,
            batchEvents: batch)
        for notice in pull.notices { Output.say("kappa: \(notice)") }
        let progress = ProgressLine("pull")
        defer { progress.clear() }
        do {
            try pull.run { pull in
                if pull.appended > 0 { progress.show(pull.appended, of: 0) }
                return !Interrupt.wasAsked
            } observer: { notice in
                progress.clear()
                Output.say("kappa: \(notice)")
            }
        } catch {
            progress.clear()
            throw Self.sayingWhatIsDurable(error, pull.appended)
        }
        progress.clear()
        try print(pull.results(), context)
        if Interrupt.wasAsked {
            Output.say("kappa: stopped; what is counted above is durable")
            return Interrupt.exitCode
        }
        return 0
    }

    private static func sayingWhatIsDurable(
        _ error: any Error, _ appended: Int
    ) -> any Error {
        guard var error = error as? KappaError, appended > 0 else { return error }
        let count = "\(ProgressLine.grouped(appended)) \(appended == 1 ? "event" : "events")"
        error.reason =
            (error.reason.map { "\($0); " } ?? "")
            + "\(count) before it \(appended == 1 ? "was" : "were") appended"
        if error.code == .badInput {
            error.advice = "Correct the line. Pull again: it goes on there"
        }
        return error
    }

    private func print(_ results: [SourcePull.Result], _ context: Context) throws {
        let printer = RecordPrinter(
            ["source", "position", "appended", "dead", "lag"], context.format, Output())
        for result in results {
            try printer.print([
                .text(result.source), .integer(Int64(clamping: result.position)),
                .integer(Int64(result.appended)), .integer(0),
                result.lag.map { .integer(Int64(clamping: $0)) } ?? .null,
            ])
        }
        try printer.finish()
    }
}

/// Makes the source that an argument names.
private struct SourceOpener {
    let place: String
    let name: String?
    let follows: Bool
    let connectors: [any Connector]

    func source() throws(KappaError) -> any EventSource {
        if place == "-" { return try standardInput() }
        if let connector = try connector() { return try connector.source(place, named: name) }
        var status = stat()
        guard stat(place, &status) == 0 else { return try missing(errno) }
        switch status.st_mode & S_IFMT {
        case S_IFDIR:
            let data = DataFolder(place)
            guard access(data.log, F_OK) == 0 else {
                throw KappaError(
                    .notFound, "there is no log in the folder", at: place,
                    because: "a folder that is pulled is another kappa's data folder",
                    advice: "Name a data folder, or one of its files")
            }
            return LogSource(data.log, name: try fileName())
        case S_IFREG: return FileSource(place, name: try fileName())
        default: return try pipe(place)
        }
    }

    private func standardInput() throws(KappaError) -> any EventSource {
        guard Output.hadStandardInput else {
            throw KappaError(
                .usage, "cannot read standard input", because: "it is closed",
                advice: "Name a file, or give events as standard input")
        }
        return InputSource(0, name: try namedInput())
    }

    /// A pipe has a name that means nothing.
    private func pipe(_ path: String) throws(KappaError) -> any EventSource {
        let name = try namedInput()
        return InputSource(try InputFile.open(path), name: name, origin: path)
    }

    private func namedInput() throws(KappaError) -> String {
        if let name { return name }
        throw KappaError(
            .usage, "a pipe needs a name",
            because: "the log keeps how far it was read, by its name",
            advice: "Write --source NAME")
    }

    private func missing(_ number: Int32) throws(KappaError) -> any EventSource {
        if IOFailure.isAbsence(number), follows {
            return FileSource(place, name: try fileName())
        }
        var error = IOFailure("stat", number).error(naming: "cannot open a source", at: place)
        if error.code == .notFound {
            error.advice = "Check the name; with --follow, kappa waits until the file is there"
        }
        throw error
    }

    /// The connector whose scheme the argument begins with.
    private func connector() throws(KappaError) -> (any SourceConnector)? {
        let parts = place.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, access(place, F_OK) != 0,
            parts[0].wholeMatch(of: #/[a-z][a-z0-9+.\-]*/#) != nil
        else { return nil }
        let sources = connectors.compactMap { $0 as? any SourceConnector }
        if let found = sources.first(where: { $0.scheme == parts[0] }) { return found }
        let usages = ["a file", "a data folder", "-"] + sources.map(\.usage)
        throw KappaError(
            .usage, "this program cannot pull from \(parts[0]):", at: place,
            because: "it pulls from \(usages.joined(separator: ", "))",
            advice: "A connector is added where the program begins: Kappa.main(views: …, "
                + "connectors: […]). For a file of that name, write ./\(place)")
    }

    /// What `--source` says, or the name of the file or folder.
    private func fileName() throws(KappaError) -> String {
        if let name { return name }
        let last = place.split(separator: "/").last.map(String.init) ?? place
        do { try SourceBatch.check(name: last) } catch {
            var error = error
            error.place = place
            throw error
        }
        return last
    }
}
