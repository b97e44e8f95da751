import Glibc
import KappaCLI
import KappaCore
import Synchronization
import Views

/// Measures the time from an acknowledged append until the row is visible to another process.
///
/// One process materializes. This one appends a thousand events a second and reads the view's position
/// through its own connection, as `kappa query` does.
struct LatencyBench {
    private let folder: DataFolder
    private let besideRebuild: Bool
    private static let seconds = 10
    private static let perSecond = 1_000
    private static let before = 1_000_000

    init(_ input: BenchInput, _ besideRebuild: Bool) {
        folder = DataFolder(input.folder.path + "-latency-\(getpid())")
        self.besideRebuild = besideRebuild
    }

    func run() throws -> Figures {
        Folder.remove(folder.path)
        defer { Folder.remove(folder.path) }
        let writer = try LogWriter(folder.log)
        var generator = UserEventGenerator(seed: 2)
        _ = try writer.append(try Self.lines(Self.before, &generator))
        let runner = try BenchProcess(["follow", folder.path])
        defer { runner.kill() }
        let rebuilder =
            besideRebuild ? try BenchProcess(["rebuild-for-ever", folder.path]) : nil
        defer { rebuilder?.kill() }
        let reader = try live()
        return try measure(writer, reader, &generator)
    }

    private static func lines(
        _ count: Int, _ generator: inout UserEventGenerator
    ) throws -> EventLines {
        var bytes: [UInt8] = []
        generator.append(count, to: &bytes)
        return try bytes.withUnsafeBytes { try EventLines($0) }
    }

    private func measure(
        _ writer: LogWriter, _ reader: VersionReader, _ generator: inout UserEventGenerator
    ) throws -> Figures {
        let count = Self.seconds * Self.perSecond
        let acknowledged = Mutex<[Double]>([])
        var events: [EventLines] = []
        for _ in 0..<count { events.append(try Self.lines(1, &generator)) }
        let start = Figures.clock()
        let lines = events
        let appender = try WorkerThread("bench-append") {
            for (index, line) in lines.enumerated() {
                let due = start + Double(index) / Double(Self.perSecond)
                while Figures.clock() < due { usleep(50) }
                guard (try? writer.append(line)) != nil else { return }
                acknowledged.withLock { $0.append(Figures.clock()) }
            }
        }
        var latencies: [Double] = []
        var figures = try Figures.of(events: count) {
            while latencies.count < count {
                let seen = try reader.checkpoint().offset - Offset(UInt64(Self.before))
                let now = Figures.clock()
                let times = acknowledged.withLock { $0 }
                while latencies.count < min(seen, times.count) {
                    latencies.append(max(0, now - times[latencies.count]) * 1_000)
                }
                usleep(100)
            }
            return 0
        }
        appender.join()
        latencies.sort()
        figures.latencies = [
            latencies[count / 2], latencies[count * 99 / 100], latencies[count - 1],
        ]
        return figures
    }

    /// The live version, once it has caught up with the events appended before the measurement.
    private func live() throws -> VersionReader {
        for _ in 0..<2_000 {
            usleep(10_000)
            guard let number = try Catalog(folder).live("user_totals") else { continue }
            let reader = try VersionReader(folder.file(VersionID("user_totals", number)))
            if try reader.checkpoint().offset == Offset(UInt64(Self.before)) { return reader }
        }
        throw KappaError(.bug, "the view does not catch up", at: folder.path)
    }

    // MARK: The other processes

    /// Materializes until it is killed.
    static func follow(_ path: String) throws {
        var options = ViewRunner.Options()
        // What a commit takes, and not how long it waits.
        options.commitMilliseconds = 0
        try ViewRunner(
            DataFolder(path), ViewSet([userTotals], digests: sampleViews.digests), options: options
        ).run()
    }

    /// Rebuilds another view of the same folder again and again.
    static func rebuildForEver(_ path: String) throws {
        let folder = DataFolder(path)
        var options = ViewRunner.Options()
        options.follows = false
        options.rebuilds = true
        while true {
            try ViewRunner(
                folder, ViewSet([actionCounts], digests: sampleViews.digests), options: options
            ).run()
            _ = try Garbage(Catalog(folder)).collect(keep: 0)
        }
    }
}
