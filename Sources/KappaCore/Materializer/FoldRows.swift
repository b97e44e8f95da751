/// The rows of one table of a fold in memory, over a store.
///
/// The row type is known to subclasses only; what commits and evicts them need not know it.
class FoldRows {
    let table: FoldTable
    let index: Int
    let store: any RowStore
    fileprivate(set) var keys: [FoldKey] = []
    fileprivate var slots: [FoldKey: Int] = [:]
    fileprivate var isDirty: [Bool] = []
    fileprivate var isStored: [Bool] = []
    fileprivate var dirty: [Int] = []
    fileprivate var isComplete: Bool

    init(_ table: FoldTable, index: Int, store: any RowStore) throws {
        self.table = table
        self.index = index
        self.store = store
        isComplete = try store.rowCount(table: index) == 0
    }

    /// Makes the rows of a table, with its row type.
    static func make(_ table: FoldTable, index: Int, store: any RowStore) throws -> FoldRows {
        func open<Row: ViewRow>(_ type: Row.Type) throws -> FoldRows {
            try TypedFoldRows<Row>(table, index: index, store: store)
        }
        return try open(table.rowType)
    }

    var dirtyRows: Int { dirty.count }
    /// An estimate: the row's own size, its key, and the book-keeping of both.
    var memoryBytes: Int { keys.count * (rowBytes + 120) }
    fileprivate var rowBytes: Int { 0 }

    /// The cells of a row in the table's order; nil if the row is not there.
    fileprivate func cells(_ slot: Int) throws -> [Value]? { nil }
    /// What the row keeps and does not show, as JSON.
    fileprivate func hidden(_ slot: Int) throws -> String { "{}" }
    fileprivate func isThere(_ slot: Int) -> Bool { false }

    func write(to transaction: any StoreTransaction, changesAt offset: Offset?) throws {
        dirty.sort { FoldKey.isOrdered(keys[$0], keys[$1]) }
        let changes = ChangeLog(
            transaction: transaction, store: store, table: index, schema: table.schema,
            offset: offset)
        for slot in dirty {
            let cells = try cells(slot)
            if cells == nil, !isStored[slot] { continue }
            try changes.note {
                keyJSON(slot)
            } bindKey: {
                bindKey(keys[slot], $0)
            } after: {
                cells.map(rowJSON)
            } write: {
                if let cells {
                    try upsert(slot, cells, transaction.upsert(into: index))
                } else {
                    let writer = transaction.delete(from: index)
                    bindKey(keys[slot], writer)
                    try writer.execute()
                }
            }
        }
    }

    private func upsert(_ slot: Int, _ cells: [Value], _ writer: any RowWriter) throws {
        var sink = StoreSink(writer)
        var hidden = table.schema.hasState ? try hidden(slot) : ""
        try hidden.withUTF8 { hidden in
            try cells.withTexts {
                sink.append($0)
            } then: {
                if table.schema.hasState { sink.blob(UnsafeRawBufferPointer(hidden)) }
                try writer.execute()
            }
        }
    }

    /// Binds a key; SQLite copies its text.
    fileprivate func bindKey(_ key: FoldKey, _ writer: any RowWriter) {
        switch key {
        case .integer(let integer): writer.bind(0, integer)
        case .text(let text): writer.bind(0, text)
        }
    }

    private func keyJSON(_ slot: Int) -> String {
        var sink = JSONSink()
        sink.append(keys[slot].cell(table.keyKind))
        return sink.finish()
    }

    fileprivate func rowJSON(_ cells: [Value]) -> String {
        var sink = JSONSink(names: table.schema.columns.map(\.name))
        cells.emit(to: &sink)
        return sink.finish()
    }

    func committed() {
        for slot in dirty {
            isDirty[slot] = false
            isStored[slot] = isThere(slot)
        }
        dirty.removeAll(keepingCapacity: true)
    }

    /// Forgets all rows; they are in the store.
    func evict() {
        keys = []
        slots = [:]
        isDirty = []
        isStored = []
        isComplete = false
    }
}

