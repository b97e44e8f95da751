import Glibc
import KappaCore

/// `kappa generate user-events`: the course's producer, with a seed.
struct GenerateCommand: Command {
    static let spec = CommandSpec(
        name: "generate user-events", summary: "made-up user events: the same seed, the same bytes",
        discussion: """
            Writes NDJSON to standard output: `kappa generate user-events --count 100000 | kappa
            append`. --rate limits the pace; with --rate and without --count it never ends.
            """,
        options: [
            OptionSpec(
                name: "--count", value: "N", summary: "how many events", defaultValue: "1000"),
            OptionSpec(name: "--users", value: "N", summary: "how many users", defaultValue: "100"),
            OptionSpec(name: "--rate", value: "R", summary: "events a second"),
            OptionSpec(
                name: "--seed", value: "S", summary: "the seed: another one, other events",
                defaultValue: "1"),
            OptionSpec(
                name: "--disorder", value: "SECONDS",
                summary: "how far event times may be out of order", defaultValue: "0"),
        ],
        make: { try GenerateCommand($0) })

    var stopsGently: Bool { true }
    private let count: Int
    private let rate: Int?
    private var generator: UserEventGenerator

    init(_ arguments: ParsedArguments) throws(KappaError) {
        rate = try arguments.integer("--rate", least: 1)
        count = try arguments.integer("--count") ?? (rate == nil ? 1_000 : .max)
        generator = UserEventGenerator(
            seed: UInt64(try arguments.integer("--seed") ?? 1),
            users: try arguments.integer("--users", least: 1) ?? 100,
            disorderSeconds: try arguments.integer("--disorder", most: Self.mostDisorder) ?? 0)
    }

    /// A hundred years, so that RFC 3339 can express all event times.
    private static let mostDisorder = 100 * 366 * 86_400

    func run(_ context: Context) throws -> Int32 {
        var generator = generator
        let output = Output()
        var left = count
        let start = SystemClock.monotonicSeconds()
        var sent = 0
        while left > 0, !Interrupt.wasAsked {
            var piece = min(left, 4_096)
            if let rate {
                // A double may be too large for an integer, so compare before converting.
                let due = (SystemClock.monotonicSeconds() - start) * Double(rate) + 1 - Double(sent)
                if due < 1 {
                    usleep(1_000)
                    continue
                }
                if due < Double(piece) { piece = Int(due) }
            }
            var bytes: [UInt8] = []
            generator.append(piece, to: &bytes)
            try bytes.withUnsafeBytes { try output.write($0) }
            if rate != nil { try output.flush() }
            left -= piece
            sent += piece
        }
        try output.flush()
        return 0
    }
}
