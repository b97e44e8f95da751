import Glibc
import KappaCore

/// `kappa status`: lists every version.
struct StatusCommand: Command {
    static let spec = CommandSpec(
        name: "status", summary: "every version: state, position, lag, rows",
        arguments: [ArgumentSpec(name: "VIEW[@N]", isRequired: false, isView: true)],
        options: [OptionSpec(name: "--watch", summary: "shows it again every second")],
        make: { (arguments) throws(KappaError) in
            StatusCommand(
                reference: try arguments.positional.first.map { (text) throws(KappaError) in
                    try VersionReference(text)
                }, watches: arguments.has("--watch"))
        })

    var stopsGently: Bool { true }
    let reference: VersionReference?
    let watches: Bool

    static let columns = [
        "view", "version", "state", "live", "digest", "position", "log_end", "lag", "applied",
        "late", "dead", "rows", "bytes", "events_per_second", "eta_seconds", "state_rows",
        "state_bytes", "reason",
    ]

    static func cells(_ status: VersionStatus) -> [Value] {
        [
            .text(status.id.view), .integer(Int64(status.id.number.rawValue)),
            .text(status.state.rawValue), .bool(status.isLive), .text(status.digest),
            .integer(Int64(status.position.rawValue)), .integer(Int64(status.logEnd.rawValue)),
            .integer(Int64(status.lag)), .integer(Int64(status.counters.applied)),
            .integer(Int64(status.counters.late)), .integer(Int64(status.counters.dead)),
            .integer(Int64(status.rows)), .integer(Int64(status.bytes)),
            .integer(Int64(status.eventsPerSecond)),
            status.etaSeconds.map { .integer(Int64($0)) } ?? .null,
            .integer(Int64(status.stateRows)),
            status.stateBytes.map { .integer(Int64($0)) } ?? .null,
            status.reason.map { .text($0) } ?? .null,
        ]
    }

    /// The columns for people, which fit on a terminal.
    private static let shortColumns = [
        "version", "state", "position", "lag", "rows", "late", "dead", "size", "rate", "to go",
    ]

    private static func shortCells(_ status: VersionStatus) -> [Value] {
        let isWorking = status.eventsPerSecond > 0
        let time = status.lag <= 0 ? nil : status.etaSeconds.map { Double($0) }
        return [
            .text("\(status.id)"), .text(status.state.rawValue),
            .integer(Int64(status.position.rawValue)), .integer(Int64(status.lag)),
            .integer(Int64(status.rows)), .integer(Int64(status.counters.late)),
            .integer(Int64(status.counters.dead)), .text(ProgressLine.size(status.bytes)),
            isWorking ? .text(ProgressLine.short(Double(status.eventsPerSecond)) + "/s") : .null,
            time.map { .text(ProgressLine.duration($0)) } ?? .null,
        ]
    }

    /// Prints versions: with all columns for programs, with those that fit on a terminal for people.
    static func print(
        _ statuses: [VersionStatus], _ format: RecordFormat, _ output: Output
    ) throws {
        let isShort = format == .text
        let printer = RecordPrinter(isShort ? shortColumns : columns, format, output)
        for status in statuses {
            try printer.print(isShort ? shortCells(status) : cells(status))
        }
        try printer.finish()
        for status in statuses where isShort {
            if let reason = status.reason {
                Output.say("\(status.id): \(SafeText.line(reason))")
            }
        }
    }

    /// Prints a line for each internal table in which versions keep state besides their rows.
    private static func printHeld(_ statuses: [VersionStatus], _ output: Output) throws {
        for status in statuses {
            for held in status.sizes.held {
                let bytes = held.bytes.map { ", \(ProgressLine.size($0))" } ?? ""
                try output.write(
                    "\(status.id) holds \(held.rows) \(held.what.rawValue)\(bytes)\n")
            }
        }
        try output.flush()
    }

    func run(_ context: Context) throws -> Int32 {
        try context.data.require()
        let catalog = try Catalog(context.data)
        // Before anything is printed: the code of a view's types may crash, and the command then starts
        // again.
        let invalid = reference?.number == nil ? context.views.workedOut().invalid : []
        if let reference {
            do throws(KappaError) { _ = try catalog.resolve(reference) } catch {
                throw invalid.first { $0.name == reference.view }?.error ?? error
            }
        }
        let cache = VersionSizesCache()
        repeat {
            let output = Output()
            if watches { try output.clearScreen() }
            let statuses = try VersionStatus.all(catalog, view: reference?.view, cache: cache)
                .filter { reference?.number == nil || $0.id.number == reference?.number }
            try Self.print(statuses, context.format, output)
            InvalidViews.say(invalid, only: reference?.view)
            if statuses.isEmpty, context.format == .text {
                Output.say("no versions yet; `kappa run` or `kappa rebuild VIEW` builds some")
            }
            if context.format == .text { try Self.printHeld(statuses, output) }
            for _ in 0..<20 where watches && !Interrupt.wasAsked { Pause.forALook() }
        } while watches && !Interrupt.wasAsked
        return 0
    }
}