/// The rows of one table with their Swift type.
final class TypedFoldRows<Row: ViewRow>: FoldRows {
    private var rows: [Row?] = []

    override fileprivate var rowBytes: Int { MemoryLayout<Row?>.stride }

    /// The row under a key.
    func row(_ key: FoldKey) throws -> Row? { rows[try slot(key)] }

    /// Changes the row under a key; it is as it was if `body` throws.
    func update(_ key: FoldKey, _ body: (inout Row?) throws -> Void) throws {
        let slot = try slot(key)
        var row = rows[slot]
        try body(&row)
        touch(slot)
        rows[slot] = row
    }

    private func touch(_ slot: Int) {
        if isDirty[slot] { return }
        isDirty[slot] = true
        dirty.append(slot)
    }

    private func slot(_ key: FoldKey) throws -> Int {
        if let known = slots[key] { return known }
        let stored = isComplete ? nil : try load(key)
        let slot = keys.count
        slots[key] = slot
        keys.append(key)
        rows.append(stored)
        isDirty.append(false)
        isStored.append(stored != nil)
        return slot
    }

    private func load(_ key: FoldKey) throws -> Row? {
        var row: Row?
        _ = try store.lookUp(table: index) { writer in
            bindKey(key, writer)
        } read: { cursor in
            row = try table.decode(Row.self, cursor)
        }
        return row
    }

    override fileprivate func isThere(_ slot: Int) -> Bool { rows[slot] != nil }

    override fileprivate func cells(_ slot: Int) throws -> [Value]? {
        guard let row = rows[slot] else { return nil }
        guard case .object(let members) = try EncodedValue(encoding: row) else { return nil }
        var cells = [Value](repeating: .null, count: table.schema.columns.count)
        for (field, column) in zip(table.rowFields, table.rowColumns) {
            guard let member = members.first(where: { $0.key == field.path.first }) else {
                continue
            }
            cells[column] = Value(member.value, kind: field.kind)
        }
        cells[table.keyColumn] = keys[slot].cell(table.keyKind)
        return cells
    }

    override fileprivate func hidden(_ slot: Int) throws -> String {
        guard case .object(let members)? = try rows[slot].map({ try EncodedValue(encoding: $0) })
        else { return "{}" }
        let names = table.hiddenFields.compactMap(\.path.first)
        return EncodedValue.object(members.filter { names.contains($0.key) }).json
    }

    override func evict() {
        super.evict()
        rows = []
    }
}

extension FoldTable {
    /// The row that a stored one stands for, with what it keeps hidden.
    package func decode<Row: Decodable>(_ type: Row.Type, _ cursor: any RowCursor) throws -> Row {
        var members: [(key: String, value: JSONValue)] = []
        for (field, column) in zip(rowFields, rowColumns) {
            guard let key = field.path.first else { continue }
            let cell = try JSONValue(cursor, column, field.kind, isOptional: field.isOptional)
            members.append((key, cell))
        }
        if schema.hasState {
            let hidden = try JSONValue(parsing: cursor.blob(schema.columns.count))
            if case .object(let kept) = hidden { members += kept }
        }
        return try Row(from: ValueDecoder(.object(members)))
    }
}

extension FoldKey {
    fileprivate var cell: Value {
        switch self {
        case .integer(let integer): .integer(integer)
        case .text(let text): .text(text)
        }
    }

    fileprivate func cell(_ kind: ColumnKind) -> Value {
        switch (self, kind) {
        case (.integer(let integer), .timestamp): .timestamp(Timestamp(microseconds: integer))
        case (.integer(let integer), .bool): .bool(integer != 0)
        default: cell
        }
    }

    /// As the store orders keys: integers by value, texts by their bytes.
    fileprivate static func isOrdered(_ a: FoldKey, _ b: FoldKey) -> Bool {
        switch (a, b) {
        case (.integer(let x), .integer(let y)): x < y
        case (.text(let x), .text(let y)): x.utf8.lexicographicallyPrecedes(y.utf8)
        case (.integer, .text): true
        case (.text, .integer): false
        }
    }
}
