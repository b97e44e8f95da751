import Glibc
import KappaCLI
import KappaCore

/// `kappa-bench nexmark`: runs Nexmark's queries over a file of its events.
struct NexmarkRun {
    private let events: String
    private let folder: String
    private let queries: [NexmarkQuery]
    /// The data folder of the run, inside of `folder`.
    private let log: DataFolder

    static let help = """
        kappa-bench nexmark --events FILE.ndjson --out FOLDER [OPTIONS]

        Appends the events to a new log in FOLDER, builds a view for each query, and writes
        FOLDER/qN.csv. Prints events/s, processor time and peak memory of each query. The figures begin
        with the finished log and end when the view's rows are durable.

          --events FILE.ndjson   from `kappa-bench nexmark-generate`, or others of the same shape
          --out FOLDER           where the results go, and the log while it is needed
          --queries q1,q5        only these (all)
          --lateness SECONDS     how late an event may be for a window (no limit)
        """

    init(_ words: ArraySlice<String>) throws(KappaError) {
        let arguments = try BenchArguments(
            words, ["--events", "--out", "--queries", "--lateness"], help: Self.help)
        guard let events = arguments.text("--events"), let folder = arguments.text("--out") else {
            throw arguments.usage("--events and --out are needed")
        }
        self.events = events
        self.folder = folder
        log = DataFolder(folder + "/nexmark-log")
        let all = NexmarkQuery.all(lateness: try arguments.seconds("--lateness").map(Self.span))
        queries = try (arguments.list("--queries") ?? all.map(\.name)).map {
            name throws(KappaError) in
            guard let query = all.first(where: { $0.name == name }) else {
                throw arguments.usage(
                    "there is no query \(name), only \(all.map(\.name).joined(separator: ", "))")
            }
            return query
        }
    }

    private static func span(_ seconds: Double) -> Duration { .microseconds(Int64(seconds * 1e6)) }

    func run() throws {
        let count = try append()
        print(
            Self.line(
                ["query", "rows", "k events/s", "seconds", "cpu seconds", "peak MiB"]))
        for query in queries {
            // Each query is a separate process, so that memory and processor time are its own.
            let lateness = query.latenessSeconds.map { "\($0)" } ?? "-"
            Folder.remove(log.path + "/views")
            let child = try BenchProcess(
                ["nexmark-query", query.name, folder, "\(count)", lateness])
            guard let figures = child.finish().flatMap({ Figures(json: $0) }) else {
                throw KappaError(.bug, "query \(query.name) failed", at: folder)
            }
            print(
                Self.line([
                    query.name, "\(figures.rows)", "\(Int(figures.eventsPerSecond / 1_000))",
                    Self.rounded(figures.seconds), Self.rounded(figures.processorSeconds),
                    "\(figures.peakMiB)",
                ]))
        }
        Folder.remove(log.path)
    }

    private static func line(_ cells: [String]) -> String {
        cells.map { String(repeating: " ", count: max(0, 12 - $0.count)) + $0 }.joined()
    }

    private static func rounded(_ number: Double) -> String {
        let hundredths = Int((number * 100).rounded())
        let rest = hundredths % 100
        return "\(hundredths / 100)." + (rest < 10 ? "0" : "") + "\(rest)"
    }

    private func append() throws -> Int {
        let file = open(events, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            throw KappaError(
                .notFound, "cannot open the events", at: events,
                because: String(cString: strerror(errno)), advice: "Check the name")
        }
        defer { close(file) }
        Folder.remove(log.path)
        try Folder.make(log.path)
        let writer = try LogWriter(log.log)
        var source = try SourceImport(writer, source: "nexmark")
        try source.run(file, name: events)
        try source.finish()
        return source.result.appended
    }

    /// The child's work, with the arguments `QUERY FOLDER EVENTS LATENESS`. An existing version continues
    /// from its checkpoint.
    static func query(_ words: ArraySlice<String>) throws {
        let words = Array(words)
        guard words.count == 4, let events = Int(words[2]) else {
            throw KappaError(.usage, "nexmark-query is for kappa-bench itself")
        }
        let all = NexmarkQuery.all(lateness: Double(words[3]).map(span))
        guard let query = all.first(where: { $0.name == words[0] })
        else { throw KappaError(.usage, "there is no query \(words[0])") }
        let data = DataFolder(words[1] + "/nexmark-log")
        var file = ""
        let figures = try Figures.of(events: events) {
            var options = ViewRunner.Options()
            options.follows = false
            try ViewRunner(data, ViewSet([query.view]), options: options).run()
            guard let entry = try Catalog(data).entries().last(where: { $0.id.view == query.name })
            else { throw KappaError(.bug, "query \(query.name) made no version") }
            file = data.file(entry.id)
            return try VersionReader(file).rowCount(table: 0)
        }
        let reader = try VersionReader(file)
        try reportLosses(query, reader)
        try NexmarkResult(query).write(reader, to: words[1] + "/\(query.name).csv")
        print(figures.json)
    }

    /// Reports events that are not in the result.
    private static func reportLosses(_ query: NexmarkQuery, _ reader: VersionReader) throws {
        let counters = try reader.checkpoint().counters
        if counters.late > 0 {
            BenchProgram.say("\(query.name): \(counters.late) events were late")
        }
        guard counters.dead > 0 else { return }
        var first: String?
        try reader.deadLetters { first = first ?? $0.reason }
        BenchProgram.say(
            "\(query.name): \(counters.dead) events could not be taken, the first because "
                + (first ?? "?"))
    }
}
