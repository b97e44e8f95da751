/// Passes everything on, and tells what is written to one table.
final class CapturingTransaction: StoreTransaction {
    private let transaction: any StoreTransaction
    private let table: Int
    private let groups: DerivedGroups
    private let columns: Int
    private let keyColumns: [Int]
    private let writer: CapturingWriter
    private let deleter: CapturingWriter

    /// - Parameter groups: Gets each row that is written, and learns of each that is deleted.
    init(
        _ transaction: any StoreTransaction, table: Int, _ schema: TableSchema,
        into groups: DerivedGroups
    ) {
        self.transaction = transaction
        self.table = table
        self.groups = groups
        columns = schema.columns.count + 1
        let keyColumns = schema.keyColumns
        self.keyColumns = keyColumns
        writer = CapturingWriter(transaction.upsert(into: table), columns: columns) { row in
            try groups.set(row, keyColumns, row)
        }
        let keyCells = Array(keyColumns.indices)
        deleter = CapturingWriter(
            transaction.delete(from: table), columns: keyColumns.count
        ) { key in try groups.set(key, keyCells, nil) }
    }

    func upsert(into table: Int) -> any RowWriter {
        table == self.table ? writer : transaction.upsert(into: table)
    }
    func delete(from table: Int) -> any RowWriter {
        table == self.table ? deleter : transaction.delete(from: table)
    }

    /// Many rows are made twice: they may be written by several threads, and are taken in by one.
    func upsertRows(
        into table: Int, count: Int, _ write: (Int, any RowWriter) throws -> Void
    ) throws {
        try transaction.upsertRows(into: table, count: count, write)
        guard table == self.table else { return }
        let (groups, keyColumns) = (groups, keyColumns)
        // Rows that come in the order of their keys come once each.
        let areNew = groups.isEmpty
        let taker = CapturingWriter(nil, columns: columns) { row in
            if areNew {
                try groups.append(row, keyColumns)
            } else {
                try groups.set(row, keyColumns, row)
            }
        }
        defer { groups.endRun() }
        for index in 0..<count { try write(index, taker) }
    }

    func add(_ deadLetter: DeadLetter) throws(KappaError) { try transaction.add(deadLetter) }
    func add(_ change: ChangeRecord) throws(KappaError) { try transaction.add(change) }
}

/// Binds cells to another writer, if there is one, and remembers them until the row is written.
private final class CapturingWriter: RowWriter, RowCursor {
    private enum Cell {
        case null
        case integer(Int64)
        case double(Double)
        case bytes(UnsafeRawBufferPointer, CellStorage)
        case copy(String)
    }
    private let writer: (any RowWriter)?
    private let cells: UnsafeMutableBufferPointer<Cell>
    private let written: (CapturingWriter) throws -> Void
    private var scratch: [UInt8] = []

    init(
        _ writer: (any RowWriter)?, columns: Int,
        written: @escaping (CapturingWriter) throws -> Void
    ) {
        self.writer = writer
        self.written = written
        cells = .allocate(capacity: columns)
        cells.initialize(repeating: .null)
    }

    deinit {
        cells.deinitialize()
        cells.deallocate()
    }

    func bindNull(_ index: Int) {
        cells[index] = .null
        writer?.bindNull(index)
    }
    func bind(_ index: Int, _ value: Int64) {
        cells[index] = .integer(value)
        writer?.bind(index, value)
    }
    func bind(_ index: Int, _ value: Double) {
        cells[index] = .double(value)
        writer?.bind(index, value)
    }
    func bind(_ index: Int, text: UnsafeRawBufferPointer) {
        cells[index] = .bytes(text, .text)
        writer?.bind(index, text: text)
    }
    func bind(_ index: Int, _ text: String) {
        cells[index] = .copy(text)
        writer?.bind(index, text)
    }
    func bind(_ index: Int, blob: UnsafeRawBufferPointer) {
        cells[index] = .bytes(blob, .blob)
        writer?.bind(index, blob: blob)
    }

    func execute() throws(KappaError) {
        do { try written(self) } catch let error as KappaError {
            throw error
        } catch {
            throw KappaError(
                .badInput, "a second step cannot take a row", because: FieldFailure.reason(error),
                advice: "Let its closures give a value for every row of the step before")
        }
        try writer?.execute()
    }

    // The row as it is about to be written.

    func isNull(_ index: Int) -> Bool { storage(index) == .null }
    func integer(_ index: Int) -> Int64 {
        switch cells[index] {
        case .integer(let value): value
        case .double(let value): Int64(exactly: value) ?? 0
        case .null, .bytes, .copy: 0
        }
    }
    func double(_ index: Int) -> Double {
        switch cells[index] {
        case .integer(let value): Double(value)
        case .double(let value): value
        case .null, .bytes, .copy: 0
        }
    }
    func text(_ index: Int) -> UnsafeRawBufferPointer {
        switch cells[index] {
        case .bytes(let bytes, _): return bytes
        case .copy(let text):
            // Valid until the next text is asked for.
            scratch = Array(text.utf8)
            return scratch.withUnsafeBytes { $0 }
        case .null, .integer, .double: return UnsafeRawBufferPointer(start: nil, count: 0)
        }
    }
    func blob(_ index: Int) -> UnsafeRawBufferPointer { text(index) }
    func storage(_ index: Int) -> CellStorage {
        switch cells[index] {
        case .null: .null
        case .integer: .integer
        case .double: .double
        case .bytes(_, let storage): storage
        case .copy: .text
        }
    }
}
