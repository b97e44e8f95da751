import KappaCore

/// `kappa log read`: prints events as they were appended.
struct LogReadCommand: Command {
    static let spec = CommandSpec(
        name: "log read", summary: "prints events as they were appended",
        discussion: """
            As text, only the events, so that the output can be appended to another log. As json, each
            event with its offset and the time at which it was appended; of an erased event, null. A
            tick has no event either, but a time, and its time partition unless it is for all.
            """,
        options: [
            OptionSpec(name: "--from", value: "OFFSET", summary: "begins here"),
            OptionSpec(name: "--limit", value: "N", summary: "ends after N events"),
            OptionSpec(name: "--follow", summary: "waits for more at the end"),
        ],
        make: { try LogReadCommand($0) })

    var stopsGently: Bool { true }
    private let from: Offset?
    private let limit: Int?
    private let follows: Bool

    init(_ arguments: ParsedArguments) throws(KappaError) {
        from = try arguments.offset("--from")
        limit = try arguments.integer("--limit")
        follows = arguments.has("--follow")
    }

    func run(_ context: Context) throws -> Int32 {
        try context.data.require()
        if let from { try context.data.requireLog(reaches: from) }
        let reader = try LogReader(context.data.log, countsEvents: true)
        if let from { try reader.seek(to: from) }
        let watcher = follows ? try LogWatcher(context.data.log) : nil
        if let watcher { Interrupt.onStop { watcher.cancel() } }
        let output = Output()
        let printer = RecordPrinter(
            ["offset", "ingested_at", "event", "tick", "partition"], context.format, output)
        let buffer = BlockBuffer()
        var left = limit ?? .max
        while left > 0, !Interrupt.wasAsked {
            guard let block = try reader.next(into: buffer) else {
                try printer.flush()
                guard let watcher else { break }
                try watcher.wait(past: reader.offset)
                continue
            }
            try block.forEachEvent { event in
                if context.format != .text {
                    try printer.print(Self.cells(event))
                } else if let json = event.json {
                    try output.write(json)
                    try output.write("\n")
                } else {
                    // As text, the lines are events that can be appended to another log.
                    return !Interrupt.wasAsked
                }
                left -= 1
                return left > 0 && !Interrupt.wasAsked
            }
        }
        if context.format == .text { try output.flush() } else { try printer.finish() }
        return 0
    }

    private static func cells(_ event: LoggedEvent) -> [Value] {
        let time = event.run.tick.map(\.timeMicros).flatMap { $0 == .min ? nil : $0 }
        return [
            .integer(Int64(event.offset.rawValue)),
            .timestamp(Timestamp(microseconds: event.run.ingestedAtMicros)),
            event.json.map { .json(String(decoding: $0, as: UTF8.self)) } ?? .null,
            time.map { .timestamp(Timestamp(microseconds: $0)) } ?? .null,
            event.run.partition.map { .text($0) } ?? .null,
        ]
    }
}
