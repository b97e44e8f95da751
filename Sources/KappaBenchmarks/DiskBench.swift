import Glibc
import KappaCLI
import KappaCore
import Views

/// Measures what keeping the sample views current writes to disk, and how soon rows are visible when events are few.
///
/// One process follows the log with all sample views. This one appends events one by one: steadily, and then a few.
struct DiskBench {
    static let help = """
        kappa-bench disk [OPTIONS]    what live views write to disk, and how soon rows are visible

          --out FOLDER       where its data folder goes (bench-data)
          --seconds N        how long events come steadily (20)
          --rate N           that many a second (1000)
          --interval N       --commit-interval of the views, in milliseconds (50)
          --few N            then so many events, twenty a second (100)
        """

    private let folder: DataFolder
    private let seconds: Int
    private let rate: Int
    private let interval: Int
    private let few: Int
    private static let before = 1_000
    private static let fewRate = 20

    init(_ words: ArraySlice<String>) throws(KappaError) {
        let arguments = try BenchArguments(
            words, ["--out", "--seconds", "--rate", "--interval", "--few"], help: Self.help)
        let out = arguments.text("--out") ?? "bench-data"
        try Folder.make(out)
        folder = DataFolder("\(out)/disk-\(getpid())")
        seconds = try arguments.number("--seconds") ?? 20
        rate = try arguments.number("--rate") ?? 1_000
        interval = try arguments.number("--interval", in: 0...60_000) ?? 50
        few = try arguments.number("--few") ?? 100
    }

    func run() throws {
        Folder.remove(folder.path)
        defer { Folder.remove(folder.path) }
        let writer = try LogWriter(folder.log)
        var generator = UserEventGenerator(seed: 2)
        _ = try append(Self.before, writer, &generator)
        let runner = try BenchProcess(["follow-samples", folder.path, "\(interval)"])
        defer { runner.kill() }
        let reader = try live()

        let count = seconds * rate
        let written = try Self.writtenBytes(runner.pid)
        let bytes = try steadily(count, rate, writer, &generator)
        try wait(for: count, reader)
        let after = try Self.writtenBytes(runner.pid) - written
        let logs = logBytes()
        let latencies = try visible(writer, reader, &generator, from: count)
        print(
            "interval \(interval) ms: \(count) events, \(bytes) bytes at \(rate)/s;",
            "\(after) bytes written, \(Self.tenths(Double(after) / Double(max(1, bytes)))) times as many;",
            "write-ahead logs \(logs) bytes;",
            "\(few) events at \(Self.fewRate)/s visible after p50 \(Self.tenths(latencies[few / 2])) ms,",
            "most \(Self.tenths(latencies[few - 1])) ms")
    }

    private static func tenths(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }

    // MARK: Appending

    /// - Returns: The bytes appended.
    private func append(
        _ count: Int, _ writer: LogWriter, _ generator: inout UserEventGenerator
    ) throws -> Int {
        var bytes: [UInt8] = []
        generator.append(count, to: &bytes)
        _ = try writer.append(try bytes.withUnsafeBytes { try EventLines($0) })
        return bytes.count
    }

    private func steadily(
        _ count: Int, _ rate: Int, _ writer: LogWriter, _ generator: inout UserEventGenerator
    ) throws -> Int {
        let start = Figures.clock()
        var bytes = 0
        for index in 0..<count {
            let due = start + Double(index) / Double(rate)
            while Figures.clock() < due { usleep(100) }
            bytes += try append(1, writer, &generator)
        }
        return bytes
    }

    /// Appends a few events, and measures for each when it is visible, in milliseconds.
    private func visible(
        _ writer: LogWriter, _ reader: VersionReader, _ generator: inout UserEventGenerator,
        from count: Int
    ) throws -> [Double] {
        // What came before is no part of it.
        usleep(500_000)
        var latencies: [Double] = []
        for index in 0..<few {
            _ = try append(1, writer, &generator)
            let acknowledged = Figures.clock()
            try wait(for: count + index + 1, reader)
            latencies.append((Figures.clock() - acknowledged) * 1_000)
            usleep(UInt32(1_000_000 / Self.fewRate))
        }
        return latencies.sorted()
    }

    // MARK: Looking

    private func wait(for count: Int, _ reader: VersionReader) throws {
        let end = Offset(UInt64(Self.before + count))
        let start = Figures.clock()
        while try reader.checkpoint().offset < end {
            guard Figures.clock() - start < 60 else {
                throw KappaError(.bug, "the views do not catch up", at: folder.path)
            }
            usleep(100)
        }
    }

    /// One of the views, once all of them are live and have caught up.
    private func live() throws -> VersionReader {
        let views = sampleViews.workedOut().sound.map(\.name)
        for _ in 0..<3_000 {
            usleep(10_000)
            let catalog = try Catalog(folder)
            let live = try views.filter { try catalog.live($0) != nil }
            guard live.count == views.count else { continue }
            let reader = try folder.reader(VersionID("user_totals", VersionNumber(1)))
            try wait(for: 0, reader)
            // The samples of new versions are being made.
            usleep(1_000_000)
            return reader
        }
        throw KappaError(.bug, "the views do not become live", at: folder.path)
    }

    /// What a process has caused to be written to disk.
    private static func writtenBytes(_ pid: pid_t) throws(KappaError) -> Int {
        let path = "/proc/\(pid)/io"
        guard let file = fopen(path, "r") else {
            throw KappaError(.inputOutput, "cannot measure what is written", at: path)
        }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        while fgets(&line, Int32(line.count), file) != nil {
            let bytes = line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
            let text = String(decoding: bytes, as: UTF8.self)
            if text.hasPrefix("write_bytes:") { return Int(text.filter(\.isNumber)) ?? 0 }
        }
        return 0
    }

    private func logBytes() -> Int {
        sampleViews.workedOut().sound.reduce(0) { sum, view in
            var status = stat()
            let file = folder.file(VersionID(view.name, VersionNumber(1)))
            return sum + (stat(file + "-wal", &status) == 0 ? Int(status.st_size) : 0)
        }
    }

    // MARK: The other process

    /// Follows the log with all sample views until it is killed.
    static func follow(_ words: ArraySlice<String>) throws {
        guard words.count == 2, let path = words.first,
            let interval = words.last.flatMap({ Int($0) })
        else { throw KappaError(.usage, "follow-samples is for kappa-bench itself") }
        var options = ViewRunner.Options()
        options.commitMilliseconds = interval
        try ViewRunner(DataFolder(path), sampleViews, options: options).run()
    }
}
