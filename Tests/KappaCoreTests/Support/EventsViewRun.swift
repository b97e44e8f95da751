import KappaTesting
import Testing

@testable import KappaCore

/// Everything that a version holds after some events; it must not depend on how it came about.
struct EventsOutcome: Equatable {
    var tables: [[[Value]]]
    var counters: Counters
    var dead: [DeadLetter]

    /// A description of the first difference; nil if everything is equal. Doubles may differ by `tolerance`
    /// times their size.
    func difference(from expected: EventsOutcome, tolerance: Double = 0) -> String? {
        for (table, (found, wanted)) in zip(tables, expected.tables).enumerated() {
            for (x, y) in zip(found, wanted) where !Self.areEqual(x, y, tolerance) {
                return "table \(table): \(Self.text(x)) instead of \(Self.text(y))"
            }
            if found.count != wanted.count {
                let more = found.dropFirst(wanted.count).first ?? wanted[found.count]
                return "\(found.count) rows instead of \(wanted.count): \(Self.text(more))"
            }
        }
        for (x, y) in zip(dead, expected.dead) where x != y { return "\(x) instead of \(y)" }
        if dead.count != expected.dead.count {
            return "\(dead.count) dead letters instead of \(expected.dead.count)"
        }
        if counters != expected.counters { return "\(counters) instead of \(expected.counters)" }
        return tables.count == expected.tables.count ? nil : "the number of tables"
    }

    /// The rows of a table, each as a line.
    func rows(_ table: Int = 0) -> [String] {
        tables[table].map { $0.map(\.plainText).joined(separator: " ") }
    }

    private static func areEqual(_ a: [Value], _ b: [Value], _ tolerance: Double) -> Bool {
        a.count == b.count
            && zip(a, b).allSatisfy { x, y in
                guard case .double(let d) = x, case .double(let e) = y else { return x == y }
                return d == e || abs(d - e) <= tolerance * max(abs(d), abs(e))
            }
    }

    private static func text(_ row: [Value]) -> String {
        row.map(\.jsonText).joined(separator: ",")
    }
}

/// One way to run a view over a log: how the log is appended and read, and the view committed and
/// interrupted.
struct EventsWay: CustomStringConvertible {
    /// How many events each append has; none is zero.
    var appends: [Int]
    /// Percent chance that the view is brought forward after an append.
    var scans = 100
    /// Percent chance that it is reopened before it is brought forward.
    var restarts = 0
    /// Whether a scan stops at an intermediate offset before it goes to the end.
    var stopsMidway = false
    var commitMilliseconds = 3_000
    var budgetBytes = 1 << 26
    var forbidColumns = false
    /// Whether there is a change feed; then the rows are rebuilt from it and compared.
    var feeds = false
    var seed: UInt64 = 0

    var description: String {
        "appends of \(appends), \(restarts) % restarts, midway \(stopsMidway), commits every "
            + "\(commitMilliseconds) ms, \(budgetBytes) bytes, structs \(forbidColumns), "
            + "feed \(feeds)"
    }

    static func whole(_ count: Int) -> EventsWay { EventsWay(appends: [count]) }

    static func random(_ count: Int, _ random: inout SplitMix) -> EventsWay {
        var appends: [Int] = []
        var left = count
        let most = random.pick([count, count / 2 + 1, count / 6 + 1])
        while left > 0 {
            let piece = min(left, 1 + random.below(most))
            appends.append(piece)
            left -= piece
        }
        return EventsWay(
            appends: appends, scans: random.pick([30, 100]), restarts: random.pick([0, 40, 100]),
            stopsMidway: random.chance(1, in: 2), commitMilliseconds: random.pick([0, 3_000]),
            budgetBytes: random.pick([0, 1, 20_000, 1 << 26]),
            forbidColumns: random.chance(1, in: 2), feeds: random.chance(1, in: 2),
            seed: random.next())
    }

    /// Runs a view over all lines at once with columns, and over one line after the other with structs: both
    /// must give the same.
    static func both(_ view: any AnyView, _ lines: [String]) throws -> EventsOutcome {
        let whole = try EventsWay.whole(lines.count).run(view, lines)
        var single = EventsWay(appends: lines.map { _ in 1 })
        single.forbidColumns = true
        #expect(try single.run(view, lines).difference(from: whole) == nil)
        return whole
    }

