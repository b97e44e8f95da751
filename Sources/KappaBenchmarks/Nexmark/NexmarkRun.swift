import Glibc
import KappaCLI
import KappaCore

/// Runs Nexmark's queries over a file of its events: `kappa-bench nexmark`.
struct NexmarkRun {
    private let events: String
    private let folder: String
    private let queries: [NexmarkQuery]
    /// A path of the log of an earlier run over the same file, where it is there.
    private let log: DataFolder

    static let help = """
        kappa-bench nexmark --events FILE.ndjson --out FOLDER [--queries q1,q5] [--lateness SECONDS]

        Appends the events to a fresh log in FOLDER, builds a view for each query, and writes
        FOLDER/qN.csv. Prints events/s, processor time and peak memory of each query: the log is there
        already, and the view's rows are durable at the end.
        """

    init(_ words: ArraySlice<String>) throws(KappaError) {
        var events: String?
        var folder: String?
        var names: [String]?
        var lateness: Duration?
        var rest = words
        while let name = rest.popFirst() {
            guard let value = rest.popFirst() else { throw Self.usage("\(name) lacks its value") }
            switch name {
            case "--events": events = value
            case "--out": folder = value
            case "--queries": names = value.split(separator: ",").map(String.init)
            case "--lateness":
                guard let seconds = Double(value), seconds >= 0 else {
                    throw Self.usage("--lateness takes a number of seconds, not \(value)")
                }
                lateness = .microseconds(Int64(seconds * 1e6))
            default: throw Self.usage("there is no option \(name)")
            }
        }
        guard let events, let folder else { throw Self.usage("--events and --out are needed") }
        self.events = events
        self.folder = folder
        log = DataFolder(folder + "/nexmark-log")
        let all = NexmarkQuery.all(lateness: lateness)
        queries = try (names ?? all.map(\.name)).map { name throws(KappaError) in
            guard let query = all.first(where: { $0.name == name }) else {
                throw Self.usage("there is no query \(name)")
            }
            return query
        }
    }

    private static func usage(_ what: String) -> KappaError {
        KappaError(.usage, what, advice: help)
    }

    func run() throws {
        try DataFolder.make(folder)
        let count = try append()
        print(
            Self.line(
                ["query", "rows", "k events/s", "seconds", "cpu seconds", "peak MiB"]))
        for query in queries {
            // Each query is a process of its own, so that memory and processor time are its own.
            let lateness = query.latenessSeconds.map { "\($0)" } ?? "-"
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
        DataFolder.remove(log.path)
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
        DataFolder.remove(log.path)
        try DataFolder.make(log.path)
        let file = open(events, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            throw KappaError(
                .notFound, "cannot open the events", at: events,
                because: String(cString: strerror(errno)), advice: "Check the name")
        }
        defer { close(file) }
        let writer = try LogWriter(log.log)
        let (result, _) = try SourceImport(writer, source: "nexmark").run(file, name: events)
        return result.appended
    }

    /// What the child does: `QUERY FOLDER EVENTS LATENESS`.
    static func query(_ words: ArraySlice<String>) throws {
        let words = Array(words)
        guard words.count == 4, let events = Int(words[2]) else {
            throw KappaError(.usage, "nexmark-query is for kappa-bench itself")
        }
        let lateness = Double(words[3]).map { Duration.microseconds(Int64($0 * 1e6)) }
        guard let query = NexmarkQuery.all(lateness: lateness).first(where: { $0.name == words[0] })
        else { throw KappaError(.usage, "there is no query \(words[0])") }
        let data = DataFolder(words[1] + "/nexmark-log")
        DataFolder.remove(data.path + "/views")
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
        try NexmarkResult(query).write(
            VersionReader(file), to: words[1] + "/\(query.name).csv")
        print(figures.json)
    }
}
