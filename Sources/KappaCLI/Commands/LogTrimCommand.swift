import KappaCore

/// `kappa log trim`: removes whole segments from the log's front.
struct LogTrimCommand: Command {
    static let spec = CommandSpec(
        name: "log trim", summary: "removes old events, in whole segments",
        discussion: """
            Removes the segments that only have events before an offset, or that were appended before a
            time. Versions keep their rows, and imports still skip what the log had; but a version that
            is built later begins at the log's first offset. The segment that is written to stays: `kappa
            log seal` begins a new one.
            """,
        options: [
            OptionSpec(
                name: "--before", value: "OFFSET|TIME",
                summary: "the first event to keep; a time is in RFC 3339, or an age such as 400d")
        ],
        make: { try LogTrimCommand($0) })

    private enum Point {
        case offset(Offset)
        case micros(Int64)
    }
    private let before: Point

    init(_ arguments: ParsedArguments) throws(KappaError) {
        guard let text = arguments.string("--before") else {
            throw KappaError(
                .usage, "log trim needs --before", because: "it names the first event to keep",
                advice: "Write --before 1000000, --before 2026-01-01T00:00:00Z or --before 400d")
        }
        if let offset = Offset(parsing: text) {
            before = .offset(offset)
        } else if let time = Timestamp(text) {
            before = .micros(time.microseconds)
        } else if let age = LogRetention.age(text) {
            before = .micros(SystemClock.wallMicroseconds() - age)
        } else {
            throw arguments.refusal(
                "--before", text,
                because:
                    "it takes an offset, a time in RFC 3339, or an age in days, hours, minutes or seconds",
                example: "400d")
        }
    }

    func run(_ context: Context) throws -> Int32 {
        try context.data.require()
        let trim = LogTrim(context.data)
        let first =
            switch before {
            case .offset(let offset): try trim.trim(before: offset)
            case .micros(let time): try trim.trim(beforeMicros: time)
            }
        let printer = RecordPrinter(["first_offset"], context.format, Output())
        try printer.print([.integer(Int64(first.rawValue))])
        try printer.finish()
        if case .offset(let offset) = before, first < offset {
            Output.say(
                "kappa: the segment that holds the event before offset \(offset) begins at \(first), and "
                    + "stays whole")
        }
        return 0
    }
}
