/// One difference between two files of the same definition.
package struct Discrepancy: Equatable, Sendable {
    package var table: String
    package var key: [Value]
    /// The column; nil if only one file has the row.
    package var column: String?
    /// The two contents: a cell, or a whole row as a JSON object; nil if the row is missing.
    package var first: Value?
    package var second: Value?

    /// The differences between two files: rows, dead letters and counters, in this order.
    struct List {
        private(set) var findings: [Discrepancy] = []
        private(set) var count = 0
        private let most: Int
        /// Ends a comparison that has found enough.
        private struct Enough: Error {}
        private let stopsThere: Bool

        /// Compares two files, in a snapshot of each.
        /// - Parameters:
        ///   - most: How many findings are kept.
        ///   - stopsThere: Whether to stop at that number instead of counting the rest.
        init(
            _ first: VersionReader, _ second: VersionReader, most: Int, stopsThere: Bool = false
        ) throws {
            self.most = most
            self.stopsThere = stopsThere
            do {
                try first.snapshot {
                    try second.snapshot { try compare(first, second) }
                }
            } catch is Enough {}
        }

        private mutating func add(_ finding: Discrepancy) throws {
            count += 1
            if findings.count < most { findings.append(finding) }
            if stopsThere, count >= most { throw Enough() }
        }

        private mutating func compare(_ first: VersionReader, _ second: VersionReader) throws {
            var summary = DiffSummary()
            try Diff(first, second).compareRows(&summary) { difference in
                try add(difference, first.tables, second.tables)
            }
            try compareDeadLetters(first, second)
            try compareCounters(try first.checkpoint(), try second.checkpoint())
        }

        private mutating func add(
            _ difference: RowDifference, _ first: [TableSchema], _ second: [TableSchema]
        ) throws {
            let old = first.first { $0.name == difference.table }
            let new = second.first { $0.name == difference.table }
            guard difference.operation == .changed else {
                return try add(
                    Discrepancy(
                        table: difference.table, key: difference.key, column: nil,
                        first: difference.before.flatMap { Self.row($0, old) },
                        second: difference.after.flatMap { Self.row($0, new) }))
            }
            for column in difference.columns {
                try add(
                    Discrepancy(
                        table: difference.table, key: difference.key, column: column,
                        first: Self.cell(column, difference.before, old),
                        second: Self.cell(column, difference.after, new)))
            }
        }

        private static func cell(
            _ column: String, _ row: [Value]?, _ schema: TableSchema?
        ) -> Value {
            guard let row, let index = schema?.columns.firstIndex(where: { $0.name == column })
            else { return .null }
            return sound(row[index])
        }

        private static func row(_ row: [Value], _ schema: TableSchema?) -> Value? {
            guard let schema else { return nil }
            return .json(
                JSONText.string { text in
                    for (index, column) in schema.columns.enumerated() {
                        text.append(raw: index == 0 ? "{" : ",")
                        text.append(string: column.name)
                        text.append(raw: ":")
                        sound(row[index]).append(to: &text)
                    }
                    text.append(raw: "}")
                })
        }

        /// A damaged file may have invalid JSON in a JSON column: it is then shown as text.
        private static func sound(_ value: Value) -> Value {
            guard case .json(let text) = value else { return value }
            return (try? JSONValue(parsing: text)) == nil ? .text(text) : value
        }

        private mutating func compareDeadLetters(
            _ first: VersionReader, _ second: VersionReader
        ) throws {
            let (old, new) = (try first.deadLetters(), try second.deadLetters())
            var (a, b) = (try old.next(), try new.next())
            while let offset = [a, b].compactMap(\.?.offset).min() {
                let left = a?.offset == offset ? a : nil
                let right = b?.offset == offset ? b : nil
                let key = [Value.integer(Int64(bitPattern: offset.rawValue))]
                if let left, let right {
                    for (column, path) in [("reason", \DeadLetter.reason), ("event", \.event)]
                    where left[keyPath: path] != right[keyPath: path] {
                        try add(
                            Discrepancy(
                                table: "_kappa_dead", key: key, column: column,
                                first: .text(left[keyPath: path]),
                                second: .text(right[keyPath: path])))
                    }
                } else {
                    try add(
                        Discrepancy(
                            table: "_kappa_dead", key: key, column: nil,
                            first: (left?.reason).map { .text($0) },
                            second: (right?.reason).map { .text($0) }))
                }
                if left != nil { a = try old.next() }
                if right != nil { b = try new.next() }
            }
        }

        private mutating func compareCounters(_ first: Checkpoint, _ second: Checkpoint) throws {
            let counters: [(String, KeyPath<Counters, UInt64>)] = [
                ("applied", \.applied), ("filtered", \.filtered), ("late", \.late),
                ("dead", \.dead),
            ]
            for (name, path) in counters {
                let (a, b) = (first.counters[keyPath: path], second.counters[keyPath: path])
                if a == b { continue }
                try add(
                    Discrepancy(
                        table: "_kappa_checkpoint", key: [], column: name,
                        first: .integer(Int64(bitPattern: a)),
                        second: .integer(Int64(bitPattern: b))))
            }
        }
    }
}
