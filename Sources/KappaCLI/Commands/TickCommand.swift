import KappaCore

/// `kappa tick`: appends a recorded tick.
struct TickCommand: Command {
    static let spec = CommandSpec(
        name: "tick", summary: "moves stream time, so that windows close although no events come",
        discussion: """
            Appends an event that has no other effect than its time: stream time reaches it at least, in
            the time partition of a source, or in all. It is a part of the log, so a replay has it too.
            Events that come later and are older may be late. See `kappa append --time-partition`.
            """,
        options: [
            OptionSpec(
                name: "--time", value: "TIME", summary: "a time in RFC 3339, or now"),
            OptionSpec(
                name: "--source", value: "NAME",
                summary: "the time partition of this source; without it, all"),
        ],
        make: { try TickCommand($0) })

    private let time: Int64
    private let source: String?

    init(_ arguments: ParsedArguments) throws(KappaError) {
        guard let text = arguments.string("--time") else {
            throw KappaError(
                .usage, "tick needs --time", because: "that is what stream time reaches",
                advice: "Write --time now, or --time 2026-07-01T12:00:00Z")
        }
        if text == "now" {
            time = SystemClock.wallMicroseconds()
        } else if let parsed = Timestamp(text) {
            time = parsed.microseconds
        } else {
            throw arguments.refusal(
                "--time", text, because: "it takes a time in RFC 3339, or now",
                example: "2026-07-01T12:00:00Z")
        }
        source = arguments.string("--source")
    }

    func run(_ context: Context) throws -> Int32 {
        try context.data.require()
        try LogLoss.check(context.data)
        let writer = try LogWriter(context.data.log)
        for warning in writer.warnings { Output.say("kappa: \(warning)") }
        let offset = try writer.append(.time(time, source: source)).firstOffset
        let printer = RecordPrinter(["offset"], context.format, Output())
        try printer.print([.integer(Int64(offset.rawValue))])
        try printer.finish()
        return 0
    }
}
