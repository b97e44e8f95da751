import Glibc
import KappaCore

/// `kappa append`: appends NDJSON from files or standard input to the log.
struct AppendCommand: Command {
    static let spec = CommandSpec(
        name: "append", summary: "appends NDJSON events to the log",
        discussion: """
            Reads files, or standard input if none is named (or if - is), one JSON object a line.
            When it ends with 0, every event is on disk. With --source, an import can be repeated:
            events that the log already has from this source are compared with it, and skipped.
            """,
        arguments: [ArgumentSpec(name: "FILE", isRequired: false, repeats: true)],
        options: [
            OptionSpec(
                name: "--source", value: "NAME",
                summary: "names the input, so that the import can be repeated"),
            OptionSpec(
                name: "--time-partition",
                summary:
                    "judges lateness in this source by itself, from now on"),
            OptionSpec(
                name: "--batch", value: "N", summary: "at most N events for each fsync"),
        ],
        make: { try AppendCommand($0) })

    var stopsGently: Bool { true }
    private let files: [String]
    private let source: String?
    private let isTimePartition: Bool
    private let batch: Int

    init(_ arguments: ParsedArguments) throws(KappaError) {
        files = arguments.positional.isEmpty ? ["-"] : arguments.positional
        source = arguments.string("--source")
        isTimePartition = arguments.has("--time-partition")
        if isTimePartition, source == nil {
            throw KappaError(
                .usage, "--time-partition needs --source",
                because: "a time partition is named after its source",
                advice: "Write --source NAME --time-partition")
        }
        batch = try arguments.integer("--batch", least: 1) ?? .max
    }

    func run(_ context: Context) throws -> Int32 {
        // A name that is wrong is refused before anything is appended.
        let inputs = try files.map { (name: $0, pipe: try Self.pipe($0)) }
        let isTyped = isatty(0) == 1 && files == ["-"]
        if isTyped, Output.errorIsTerminal {
            Output.say("kappa: reading events from the terminal, one a line; Ctrl-D ends")
        }
        try LogLoss.check(context.data)
        let writer = try LogWriter(context.data.log)
        for warning in writer.warnings { Output.say("kappa: \(warning)") }
        var source = try SourceImport(writer, source: source, batchEvents: batch)
        if let notice = source.notice { Output.say("kappa: \(notice)") }
        if isTimePartition, let name = self.source { _ = try writer.append(.declaration(name)) }
        let progress = ProgressLine("append")
        defer { progress.clear() }
        do {
            for input in inputs where !Interrupt.wasAsked {
                let descriptor = try input.pipe ?? InputFile.open(input.name)
                defer { if descriptor != 0 { close(descriptor) } }
                let name = input.name == "-" ? "standard input" : input.name
                try source.run(descriptor, name: name) { result in
                    if result.appended > 0, !isTyped { progress.show(result.appended, of: 0) }
                    return !Interrupt.wasAsked
                }
            }
            if !Interrupt.wasAsked { try source.finish() }
        } catch {
            progress.clear()
            // Another file is not cured by running the import again.
            if source.isRefused { throw error }
            throw Self.sayingWhatIsDurable(error, source.result, hasSource: self.source != nil)
        }
        let total = source.result
        progress.clear()
        let end = try LogReader(context.data.log).durableEnd()
        do { try print(total, end, context) } catch var error as KappaError {
            let count = ProgressLine.grouped(total.appended)
            error.reason =
                (error.reason.map { "\($0); " } ?? "")
                + "\(count) \(total.appended == 1 ? "event is" : "events are") durable"
            error.advice = "Only this report could not be written: do not append the events again"
            throw error
        }
        if Interrupt.wasAsked {
            Output.say("kappa: stopped; what is counted above is durable")
            return Interrupt.exitCode
        }
        return 0
    }

    /// Adds to the error of an import that failed midway which part of it is already in the log, so that a
    /// second run does not append that part twice.
    private static func sayingWhatIsDurable(
        _ error: any Error, _ total: SourceImport.Result, hasSource: Bool
    ) -> any Error {
        guard var error = error as? KappaError, total.appended > 0 else { return error }
        let isOne = total.appended == 1
        let events = "\(ProgressLine.grouped(total.appended)) \(isOne ? "event" : "events")"
        let first = total.firstOffset.map { " from offset \($0)" } ?? ""
        error.reason =
            (error.reason.map { "\($0); " } ?? "")
            + "\(events) before it \(isOne ? "was" : "were") appended\(first)"
        let cure = error.code == .badInput ? "Correct the line" : error.advice ?? "Try again"
        error.advice =
            hasSource
            ? "\(cure). Run the import again: it skips what is already in the log"
            : "\(cure). Append only what comes after \(isOne ? "that event" : "those \(events)"): without "
                + "--source nothing is skipped"
        return error
    }

    /// Opens what can be opened only once. A file is opened again when it is its turn: there may be more of
    /// them than a process may have open.
    private static func pipe(_ name: String) throws(KappaError) -> Int32? {
        if name != "-" {
            let descriptor = try InputFile.open(name)
            guard InputFile.isFile(descriptor) else { return descriptor }
            close(descriptor)
            return nil
        }
        if Output.hadStandardInput { return 0 }
        throw KappaError(
            .usage, "cannot read standard input", because: "it is closed",
            advice: "Name files, or give events as standard input")
    }

    private func print(
        _ total: SourceImport.Result, _ end: Offset, _ context: Context
    ) throws {
        if context.format == .text {
            let noun = total.appended == 1 ? "event" : "events"
            var line = "appended \(ProgressLine.grouped(total.appended)) \(noun)"
            if let first = total.firstOffset { line += " from offset \(first)" }
            if total.skipped > 0 {
                line += "; skipped \(ProgressLine.grouped(total.skipped)) that the log had already"
            }
            _ = try Program.print(line + "; the log ends at offset \(end)")
            return
        }
        let printer = RecordPrinter(
            ["appended", "first_offset", "next_offset", "skipped"], context.format, Output())
        try printer.print([
            .integer(Int64(total.appended)),
            total.firstOffset.map { .integer(Int64($0.rawValue)) } ?? .null,
            .integer(Int64(end.rawValue)), .integer(Int64(total.skipped)),
        ])
        try printer.finish()
    }
}
