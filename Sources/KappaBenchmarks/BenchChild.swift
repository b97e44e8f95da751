import Glibc
import KappaCore

/// One measurement, in its own process. It prints its figures as a line of JSON.
enum BenchChild {
    /// The arguments are the workload, the folder, the number of events, and `one` to use one core only.
    static func run(_ words: [String]) throws {
        guard words.count == 4, let events = Int(words[2]),
            let workload = Workload.all.first(where: { $0.name == words[0] })
        else { throw KappaError(.usage, "measure is for kappa-bench itself") }
        if words[3] == "one", !WorkerThread.stayOnOneCore() {
            throw KappaError(.inputOutput, "cannot restrict the process to one core")
        }
        let input = try BenchInput(workload.input, events: events, in: words[1])
        let figures = try measure(workload.kind, input)
        print(figures.json)
    }

    private static func measure(_ kind: Workload.Kind, _ input: BenchInput) throws -> Figures {
        switch kind {
        case .floor(let views): try ReplayBench(input).floor(of: views)
        case .foundation: try FoundationBench.run(input)
        case .replay(let views, let memory): try ReplayBench(input).replay(views, memory)
        case .resume(let views): try ReplayBench(input).resume(views)
        case .appendPipe: try AppendBench(input).fromPipe()
        case .appendSingles: try AppendBench(input).singles(writers: 16)
        case .latency(let besideRebuild): try LatencyBench(input, besideRebuild).run()
        }
    }
}

/// The figures of one measurement.
struct Figures {
    var events: Int
    var bytes = 0
    var rows = 0
    var seconds = 0.0
    var processorSeconds = 0.0
    var peakMiB = 0
    /// Milliseconds: median, 99th percentile, largest.
    var latencies: [Double] = []

    var eventsPerSecond: Double { seconds > 0 ? Double(events) / seconds : 0 }

    /// Runs `body` and measures time and memory.
    static func of(events: Int, bytes: Int = 0, _ body: () throws -> Int) rethrows -> Figures {
        var figures = Figures(events: events, bytes: bytes)
        let (wall, processor) = (clock(), Self.processor())
        figures.rows = try body()
        figures.seconds = clock() - wall
        figures.processorSeconds = Self.processor() - processor
        figures.peakMiB = peakMiB()
        return figures
    }

    /// The peak memory that the kernel has counted since this program started (`ru_maxrss` would begin with
    /// the parent's).
    private static func peakMiB() -> Int {
        guard let file = fopen("/proc/self/status", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        while fgets(&line, Int32(line.count), file) != nil {
            let bytes = line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
            let text = String(decoding: bytes, as: UTF8.self)
            guard text.hasPrefix("VmHWM:") else { continue }
            return (Int(text.filter(\.isNumber)) ?? 0) / 1_024
        }
        return 0
    }

    static func clock() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    private static func processor() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// The figures as a child sends them to its parent: numbers in a fixed order.
    var json: String {
        let numbers =
            [Double(events), Double(bytes), Double(rows), seconds, processorSeconds]
            + [Double(peakMiB)] + latencies
        return "[" + numbers.map { "\($0)" }.joined(separator: ",") + "]"
    }

    init(events: Int, bytes: Int = 0) {
        self.events = events
        self.bytes = bytes
    }

    init?(json: String) {
        let numbers = json.drop { $0 == "[" }.prefix { $0 != "]" }.split(separator: ",")
            .compactMap { Double($0) }
        guard numbers.count >= 6 else { return nil }
        events = Int(numbers[0])
        bytes = Int(numbers[1])
        rows = Int(numbers[2])
        seconds = numbers[3]
        processorSeconds = numbers[4]
        peakMiB = Int(numbers[5])
        latencies = Array(numbers[6...])
    }
}
