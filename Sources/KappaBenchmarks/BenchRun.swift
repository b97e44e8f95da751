import Glibc
import KappaCore

/// Measures workloads, each several times, and writes the results.
struct BenchRun {
    private let options: BenchOptions
    /// The runs with the largest input: one is enough to see whether it fits into memory.
    private static let longRuns = 1

    init(_ options: BenchOptions) { self.options = options }

    /// One workload's figures over its runs.
    private struct Result {
        var workload: Workload
        var bothCores: [Figures]
        var oneCore: [Figures]

        static func median(_ runs: [Figures], _ value: (Figures) -> Double) -> Double {
            let sorted = runs.map(value).sorted()
            return sorted.isEmpty ? 0 : sorted[sorted.count / 2]
        }
        func median(_ value: (Figures) -> Double) -> Double { Self.median(bothCores, value) }
    }

    func all() throws {
        let workloads = Workload.all.filter { options.only?.contains($0.name) ?? true }
        try prepare(workloads)
        var results: [Result] = []
        print(Self.header)
        for workload in workloads {
            let result = try measure(workload, events: events(of: workload))
            results.append(result)
            print(line(result, floors: results))
        }
        try write(results)
    }

    private func events(of workload: Workload) -> Int {
        workload.input.events(usual: options.events)
    }

    /// Makes all inputs before anything is measured.
    private func prepare(_ workloads: [Workload]) throws {
        for workload in workloads {
            _ = try BenchInput(workload.input, events: events(of: workload), in: options.folder)
        }
    }

    private func measure(_ workload: Workload, events: Int) throws -> Result {
        var result = Result(workload: workload, bothCores: [], oneCore: [])
        let runs = workload.input == .huge ? Self.longRuns : options.runs
        for _ in 0..<runs {
            result.bothCores.append(try once(workload, events, "both"))
            switch workload.kind {
            case .floor, .replay, .resume, .foundation:
                if workload.input != .huge {
                    result.oneCore.append(try once(workload, events, "one"))
                }
            case .appendPipe, .appendSingles, .latency: break
            }
        }
        return result
    }

    private func once(_ workload: Workload, _ events: Int, _ cores: String) throws -> Figures {
        let child = try BenchProcess([
            "measure", workload.name, options.folder, "\(events)", cores,
        ])
        guard let figures = child.finish().flatMap({ Figures(json: $0) }) else {
            throw KappaError(.bug, "measuring \(workload.name) failed")
        }
        return figures
    }

    // MARK: The table

    private static let header =
        "workload     M events/s  (least–most)    MB/s  one core  per CPU s  of floor"
        + "   peak MiB        rows"

    private func line(_ result: Result, floors: [Result]) -> String {
        let name = Self.padded(result.workload.name, 11)
        if let latencies = result.bothCores.first?.latencies, latencies.count == 3 {
            let figures = (0..<3).map { index in
                Self.fixed(result.median { $0.latencies[index] }, 2)
            }
            return "\(name)  p50 \(figures[0]) ms  p99 \(figures[1]) ms  max \(figures[2]) ms"
        }
        let speeds = result.bothCores.map { $0.eventsPerSecond / 1e6 }
        let perProcessor = result.median { Double($0.events) / $0.processorSeconds / 1e6 }
        let cells = [
            Self.left(Self.fixed(result.median { $0.eventsPerSecond / 1e6 }, 2), 10),
            Self.left(
                "(\(Self.fixed(speeds.min() ?? 0, 2))–\(Self.fixed(speeds.max() ?? 0, 2)))", 14),
            Self.left(Self.fixed(result.median { Double($0.bytes) / $0.seconds / 1e6 }, 0), 6),
            Self.left(
                Self.fixed(Result.median(result.oneCore) { $0.eventsPerSecond / 1e6 }, 2), 8),
            Self.left(Self.fixed(perProcessor, 2), 9),
            Self.left(share(result, floors).map { Self.fixed($0 * 100, 0) + " %" } ?? "", 8),
            Self.left(Self.fixed(result.median { Double($0.peakMiB) }, 0), 9),
            Self.left(Self.fixed(result.median { Double($0.rows) }, 0), 10),
        ]
        return name + "  " + cells.joined(separator: "  ")
    }

    /// The speed on one core as a share of the floor's, which runs on one core.
    private func share(_ result: Result, _ floors: [Result]) -> Double? {
        guard let floor = floors.first(where: { $0.workload.name == result.workload.floor }) else {
            return nil
        }
        let speed = Result.median(result.oneCore) { $0.eventsPerSecond }
        return speed / Result.median(floor.oneCore) { $0.eventsPerSecond }
    }

    private static func fixed(_ value: Double, _ digits: Int) -> String {
        guard value.isFinite else { return "" }
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let scaled = Int((value * scale).rounded())
        guard digits > 0 else { return "\(scaled)" }
        let rest = String(scaled % Int(scale))
        return "\(scaled / Int(scale))." + String(repeating: "0", count: digits - rest.count) + rest
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    private static func left(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    // MARK: The file

    private func write(_ results: [Result]) throws {
        let path = options.folder + "/results.json"
        var lines: [String] = []
        for result in results {
            lines.append(
                """
                {"workload":"\(result.workload.name)","summary":"\(result.workload.summary)",\
                "columns":["events","bytes","rows","seconds","cpu_seconds","peak_mib",\
                "p50_ms","p99_ms","max_ms"],\
                "both_cores":[\(result.bothCores.map(\.json).joined(separator: ","))],\
                "one_core":[\(result.oneCore.map(\.json).joined(separator: ","))]}
                """)
        }
        let text = "[\n" + lines.joined(separator: ",\n") + "\n]\n"
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        guard file >= 0 else { throw KappaError(.cannotCreate, "cannot write results", at: path) }
        defer { close(file) }
        try Array(text.utf8).withUnsafeBytes { try SystemFiles().write(file, $0, at: 0) }
    }

    // MARK: Growth

    /// Prints the cost of an event for logs of growing length.
    func scale() throws {
        print("workload        events  M events/s  ns an event  peak MiB")
        for workload in Workload.all where Workload.scaling.contains(workload.name) {
            for millions in [1, 5, 20, 50] {
                let events = millions * 1_000_000
                _ = try BenchInput(workload.input, events: events, in: options.folder)
                let runs = try (0..<options.runs).map { _ in try once(workload, events, "both") }
                let seconds = Result.median(runs) { $0.seconds }
                print(
                    Self.padded(workload.name, 10),
                    Self.left("\(millions) M", 11),
                    Self.left(Self.fixed(Double(events) / seconds / 1e6, 2), 11),
                    Self.left(Self.fixed(seconds * 1e9 / Double(events), 1), 12),
                    Self.left(Self.fixed(Result.median(runs) { Double($0.peakMiB) }, 0), 9))
            }
        }
    }
}
