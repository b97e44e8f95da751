/// Passes everything on, and tells what is written to one table.
final class CapturingTransaction: StoreTransaction {
    private let transaction: any StoreTransaction
    private let table: Int
    private let writer: CapturingWriter
    private let deleter: CapturingWriter

    /// - Parameter capture: Gets each row that is written, or the key of one that is deleted.
    init(
        _ transaction: any StoreTransaction, table: Int, _ schema: TableSchema,
        capture: @escaping (_ row: any RowCursor, _ isThere: Bool) throws -> Void
    ) {
        self.transaction = transaction
        self.table = table
        writer = CapturingWriter(
            transaction.upsert(into: table), columns: schema.columns.count + 1
        ) { cells in try capture(cells, true) }
        deleter = CapturingWriter(
            transaction.delete(from: table), columns: schema.keyColumns.count
        ) { cells in try capture(cells, false) }
    }

    func upsert(into table: Int) -> any RowWriter {
        table == self.table ? writer : transaction.upsert(into: table)
    }
    func delete(from table: Int) -> any RowWriter {
        table == self.table ? deleter : transaction.delete(from: table)
    }
    func add(_ deadLetter: DeadLetter) throws(KappaError) { try transaction.add(deadLetter) }
    func add(_ change: ChangeRecord) throws(KappaError) { try transaction.add(change) }
}

/// Binds cells to another writer and remembers them until the row is written.
private final class CapturingWriter: RowWriter, RowCursor {
    private enum Cell {
        case null
        case integer(Int64)
        case double(Double)
        case bytes(UnsafeRawBufferPointer, CellStorage)
        case copy(String)
    }
    private let writer: any RowWriter
    private var cells: [Cell]
    private let written: (CapturingWriter) throws -> Void
    private var scratch: [UInt8] = []

    init(
        _ writer: any RowWriter, columns: Int,
        written: @escaping (CapturingWriter) throws -> Void
    ) {
        self.writer = writer
        self.written = written
        cells = Array(repeating: .null, count: columns)
    }

    func bindNull(_ index: Int) {
        cells[index] = .null
        writer.bindNull(index)
    }
    func bind(_ index: Int, _ value: Int64) {
        cells[index] = .integer(value)
        writer.bind(index, value)
    }
    func bind(_ index: Int, _ value: Double) {
        cells[index] = .double(value)
        writer.bind(index, value)
    }
    func bind(_ index: Int, text: UnsafeRawBufferPointer) {
        cells[index] = .bytes(text, .text)
        writer.bind(index, text: text)
    }
    func bind(_ index: Int, _ text: String) {
        cells[index] = .copy(text)
        writer.bind(index, text)
    }
    func bind(_ index: Int, blob: UnsafeRawBufferPointer) {
        cells[index] = .bytes(blob, .blob)
        writer.bind(index, blob: blob)
    }

    func execute() throws(KappaError) {
        do { try written(self) } catch let error as KappaError {
            throw error
        } catch {
            throw KappaError(
                .badInput, "a second step cannot take a row", because: FieldFailure.reason(error),
                advice: "Let its closures give a value for every row of the step before")
        }
        try writer.execute()
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
