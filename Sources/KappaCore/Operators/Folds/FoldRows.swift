import CKappaJSON

/// The rows of one table of a fold in memory, over a store.
///
/// A row has the number of its key. The row type is known to subclasses only; what commits and evicts
/// rows need not know it.
class FoldRows {
    let definition: FoldTable
    let index: Int
    let store: any RowStore
    let table: KeyedTable
    private let keyIsText: Bool

    init(_ table: FoldTable, index: Int, store: any RowStore) throws {
        definition = table
        self.index = index
        self.store = store
        keyIsText = table.keyKind.isText
        let stored = try StoredTable(store, index, keyColumns: table.schema.keyColumns)
        self.table = KeyedTable(keyIsText: [keyIsText], stateBytes: 0, over: stored)
    }

    /// Makes the rows of a table, with its row type.
    static func make(_ table: FoldTable, index: Int, store: any RowStore) throws -> FoldRows {
        func open<Row: ViewRow>(_ type: Row.Type) throws -> FoldRows {
            try TypedFoldRows<Row>(table, index: index, store: store)
        }
        return try open(table.rowType)
    }

    var dirtyRows: Int { table.dirty.count }
    /// An estimate. What rows point to is measured when they are read and written; until then it is taken
    /// to be what the events brought.
    var memoryBytes: Int { table.memoryBytes + table.count * rowBytes + pointedBytes }

    /// Notes that rows have taken in events of so many bytes.
    func grew(by bytes: Int) { unmeasuredBytes += bytes }
    private var unmeasuredBytes = 0
    private var pointedBytes: Int { pointsElsewhere ? pointed.total + unmeasuredBytes : 0 }
    fileprivate var pointed = PointedBytes()

    // What subclasses know.
    fileprivate var rowBytes: Int { 0 }
    /// Whether rows may hold texts, lists and the like, which stand elsewhere.
    fileprivate var pointsElsewhere: Bool { false }
    /// Makes room for rows up to a number; new ones are not there.
    fileprivate func grow(to count: Int) {}
    fileprivate func load(_ id: UInt32, _ cursor: any RowCursor) throws {}
    /// The cells of a row in the table's order; nil if the row is not there.
    fileprivate func cells(_ id: UInt32) throws -> [Value]? { nil }
    /// What the row keeps and does not show, as JSON.
    fileprivate func hidden(_ id: UInt32) throws -> String { "{}" }
    fileprivate func isThere(_ id: UInt32) -> Bool { false }
    /// Hands the address of a row to `body`; the row is as it was if `body` throws.
    func change(_ id: UInt32, _ body: (UnsafeMutableRawPointer) throws -> Void) throws {}
    /// The rows' bytes, where there is nothing else to them.
    fileprivate var plainStates: PlainStates? { nil }

    /// The rows, for one who touches those that he has changed; valid until there are more.
    var states: FoldStates { FoldStates(plain: plainStates, change: change) }

    /// Forgets all rows; they are in the store.
    func evict() {
        table.evict()
        pointed = PointedBytes()
    }

    // MARK: Keys

    /// Finds the row of each event of a selection, and reads those in that only the store knows.
    func find(_ events: [Int32], _ column: kj_column, into ids: inout [UInt32]) throws {
        ids.removeAll(keepingCapacity: true)
        // A computed column has no memory before its first value.
        if events.isEmpty { return }
        let key: KeyColumn = keyIsText ? .texts(column.strings) : .integers(column.integers)
        table.find(rows: events[...], keys: [key], into: &ids)
        grow(to: table.count)
        try table.readThrough { id in try table.lookUp(id) { try load(id, $0) } }
    }

    /// The row of one key.
    func find(_ key: FoldKey) throws -> UInt32 {
        let column = ComputedColumn(kind: definition.keyKind)
        column.set(0, key.cell(definition.keyKind))
        var ids: [UInt32] = []
        try withExtendedLifetime(column) { try find([0], column.column, into: &ids) }
        return ids[0]
    }

    /// Notes that a row has changed.
    func touch(_ id: UInt32) { table.touch(id) }
    func touch(_ ids: [UInt32]) { table.touch(ids) }

    // MARK: Writing

