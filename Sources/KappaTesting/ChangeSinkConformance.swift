import KappaCore

/// A test of a ``ChangeSink``: that rows and position move together, whatever happens in between.
///
/// ```swift
/// @Test func conforms() throws {
///     let folder = try TemporaryFolder()
///     try ChangeSinkConformance {
///         try MySink(folder.path)
///     } rows: { tables in
///         try MyReader(folder.path).rows(tables)
///     }.check()
/// }
/// ```
/// It opens the sink many times, always for the view `conformance`, and at first it must be empty. It commits, rolls
/// back, drops sinks in the middle of a transaction, as a killed process does, and looks at what readers see: during a
/// transaction, after it, and after opening the sink anew.
public struct ChangeSinkConformance {
    /// The rows that readers of the sink see: for each table, its rows, in any order, and of each row the cells in
    /// the order of the columns, as `Value.plainText` writes them. Before the first commit there are no tables.
    public typealias Rows = [String: [[String]]]

    /// What a sink did wrong.
    public struct Failure: Error, CustomStringConvertible {
        /// What was done, what was expected, and what there is.
        public var description: String
    }

    private let open: () throws -> any ChangeSink
    private let read: ([TableSchema]) throws -> Rows
    private let seed: UInt64

    /// A test of one kind of sink.
    /// - Parameters:
    ///   - seed: Of the random transactions. To reproduce a failure, pass the seed that it printed.
    ///   - open: Opens the sink of the view `conformance`, in the same place each time.
    ///   - rows: Reads, as other programs would, the tables that were last committed, given their columns;
    ///     also while a transaction is open.
    public init(
        seed: UInt64 = .random(in: 0...(.max)), _ open: @escaping () throws -> any ChangeSink,
        rows: @escaping ([TableSchema]) throws -> Rows
    ) {
        self.seed = seed
        self.open = open
        read = rows
    }

    /// Runs all tests.
    /// - Throws: ``Failure``; errors that the sink throws where it should not.
    public func check() throws {
        var run = Run(open: open, read: read, seed: seed)
        try run.all()
    }
}

extension ChangeSinkConformance {
    fileprivate typealias Model = [String: [Int64: [Value]]]

