import Glibc
import KappaCore

/// A test of a view: given events, expect rows.
///
/// ```swift
/// @Test func streaks() throws {
///     try Scenario(authorStreaks)
///         .given(#"{"event_type":"commit","author":"ada","committed_at":"2024-01-01T09:00:00Z"}"#)
///         .expect("author,commits", "ada,1")
/// }
/// ```
/// The view runs over a real log and real files: over all events at once, one event at a time, in random
/// pieces, and with restarts in between. A scenario fails if these runs do not give the same rows.
///
/// It also fails if an event is a dead letter or late, and shows the event: otherwise a misspelled field in
/// test data would look like a wrong view. Call ``expect(dead:)`` or ``expect(late:)`` if some are meant to
/// be.
public struct Scenario: Sendable {
    private let view: any AnyView
    private var lines: [String] = []
    private var expectedDead = 0
    private var expectedLate = 0
    /// The seed of the random pieces; printed if their rows differ.
    private let seed: UInt64

    /// A scenario of one view, without events yet.
    /// - Parameter seed: The seed of the random pieces. To reproduce a failure, pass the seed that it
    ///   printed.
    public init(_ view: some AnyView, seed: UInt64 = .random(in: 0...(.max))) {
        self.view = view
        self.seed = seed
    }

    /// Adds events as lines of JSON.
    public func given(_ events: String...) -> Scenario { given(lines: events) }

    /// Adds events as lines of JSON.
    public func given(lines events: [String]) -> Scenario {
        var scenario = self
        scenario.lines += events.flatMap { $0.split(separator: "\n").map(String.init) }
        return scenario
    }

    /// Adds typed events, with their `event_type`.
    /// - Throws: `KappaError` if an event cannot be encoded.
    public func given<E: Event & Encodable>(_ events: [E]) throws -> Scenario {
        given(lines: try events.map { try Kappa.json(of: $0) })
    }

    /// Expects that exactly `count` events are dead letters, here and in the expectations chained to it.
    /// - Throws: ``Mismatch`` if there are more or fewer; it shows the dead letters that there are.
    @discardableResult
    public func expect(dead count: Int) throws -> Scenario {
        var scenario = self
        scenario.expectedDead = count
        try scenario.checkDead(scenario.oneByOne())
        return scenario
    }

    /// Expects that exactly `count` events are late, here and in the expectations chained to it.
    /// - Throws: ``Mismatch`` if there are more or fewer; it shows the late events that there are.
    @discardableResult
    public func expect(late count: Int) throws -> Scenario {
        var scenario = self
        scenario.expectedLate = count
        try scenario.checkLate(scenario.oneByOne())
        return scenario
    }

    /// The events that the view could not take, in log order, with the reasons.
    /// - Throws: `KappaError` if the view is invalid.
    public func deadLetters() throws -> [DeadLetter] { try oneByOne().dead }

    /// Compares the rows of a table with lines of CSV: a header, which may name some of the columns
    /// in any order, and the rows in key order. Lines are equal if their bytes are.
    /// - Throws: ``Mismatch`` if the rows differ from these, or depend on how the log is cut into pieces, or
    ///   if other events are dead letters or late than expected.
    public func expect(table: String? = nil, _ csv: String...) throws {
        let rows = try rows(table: table)
        guard let header = csv.first?.split(separator: ",").map(String.init) else {
            guard rows.rows.isEmpty else {
                throw Mismatch(what: "expected no rows", expected: [], found: rows.csv(nil))
            }
            return
        }
        for name in header where !rows.columns.contains(name) {
            throw Mismatch(
                what: "there is no column \(name)", expected: header, found: rows.columns)
        }
        let expected = Array(csv.dropFirst())
        let found = rows.csv(header)
        // Swift's own == treats two encodings of an accented letter as equal.
        if !expected.elementsEqual(found, by: { $0.hasSameBytes(as: $1) }) {
            throw Mismatch(what: "the rows differ", expected: expected, found: found)
        }
    }

    /// The rows of a table, if all ways to run the view give the same ones.
    /// - Parameter table: The table; nil for the view's first.
    /// - Throws: ``Mismatch`` if they do not, or if other events are dead letters or late than expected;
    ///   `KappaError` if the view is invalid.
    public func rows(table: String? = nil) throws -> TableRows {
        let whole = try run([lines.count], restarts: false, table)
        let single = try oneByOne(table)
        try check(whole, single, "one event at a time")
        try checkDead(single)
        try checkLate(single)
        var random = SplitMix(state: seed)
        for restarts in [false, true] {
            var pieces: [Int] = []
            var left = lines.count
            while left > 0 {
                let piece = min(left, 1 + Int(random.next() % 7))
                pieces.append(piece)
                left -= piece
            }
            let cut = try run(pieces, restarts: restarts, table)
            try check(whole, cut, restarts ? "in pieces with restarts" : "in pieces")
        }
        return whole.rows
    }

    // MARK: Running

    /// What a view has made of the events.
    private struct Outcome {
        var rows = TableRows(columns: [], rows: [])
        var dead: [DeadLetter] = []
        /// How many events were late.
        var late: UInt64 = 0
        /// The numbers of pieces in which events were late.
        var latePieces: [Int] = []
    }