    func write(to transaction: any StoreTransaction) throws {
        let writer = transaction.upsert(into: index)
        let deleter = transaction.delete(from: index)
        for id in table.sortDirty() {
            if let cells = try cells(id) {
                try upsert(id, cells, writer)
            } else if table.isStored(id) {
                table.bindKey(id, to: deleter)
                try deleter.execute()
            }
        }
    }

    private func upsert(_ id: UInt32, _ cells: [Value], _ writer: any RowWriter) throws {
        var sink = StoreSink(writer)
        var hidden = definition.schema.hasState ? try hidden(id) : ""
        try hidden.withUTF8 { hidden in
            try cells.withTexts {
                sink.append($0)
            } then: {
                if definition.schema.hasState { sink.blob(UnsafeRawBufferPointer(hidden)) }
                try writer.execute()
            }
        }
    }

    /// The key of a row as a cell of its table.
    fileprivate func key(_ id: UInt32) -> Value { table.value(id, 0, definition.keyKind) }

    func committed() {
        table.committed(isThere)
        unmeasuredBytes = 0
    }
}

/// The rows of one table with their Swift type.
final class TypedFoldRows<Row: ViewRow>: FoldRows {
    private let rows = StateMemory<Row?>(empty: nil)
    /// Whether a row may come back from the store as another one: it is made that one at once, so that
    /// what handlers see does not depend on where commits were.
    private lazy var changesWhenStored = definition.rowFields.contains {
        $0.kind == .double && $0.isOptional
    }
    /// The names of the properties that are columns, and of those that are hidden.
    private lazy var rowNames = definition.rowFields.map { $0.path.first ?? "" }
    private lazy var hiddenNames = NameIndex(definition.hiddenFields.map { $0.path.first ?? "" })
    private lazy var codec = definition.hiddenFields.isEmpty ? try? RowCodec<Row>() : nil

    override fileprivate var rowBytes: Int {
        MemoryLayout<Row?>.stride + (pointsElsewhere ? MemoryLayout<Int>.stride : 0)
    }
    override fileprivate var pointsElsewhere: Bool { !_isPOD(Row.self) }
    override fileprivate func grow(to count: Int) { rows.grow(to: count) }
    override fileprivate var plainStates: PlainStates? { changesWhenStored ? nil : rows.plain }
    override fileprivate func isThere(_ id: UInt32) -> Bool { rows[Int(id)] != nil }

    override fileprivate func load(_ id: UInt32, _ cursor: any RowCursor) throws {
        if pointsElsewhere { pointed.measure(id, cursor, definition.schema) }
        do { rows[Int(id)] = try definition.decode(Row.self, cursor) } catch {
            throw KappaError(
                .damaged, "a row that was committed cannot be read back as \(Row.self)",
                at: "table \(definition.schema.name), key \(key(id).jsonText)",
                because: FieldFailure.reason(error),
                advice:
                    "Where the type has changed and the view's file has not, `kappa rebuild` makes "
                    + "a version of the new type; else its encode(to:) writes what its init(from:) "
                    + "does not read")
        }
    }

    /// The row under a key.
    func row(_ key: FoldKey) throws -> Row? { rows[Int(try find(key))] }

    /// Replaces the row under a key.
    func setRow(_ key: FoldKey, to row: Row?) throws {
        let id = try find(key)
        rows[Int(id)] = try row.map(settled)
        touch(id)
    }

    /// The row as it will come back from the store, which has no NaN.
    private func settled(_ row: Row) throws -> Row {
        guard changesWhenStored else { return row }
        if let codec { return try codec.settled(row) }
        guard case .object(let members) = try JSONValue(encoding: row) else { return row }
        var nans = Set<Int>()
        let values = JSONValue.members(rowNames, of: members)
        for (index, field) in definition.rowFields.enumerated() where field.kind == .double {
            if field.isOptional, case .double(let double)? = values[index], double.isNaN {
                nans.insert(index)
            }
        }
        if nans.isEmpty { return row }
        let names = NameIndex(nans.map { rowNames[$0] })
        let kept = JSONValue.object(members.filter { names.last($0.key) == nil })
        return try Row(from: ValueDecoder(JSONValue(parsing: kept.json), origin: .row))
    }

