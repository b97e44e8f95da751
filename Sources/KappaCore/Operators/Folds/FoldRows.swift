import CKappaJSON

/// The rows of one table of a fold in memory, backed by the store.
///
/// A row has the number of its key. Only subclasses know the row type; committing and evicting rows does not
/// need it.
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
    /// An estimate. What rows point to is measured when they are read and written; until then it is assumed
    /// to be the bytes of the events.
    var memoryBytes: Int { table.memoryBytes + table.count * rowBytes + pointedBytes }

    /// Records that rows have taken events of this many bytes.
    func grew(by bytes: Int) { unmeasuredBytes += bytes }
    private var unmeasuredBytes = 0
    private var pointedBytes: Int { pointsElsewhere ? pointed.total + unmeasuredBytes : 0 }
    fileprivate var pointed = PointedBytes()

    // Overridden by subclasses.
    fileprivate var rowBytes: Int { 0 }
    /// Whether rows may hold texts, lists and the like, which are stored elsewhere.
    fileprivate var pointsElsewhere: Bool { false }
    /// Makes room for this many rows; new ones are nil.
    fileprivate func grow(to count: Int) {}
    fileprivate func load(_ id: UInt32, _ cursor: any RowCursor) throws {}
    /// The cells of a row in the table's order; nil if there is no row.
    fileprivate func cells(_ id: UInt32) throws -> [Value]? { nil }
    /// The row's hidden fields, as JSON.
    fileprivate func hidden(_ id: UInt32) throws -> String { "{}" }
    fileprivate func isThere(_ id: UInt32) -> Bool { false }
    /// Passes the address of a row to `body`; the row is unchanged if `body` throws.
    func change(_ id: UInt32, _ body: (UnsafeMutableRawPointer) throws -> Void) throws {}
    /// The rows' memory, if rows are plain bytes.
    fileprivate var plainStates: PlainStates? { nil }

    /// The rows, for a caller that touches the rows it changes; valid until rows are added.
    var states: FoldStates { FoldStates(plain: plainStates, change: change) }

    /// Forgets all rows; the store holds them.
    func evict() {
        table.evict()
        pointed = PointedBytes()
    }

    // MARK: Keys

    /// Finds the row of each event of a selection, and loads rows that only the store holds.
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

    /// Marks a row as changed.
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
    /// Whether a row may change when it is stored and read back. Such a row is changed at once, so that what
    /// handlers see does not depend on when commits happened.
    private lazy var changesWhenStored = definition.rowFields.contains {
        $0.kind == .double && $0.isOptional
    }
    /// The names of the properties that are columns, and of the hidden ones.
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
                    "If the type has changed and the view's file has not, `kappa rebuild` makes "
                    + "a version of the new type; if not, its encode(to:) writes what its init(from:) "
                    + "cannot read")
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

    /// The row as the store will return it: the store has no NaN.
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

    /// SQLite cannot store integers of more than 63 bits exactly.
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
    /// Decodes a stored row, with its hidden fields.
    package func decode<Row: Decodable>(_ type: Row.Type, _ cursor: any RowCursor) throws -> Row {
        let state = schema.hasState ? schema.columns.count : nil
        return try decode(type, cursor, columns: rowColumns, state: state, isOwn: true)
    }

    /// Decodes a row of some table.
    /// - Parameters:
    ///   - columns: The table's columns for the fields of the row.
    ///   - state: The column of the hidden fields; nil if there is none.
    ///   - isOwn: Whether this definition has written the table. If so, a null may represent NaN, and no
    ///     hidden field is missing.
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