    /// The outcome of running one event at a time.
    private func oneByOne(_ table: String? = nil) throws -> Outcome {
        try run(lines.map { _ in 1 }, restarts: false, table)
    }

    private func check(_ whole: Outcome, _ other: Outcome, _ how: String) throws {
        let cut = "depend on how the log is read: whole, and \(how) (seed \(seed))"
        if whole.rows != other.rows {
            throw Mismatch(
                what: "the rows \(cut)", expected: whole.rows.csv(nil), found: other.rows.csv(nil))
        }
        if whole.dead != other.dead || whole.late != other.late {
            throw Mismatch(
                what: "the dead letters and late events \(cut)",
                expected: whole.dead.map(\.line) + ["\(whole.late) late"],
                found: other.dead.map(\.line) + ["\(other.late) late"])
        }
    }

    private func checkDead(_ single: Outcome) throws {
        if single.dead.count == expectedDead { return }
        throw Mismatch(
            what: "expected \(expectedDead) dead letters, found \(single.dead.count)",
            expected: [], found: single.dead.map(\.line))
    }

    private func checkLate(_ single: Outcome) throws {
        if single.late == UInt64(expectedLate) { return }
        throw Mismatch(
            what: "expected \(expectedLate) late events, found \(single.late)", expected: [],
            found: single.latePieces.map { "offset \($0): late: \(lines[$0])" })
    }

    /// Appends the events in pieces; after each, the view catches up and commits.
    private func run(_ pieces: [Int], restarts: Bool, _ table: String?) throws -> Outcome {
        let folder = try TemporaryFolder(inMemory: true)
        let data = DataFolder(folder.path)
        let definitions = try ViewSet([view]).definitions(allowUndigested: true)
        guard let definition = definitions.first else { return Outcome() }
        var outcome = Outcome()
        let writer = try LogWriter(data.log)
        let file = folder.path + "/version.db"
        func open() throws -> (ExtractionPlan, VersionMaterializer) {
            let store = try VersionStore(
                at: file, view: definition.name, number: 1, digest: definition.digest,
                tables: definition.tables)
            let plan = ExtractionPlan()
            let version = try VersionMaterializer(
                definition, store: store, plan: plan, budgetBytes: 1 << 26)
            return (plan, version)
        }
        var (plan, version) = try open()
        var first = 0
        for (number, piece) in pieces.enumerated() where piece > 0 {
            var batch = EventLines()
            for line in lines[first..<(first + piece)] {
                batch.append(try EventLines(event: line))
            }
            _ = try writer.append(batch)
            first += piece
            if restarts { (plan, version) = try open() }
            try Scan(data.log, [version], plan: plan, options: .init()).run()
            let late = version.checkpoint.counters.late
            if late > outcome.late { outcome.latePieces.append(number) }
            outcome.late = late
        }
        if lines.isEmpty { try version.commit() }
        let reader = try VersionReader(file)
        try reader.deadLetters { outcome.dead.append($0) }
        outcome.rows = try TableRows(reader, table)
        return outcome
    }
}

extension DeadLetter {
    fileprivate var line: String { "offset \(offset): \(reason): \(event)" }
}

/// The rows of a table in key order.
public struct TableRows: Equatable, Sendable {
    /// The names of the columns, in order.
    public let columns: [String]
    /// The cells of each row, in the order of the columns.
    public let rows: [[Value]]

    init(columns: [String], rows: [[Value]]) {
        self.columns = columns
        self.rows = rows
    }

    init(_ reader: VersionReader, _ table: String?) throws {
        let index = try reader.table(table)
        let schema = reader.tables[index]
        var rows: [[Value]] = []
        try reader.forEachRow(table: index) { rows.append(schema.values($0)) }
        columns = schema.columns.map(\.name)
        self.rows = rows
    }

    /// The rows as lines of CSV, without a header.
    /// - Parameter names: The columns, in this order; nil for all. Unknown names are left out.
    public func csv(_ names: [String]?) -> [String] {
        let indices = (names ?? columns).compactMap { columns.firstIndex(of: $0) }
        return rows.map { row in indices.map { row[$0].csvText }.joined(separator: ",") }
    }
}

/// A scenario that failed.
public struct Mismatch: Error, CustomStringConvertible {
    /// What is not as expected.
    public let what: String
    /// Lines of CSV that were expected.
    public let expected: [String]
    /// Lines of CSV that were found.
    public let found: [String]

    /// What is not as expected, and both sets of lines.
    public var description: String {
        let shown = { (lines: [String]) in
            lines.isEmpty ? "    (nothing)" : lines.map { "    " + $0 }.joined(separator: "\n")
        }
        return "\(what)\n  expected:\n\(shown(expected))\n  found:\n\(shown(found))"
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, seeded, the same everywhere.
public struct SplitMix: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// A generator that gives the same numbers for the same `state`.
    public init(state: UInt64) { self.state = state }

    /// The next number: any of 64 bits, all equally likely.
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