    override func change(
        _ id: UInt32, _ body: (UnsafeMutableRawPointer) throws -> Void
    ) throws {
        try rows.change(Int(id), body)
        if changesWhenStored, let row = rows[Int(id)] { rows[Int(id)] = try settled(row) }
        touch(id)
    }

    override fileprivate func cells(_ id: UInt32) throws -> [Value]? {
        guard let row = rows[Int(id)] else {
            if pointsElsewhere { pointed.measure(id, []) }
            return nil
        }
        guard case .object(let members) = try encoded(row, id) else { return nil }
        var cells = [Value](repeating: .null, count: definition.schema.columns.count)
        let values = JSONValue.members(rowNames, of: members)
        for (index, column) in definition.rowColumns.enumerated() {
            guard let member = values[index] else { continue }
            let field = definition.rowFields[index]
            if case .unsigned(let value) = member, field.kind == .integer {
                throw tooLarge(value, definition.schema.columns[column].name, key(id))
            }
            cells[column] = Value(encoded: member, kind: field.kind)
        }
        cells[definition.keyColumn] = key(id)
        if pointsElsewhere { pointed.measure(id, cells) }
        return cells
    }

    private func encoded(_ row: Row, _ id: UInt32) throws -> JSONValue {
        do { return try JSONValue(encoding: row) } catch var error as KappaError {
            error.place = [error.place, "table \(definition.schema.name), key \(key(id).jsonText)"]
                .compactMap(\.self).joined(separator: "; ")
            throw error
        }
    }

    /// SQLite has no integers past 63 bits: what it would make of one is not the row.
    private func tooLarge(_ value: UInt64, _ column: String, _ key: Value) -> KappaError {
        KappaError(
            .badInput, "column \(column) cannot hold \(value)",
            at: "table \(definition.schema.name), key \(key.jsonText)",
            because: "integers of rows are signed, of 64 bits",
            advice: "Make the property an ExactDecimal or a String, or keep it hidden with @Hidden")
    }

    override fileprivate func hidden(_ id: UInt32) throws -> String {
        guard
            case .object(let members)? = try rows[Int(id)].map({
                try JSONValue(encoding: $0)
            })
        else { return "{}" }
        let json = JSONValue.object(members.filter { hiddenNames.last($0.key) != nil }).json
        if pointsElsewhere { pointed.add(id, hidden: json.utf8.count) }
        return json
    }

    override func evict() {
        super.evict()
        rows.reset()
    }
}

extension FoldTable {
    /// The row that a stored one stands for, with what it keeps hidden.
    package func decode<Row: Decodable>(_ type: Row.Type, _ cursor: any RowCursor) throws -> Row {
        let state = schema.hasState ? schema.columns.count : nil
        return try decode(type, cursor, columns: rowColumns, state: state, isOwn: true)
    }

    /// The row that one in some table stands for.
    /// - Parameters:
    ///   - columns: Where the fields of the row stand in the table.
    ///   - state: Where what the row keeps hidden stands.
    ///   - isOwn: Whether this definition has written the table. Then a double that is not a number may
    ///     stand as a null, and nothing that is hidden is missing.
    func decode<Row: Decodable>(
        _ type: Row.Type, _ cursor: any RowCursor, columns: [Int], state: Int?, isOwn: Bool
    ) throws -> Row {
        var members: [(key: String, value: JSONValue)] = []
        for (field, column) in zip(rowFields, columns) {
            guard let key = field.path.first else { continue }
            let mayBeNull = field.isOptional || !isOwn
            let cell = try JSONValue(cursor, column, field.kind, isOptional: mayBeNull)
            members.append((key, cell))
        }
        if let state {
            let hidden = try JSONValue(parsing: cursor.blob(state))
            if case .object(let kept) = hidden { members += kept }
            for field in hiddenFields where !isOwn && hidden[field.path[0]] == nil {
                throw FieldFailure.missing(field.path)
            }
        }
        return try Row(from: ValueDecoder(.object(members), origin: .row))
    }
}

extension FoldKey {
    fileprivate func cell(_ kind: ColumnKind) -> Value {
        switch self {
        case .integer(let integer): Value(integerKey: integer, kind: kind)
        case .text(let text): .text(text)
        }
    }
}