    /// Appends the lines and materializes the view in this way.
    func run(
        _ view: any AnyView, _ lines: [String], _ places: [EventsPlace] = []
    ) throws -> EventsOutcome {
        let folder = try TemporaryFolder(inMemory: true)
        let version = try EventsVersion(view, in: folder.path)
        let writer = try LogWriter(version.log)
        var random = SplitMix(state: seed)
        var first = 0
        var positions: [String: UInt64] = [:]
        for (index, count) in appends.enumerated() {
            try EventsPlace.append(lines[first..<(first + count)], places, writer, &positions)
            first += count
            guard index == appends.count - 1 || random.chance(scans, in: 100) else { continue }
            if random.chance(restarts, in: 100) { version.close() }
            if stopsMidway {
                let done = Int(try version.offset().rawValue)
                try scan(version, to: Offset(UInt64(done + random.below(first - done + 1))))
                if random.chance(restarts, in: 100) { version.close() }
            }
            try scan(version, to: nil)
        }
        if feeds, let difference = try version.feedDifference() {
            Issue.record("the feed does not make the rows: \(difference); \(self)")
        }
        return try version.outcome()
    }

    private func scan(_ version: EventsVersion, to end: Offset?) throws {
        try version.scan(
            to: end, commitMilliseconds: commitMilliseconds, budgetBytes: budgetBytes,
            forbidColumns: forbidColumns, feeds: feeds)
    }
}

/// One version of a view in its own folder, which can be closed and reopened.
final class EventsVersion {
    let log: String
    let file: String
    private let definition: ViewDefinition
    private var open: (plan: ExtractionPlan, version: VersionMaterializer)?

    init(_ view: any AnyView, in folder: String) throws {
        log = DataFolder(folder).log
        file = "\(folder)/\(view.name).db"
        definition = try #require(ViewSet([view]).definitions(allowUndigested: true).first)
    }

    private func store() throws -> VersionStore {
        try VersionStore(
            at: file, view: definition.name, number: 1, digest: definition.digest,
            tables: definition.tables)
    }

    func close() { open = nil }

    func offset() throws -> Offset { try store().lastCheckpoint()?.offset ?? .zero }

    func scan(
        to end: Offset? = nil, commitMilliseconds: Int = 3_000, budgetBytes: Int = 1 << 26,
        forbidColumns: Bool = false, feeds: Bool = false
    ) throws {
        if open == nil {
            let plan = ExtractionPlan()
            // If columns are forbidden, structs are also decoded field by field.
            let version = try ExpressionInputOptions.$forbidColumns.withValue(forbidColumns) {
                try EventReaderOptions.$forbidLayouts.withValue(forbidColumns) {
                    try VersionMaterializer(
                        definition, store: store(), plan: plan, budgetBytes: budgetBytes)
                }
            }
            open = (plan, version)
        }
        guard let (plan, version) = open else { return }
        version.recordsChanges = feeds
        let options = Scan.Options(end: end, commitMilliseconds: commitMilliseconds)
        try Scan(log, [version], plan: plan, options: options).run()
    }

    /// Brings several versions of one log forward in one scan.
    static func scan(_ versions: [EventsVersion]) throws {
        let plan = ExtractionPlan()
        let opened = try versions.map { version in
            try VersionMaterializer(
                version.definition, store: version.store(), plan: plan, budgetBytes: 1 << 26)
        }
        try Scan(versions[0].log, opened, plan: plan, options: .init()).run()
    }

    func outcome() throws -> EventsOutcome {
        let reader = try VersionReader(file)
        var tables: [[[Value]]] = []
        for (index, table) in reader.tables.enumerated() {
            var rows: [[Value]] = []
            try reader.forEachRow(table: index) { rows.append(table.values($0)) }
            tables.append(rows)
        }
        var dead: [DeadLetter] = []
        try reader.deadLetters { dead.append($0) }
        return EventsOutcome(tables: tables, counters: try reader.checkpoint().counters, dead: dead)
    }
}