    /// What is committed, and how the sink is told to get there.
    fileprivate struct Run {
        let open: () throws -> any ChangeSink
        let read: ([TableSchema]) throws -> Rows
        let seed: UInt64
        var random: SplitMix
        var sink: (any ChangeSink)?
        /// What must be there.
        var tables: [TableSchema] = []
        var rows: Model = [:]
        var position: SinkPosition?
        var sequence: Int64 = 1_796_115_084_602_893

        init(
            open: @escaping () throws -> any ChangeSink,
            read: @escaping ([TableSchema]) throws -> Rows, seed: UInt64
        ) {
            (self.open, self.read, self.seed) = (open, read, seed)
            random = SplitMix(state: seed)
        }

        /// Two shapes of tables: a `reset` may change the columns.
        static let shapes = [
            [
                TableSchema(
                    name: "conformance",
                    columns: [
                        ColumnSchema("id", .integer, isKey: true), ColumnSchema("name", .text),
                        ColumnSchema("total", .decimal), ColumnSchema("at", .timestamp),
                    ]),
                TableSchema(
                    name: "conformance_more",
                    columns: [
                        ColumnSchema("ratio", .double), ColumnSchema("word", .text, isKey: true),
                        ColumnSchema("open", .bool, isKey: true),
                        ColumnSchema("day", .timestamp, isKey: true),
                    ]),
            ],
            [
                TableSchema(
                    name: "conformance",
                    columns: [
                        ColumnSchema("id", .integer, isKey: true), ColumnSchema("count", .integer),
                        ColumnSchema("open", .bool), ColumnSchema("tags", .json),
                    ])
            ],
        ]

        mutating func all() throws {
            try reopen("at first")
            try transaction("the first load", anew: Self.shapes[0], changes: 50)
            try reopen("after the first load")
            try transaction("an insert, an update and a delete", changes: 30)
            try deletions()
            try abandoned("rolled back", anew: nil, rollsBack: true)
            try abandoned("dropped with its process", anew: nil, rollsBack: false)
            try abandoned("a load that was rolled back", anew: Self.shapes[1], rollsBack: true)
            try abandoned(
                "a load that was dropped with its process", anew: Self.shapes[1], rollsBack: false)
            try refused()
            try transaction("a load of other columns", anew: Self.shapes[1], changes: 40)
            try reopen("after a load of other columns")
            try transaction("a load of no rows", anew: Self.shapes[0], changes: 0)
            try transaction("a transaction without changes", changes: 0)
            for number in 0..<40 { try atRandom("random transaction \(number)") }
            sink?.close()
        }

        private mutating func atRandom(_ name: String) throws {
            let anew =
                Int.random(in: 0..<6, using: &random) == 0
                ? Self.shapes.randomElement(using: &random) : nil
            switch Int.random(in: 0..<5, using: &random) {
            case 0: try abandoned(name, anew: anew, rollsBack: Bool.random(using: &random))
            default: try transaction(name, anew: anew, changes: .random(in: 0..<60, using: &random))
            }
            if Bool.random(using: &random) { try reopen("after \(name)") }
        }

        // MARK: Steps

        private mutating func reopen(_ name: String) throws {
            sink?.close()
            sink = try open()
            try compare("opened anew \(name)")
        }

        private mutating func transaction(
            _ name: String, anew: [TableSchema]? = nil, changes count: Int
        ) throws {
            let next = try change(name, anew: anew, count)
            let committed = nextPosition()
            try sink?.commit(committed)
            (tables, rows, position) = (anew ?? tables, next, committed)
            try compare("after \(name)")
        }

        /// Deletes each row, and one that is not there.
        private mutating func deletions() throws {
            let some = Array(rows["conformance"]?.keys.sorted().prefix(3) ?? []) + [-1]
            try sink?.begin(anew: nil)
            try sink?.apply(
                some.map { SinkChange(table: "conformance", key: [.integer($0)], row: nil) })
            let committed = nextPosition()
            try sink?.commit(committed)
            for key in some { rows["conformance"]?[key] = nil }
            position = committed
            try compare("after deleting rows \(some)")
        }

        private mutating func abandoned(
            _ name: String, anew: [TableSchema]?, rollsBack: Bool
        ) throws {
            _ = try change(name, anew: anew, 20)
            if rollsBack { sink?.rollBack() } else { sink = nil }
            if sink == nil { sink = try open() }
            try compare("after a transaction: \(name)")
        }

        /// A change of an unknown table is an error, and what came before it in the transaction is undone.
        private mutating func refused() throws {
            _ = try change("a transaction with an error", anew: nil, 10)
            let unknown = SinkChange(table: "no_such_table", key: [.integer(1)], row: nil)
            do {
                try sink?.apply([unknown])
                throw failure("a change of a table that was never made", "an error", "none")
            } catch is KappaError {}
            sink?.rollBack()
            try compare("after an error in a transaction that was then rolled back")
            try transaction("a transaction after an error", changes: 10)
            try reopen("after an error")
        }

        /// Begins a transaction and applies changes; returns the rows that would be there after it.
        private mutating func change(
            _ name: String, anew: [TableSchema]?, _ count: Int
        ) throws -> Model {
            try sink?.begin(anew: anew)
            let tables = anew ?? self.tables
            var model = anew == nil ? rows : [:]
            var rest = count
            while rest > 0 {
                let size = Int.random(in: 1...rest, using: &random)
                rest -= size
                var batch: [SinkChange] = []
                for _ in 0..<size {
                    guard let table = tables.randomElement(using: &random) else { continue }
                    let id = Int64.random(in: 0..<30, using: &random)
                    let row =
                        Int.random(in: 0..<4, using: &random) == 0
                        ? nil : table.columns.map { cell($0, id) }
                    model[table.name, default: [:]][id] = row
                    batch.append(SinkChange(table: table.name, key: Self.key(id, table), row: row))
                }
                try sink?.apply(batch)
            }
            // Readers see nothing of it yet.
            try compareRows("during \(name), before its commit")
            return model
        }

        private mutating func cell(_ column: ColumnSchema, _ id: Int64) -> Value {
            if column.isKey { return Self.key(id, column) }
            if Int.random(in: 0..<8, using: &random) == 0 { return .null }
            let number = Int64.random(in: -1_000...1_000, using: &random)
            switch column.kind {
            case .bool: return .bool(number > 0)
            case .integer: return .integer(number * 1_000_000_007)
            case .double: return .double(Double(number) / 8)
            case .decimal: return .decimal(ExactDecimal(mantissa: Int128(number), scale: 2))
            case .timestamp: return .timestamp(Timestamp(microseconds: number * 1_234_567))
            case .json: return .json(#"{"a":[\#(number),"x, \"y\""]}"#)
            case .text: return .text(["plain", "a, \"b\"\nc", "é\u{1F600}", " "][Int(number & 3)])
            }
        }

        /// The key of a row: its number in the model, in all parts of the key together.
        private static func key(_ id: Int64, _ table: TableSchema) -> [Value] {
            table.keyColumns.map { key(id, table.columns[$0]) }
        }

        private static func key(_ id: Int64, _ column: ColumnSchema) -> Value {
            switch column.kind {
            case .text: .text(["", "a", "A", "a, \"b\"\nc", "\u{E9}"][Int(id % 5)])
            case .bool: .bool(id / 5 % 2 == 1)
            case .timestamp: .timestamp(Timestamp(microseconds: id / 10 * 86_400_000_000))
            default: .integer(id)
            }
        }

        private mutating func nextPosition() -> SinkPosition {
            sequence += Int64.random(in: 1...1_000, using: &random)
            return SinkPosition(
                view: "conformance", change: ChangeID(VersionNumber(3), sequence),
                offset: Offset(UInt64(sequence & 0xFFFF)), digest: "d\(sequence & 7)")
        }

        // MARK: Comparing

        private func compare(_ when: String) throws {
            let found = try sink?.position()
            if found != position {
                throw failure(
                    "the position \(when)", "\(position.map { "\($0)" } ?? "none")",
                    "\(found.map { "\($0)" } ?? "none")")
            }
            try compareRows(when)
        }

        private func compareRows(_ when: String) throws {
            let found = try read(tables)
            for table in tables {
                let wanted = (rows[table.name] ?? [:]).values.map { $0.map(\.plainText) }
                let there = found[table.name] ?? []
                let (a, b) = (Self.sorted(wanted), Self.sorted(there))
                if a != b {
                    let lost = a.filter { !b.contains($0) }
                    let added = b.filter { !a.contains($0) }
                    throw failure(
                        "the rows of \(table.name) \(when)", "\(a.count) rows, with \(lost)",
                        "\(b.count) rows, with \(added)")
                }
            }
        }

        private static func sorted(_ rows: [[String]]) -> [[String]] {
            rows.sorted { $0.lexicographicallyPrecedes($1) }
        }

        private func failure(_ what: String, _ wanted: String, _ found: String) -> Failure {
            Failure(
                description:
                    "\(what): expected \(wanted), but there is \(found) (seed \(seed))")
        }
    }
}
