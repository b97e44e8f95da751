import Foundation
import KappaTesting
import Testing

@testable import KappaBenchmarks
@testable import KappaCore

/// Events as the bytes of their lines.
struct NexmarkLines {
    private let bytes: [UInt8]
    /// Where each line starts, and where the last one ends.
    private let starts: [Int]
    var count: Int { starts.count - 1 }

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        starts = bytes.withUnsafeBytes { bytes in
            var starts = [0]
            while let last = starts.last, last < bytes.count,
                let line = bytes.baseAddress.map({ $0 + last }),
                let end = memchr(line, 0x0A, bytes.count - last)
            {
                starts.append(last + line.distance(to: UnsafeRawPointer(end)) + 1)
            }
            return starts
        }
    }

    /// Generated events, in which bidders are people who have appeared or appear soon.
    static func generated(
        _ count: Int, seed: UInt64, rate: Int = 200, disorderMillis: Int = 0,
        bidderShift: UInt64 = 0
    ) -> NexmarkLines {
        var bytes: [UInt8] = []
        var generator = NexmarkGenerator(
            seed: seed, rate: rate, disorderMillis: disorderMillis,
            bidderShift: bidderShift)
        generator.append(count, to: &bytes)
        return NexmarkLines(bytes)
    }

    /// A compressed file of the reference data; all of it, or the first lines.
    static func shared(_ name: String, first: Int? = nil) throws -> NexmarkLines {
        let cut = first.map { " | head -n \($0)" } ?? ""
        let command = "gunzip -c '\(EventsShared.folder)/nexmark/\(name)'\(cut)"
        return NexmarkLines(Array(try EventsShared.run(command).utf8))
    }

    func append(_ range: Range<Int>, to writer: LogWriter) throws {
        guard !range.isEmpty else { return }
        try bytes.withUnsafeBytes { bytes in
            let part = bytes[starts[range.lowerBound]..<starts[range.upperBound]]
            _ = try writer.append(try EventLines(UnsafeRawBufferPointer(rebasing: part)))
        }
    }

    subscript(index: Int) -> String {
        String(decoding: bytes[starts[index]..<(starts[index + 1] - 1)], as: UTF8.self)
    }
}

/// Several queries over one log, in one scan.
final class NexmarkViews {
    let folder: TemporaryFolder
    private let queries: [NexmarkQuery]
    private let definitions: [ViewDefinition]
    private let log: String
    private let writer: LogWriter
    private var open: (plan: ExtractionPlan, versions: [VersionMaterializer])?

    init(_ queries: [NexmarkQuery]) throws {
        folder = try TemporaryFolder(inMemory: true)
        self.queries = queries
        definitions = try queries.map { query in
            try #require(ViewSet([query.view]).definitions(allowUndigested: true).first)
        }
        log = DataFolder(folder.path).log
        writer = try LogWriter(log)
    }

    /// The queries' results after all lines, replayed at once.
    static func atOnce(
        _ queries: [NexmarkQuery], _ lines: NexmarkLines
    ) throws -> [String: String] {
        let views = try NexmarkViews(queries)
        try views.append(lines, 0..<lines.count)
        try views.scan()
        return try views.results()
    }

    func append(_ lines: NexmarkLines, _ range: Range<Int>) throws {
        try lines.append(range, to: writer)
    }

    /// As when a process ends: what is not in the files is gone.
    func close() { open = nil }

    private func file(_ name: String) -> String { "\(folder.path)/\(name).db" }

    /// Brings all queries to the log's end, or to an offset, and commits them.
    /// - Parameter commitMilliseconds: How often they are committed meanwhile.
    func scan(to end: Offset? = nil, commitMilliseconds: Int = 3_000) throws {
        if open == nil {
            let plan = ExtractionPlan()
            let versions = try definitions.map { definition in
                let store = try VersionStore(
                    at: file(definition.name), view: definition.name, number: 1,
                    digest: definition.digest, tables: definition.tables)
                return try VersionMaterializer(
                    definition, store: store, plan: plan, budgetBytes: 1 << 28)
            }
            open = (plan, versions)
        }
        guard let (plan, versions) = open else { return }
        let options = Scan.Options(end: end, commitMilliseconds: commitMilliseconds)
        try Scan(log, versions, plan: plan, options: options).run()
    }

    /// Writes a query's result as the program does.
    func write(_ query: NexmarkQuery) throws -> String {
        let path = "\(folder.path)/\(query.name).csv"
        try NexmarkResult(query).write(VersionReader(file(query.name)), to: path)
        return path
    }

    /// The result of each query as CSV.
    func results() throws -> [String: String] {
        var results: [String: String] = [:]
        for query in queries {
            results[query.name] = try String(contentsOfFile: write(query), encoding: .utf8)
        }
        return results
    }

    /// For each query, how many events it could not take, and how many came too late.
    func losses() throws -> [String: UInt64] {
        var losses: [String: UInt64] = [:]
        for query in queries {
            let counters = try VersionReader(file(query.name)).checkpoint().counters
            losses[query.name] = counters.late + counters.dead
        }
        return losses
    }
}

/// Compares results by query, and shows the first lines that differ.
func expectEqual(
    _ found: [String: String], _ wanted: [String: String], _ comment: Comment,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(Set(found.keys) == Set(wanted.keys), comment, sourceLocation: sourceLocation)
    for (name, text) in wanted where found[name] != text {
        let difference = nexmarkDifference(found[name] ?? "", text)
        Issue.record(
            "\(name): \(difference.extra.prefix(3)) instead of \(difference.missing.prefix(3)), \(comment)",
            sourceLocation: sourceLocation)
    }
}

/// The lines that one result has more often than the other.
func nexmarkDifference(_ found: String, _ wanted: String) -> (extra: [String], missing: [String]) {
    let (a, b) = (found.split(separator: "\n"), wanted.split(separator: "\n"))
    var counts: [Substring: Int] = [:]
    for line in a { counts[line, default: 0] += 1 }
    for line in b { counts[line, default: 0] -= 1 }
    func lines(_ sign: Int) -> [String] {
        counts.filter { $0.value * sign > 0 }.flatMap { line, count in
            repeatElement(String(line), count: abs(count))
        }.sorted()
    }
    return (lines(1), lines(-1))
}
