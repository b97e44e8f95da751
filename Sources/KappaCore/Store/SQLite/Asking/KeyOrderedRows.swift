/// The rows of one table of one version, one after another in key order.
final class KeyOrderedRows {
    let schema: TableSchema?
    /// The current row; nil after the last.
    private(set) var cursor: SQLiteStatement?
    private let statement: SQLiteStatement?
    private let keyColumns: [Int]
    private let keyIsText: [Bool]
    private let wish: Wish
    /// Restricts the condition to this table, for as long as the rows are read.
    private let guardian: SQLGuard?

    /// Which rows are wanted.
    enum Wish {
        case all
        case those(RowCondition)
        /// None: the table lacks a column of the condition.
        case none
    }

    /// - Parameters:
    ///   - reader: The version; without one there are no rows.
    ///   - key: Only the row of this key; all rows where it has no parts, none where it is nil.
    ///   - last: Only the rows after this key; all where it is empty.
    ///   - wish: Evaluated for each row; see ``isWanted``.
    init(
        _ reader: VersionReader?, _ table: String, key: [Value]? = [], after last: [Value] = [],
        wish: Wish = .all
    ) throws {
        self.wish = wish
        schema = reader?.tables.first { $0.name == table }
        let keyColumns = schema?.keyColumns ?? []
        self.keyColumns = keyColumns
        keyIsText =
            schema.map { schema in
                keyColumns.map {
                    schema.columns[$0].kind == .text || schema.columns[$0].kind == .json
                }
            } ?? []
        guard let reader, let schema, let key else {
            statement = nil
            guardian = nil
            return
        }
        var condition: String?
        if case .those(let judged) = wish {
            condition = judged.sql
            SQLFunctions.add(to: reader.connection)
            guardian = SQLGuard(reader.connection, tables: [table], seconds: Self.mostSeconds)
        } else {
            guardian = nil
        }
        let statement = try reader.connection.prepare(
            Self.sql(schema, hasKey: !key.isEmpty, hasLast: !last.isEmpty, condition))
        self.statement = statement
        for (index, part) in (key + last).enumerated() { statement.bind(index, part) }
        try next()
    }

    /// How long the evaluation of a condition may take.
    private static let mostSeconds = 3_600

    private static func sql(
        _ schema: TableSchema, hasKey: Bool, hasLast: Bool, _ condition: String?
    ) -> String {
        var columns = schema.columns.map { VersionSchema.quoted($0.name) }
        if let condition { columns.append("(\(condition))") }
        let parts = schema.keyColumns.map { "\(VersionSchema.quoted(schema.columns[$0].name)) = ?" }
        let keys = VersionSchema.keyList(schema)
        let marks = Array(repeating: "?", count: parts.count).joined(separator: ", ")
        let filter =
            hasKey
            ? " WHERE " + parts.joined(separator: " AND ")
            : hasLast ? " WHERE (\(keys)) > (\(marks))" : ""
        return "SELECT \(columns.joined(separator: ", ")) FROM "
            + "\(VersionSchema.quoted(schema.name))\(filter) "
            + "ORDER BY \(keys)"
    }

    func next() throws(KappaError) {
        guard let statement else { return }
        do throws(KappaError) { cursor = try statement.step() ? statement : nil } catch {
            if case .those(let condition) = wish { throw condition.restated(error) }
            throw error
        }
    }

    var isThere: Bool { cursor != nil }

    /// Whether the current row is wanted.
    var isWanted: Bool {
        switch wish {
        case .all: return true
        case .none: return false
        case .those:
            guard let cursor, let count = schema?.columns.count else { return false }
            return cursor.isTrue(count)
        }
    }

    func value(_ column: Int) -> Value {
        guard let cursor, let schema else { return .null }
        return schema.value(cursor, column)
    }

    var values: [Value] { schema?.columns.indices.map { value($0) } ?? [] }
    var key: [Value] { keyColumns.map { value($0) } }

    /// Negative where the left row's key sorts before the right one's, zero where they are equal, positive
    /// where it sorts after.
    static func compare(_ left: KeyOrderedRows, _ right: KeyOrderedRows) -> Int {
        guard let a = left.cursor, let b = right.cursor else { return left.isThere ? -1 : 1 }
        for index in left.keyColumns.indices {
            let x = left.keyColumns[index]
            let y = right.keyColumns[index]
            if left.keyIsText[index] {
                let order = ByteOrder.compare(a.text(x), b.text(y))
                if order != 0 { return order }
            } else {
                let (i, j) = (a.integer(x), b.integer(y))
                if i != j { return i < j ? -1 : 1 }
            }
        }
        return 0
    }
}

extension SQLiteStatement {
    /// Binds a cell; texts are copied.
    func bind(_ index: Int, _ value: Value) {
        switch value {
        case .null: bindNull(index)
        case .bool(let bool): bind(index, Int64(bool ? 1 : 0))
        case .integer(let integer): bind(index, integer)
        case .double(let double): bind(index, double)
        case .decimal(let decimal): DecimalCell.bind(decimal, to: self, at: index)
        case .text(let text), .json(let text): bind(index, text)
        case .timestamp(let time): bind(index, time.microseconds)
        }
    }

    /// Whether a cell is true in SQL's sense: a number other than zero.
    fileprivate func isTrue(_ index: Int) -> Bool { double(index) != 0 }
}
