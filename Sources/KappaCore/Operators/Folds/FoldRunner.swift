/// Runs a fold: passes each event to its handlers in log order.
final class FoldRunner: StepRunner {
    private let handlers: [(table: Int, reader: any FoldReader)]
    private let tables: [FoldRows]
    /// The index of each table's keys, if there is one.
    private let indexes: [KeyIndexWriter?]
    private let budgetBytes: Int
    /// What each handler takes from the batch: events, and the rows of their keys.
    private var selections: [[Int32]]
    private var ids: [[UInt32]]
    /// Which handlers take each event of the batch, one bit for each.
    private var takers: [UInt64] = []
    /// Restores the rows that a handler has set in other tables, if it throws.
    private var undo: [() throws -> Void] = []

    init(
        _ definition: FoldDefinition, plan: ExtractionPlan, store: any RowStore,
        firstTable: Int, indexes: [KeyIndexWriter?], budgetBytes: Int
    ) throws {
        guard definition.handlers.count <= UInt64.bitWidth else {
            throw KappaError(
                .usage, "a fold has more than \(UInt64.bitWidth) handlers",
                advice: "Split it into two views")
        }
        tables = try definition.tables.enumerated().map { index, table in
            try FoldRows.make(table, index: firstTable + index, store: store)
        }
        handlers = try definition.handlers.map { table, handler in
            (table, try handler.open(plan, definition.tables[table].initial))
        }
        selections = definition.handlers.map { _ in [] }
        ids = definition.handlers.map { _ in [] }
        self.indexes = indexes
        self.budgetBytes = budgetBytes
    }

    var memoryBytes: Int { tables.reduce(0) { $0 + $1.memoryBytes } }
    var dirtyRows: Int { tables.reduce(0) { $0 + $1.dirtyRows } }

    func apply(_ batch: EventBatch, _ range: Range<Int>, _ pass: BatchPass) throws {
        let lookUps = Tables(state: self)
        for table in tables { table.grew(by: batch.payload.count) }
        for (index, handler) in handlers.enumerated() {
            selections[index].removeAll(keepingCapacity: true)
            handler.reader.load(batch)
            handler.reader.select(range, into: &selections[index])
            let keys = handler.reader.keys(of: &selections[index], batch) { event, reason in
                pass.kill(Int(event), reason)
            }
            // If a handler throws, its event is marked as dead later.
            pass.markApplied(selections[index])
            try tables[handler.table].find(selections[index], keys, into: &ids[index])
            indexes[handler.table]?.add(
                selections[index][...], ids[index], of: tables[handler.table].table.keys,
                firstOffset: batch.firstOffset)
        }
        if handlers.count == 1 {
            try applyAlone(handlers[0].reader, tables[handlers[0].table], lookUps, pass)
        } else {
            try applyInTurn(batch.count, range, lookUps, pass)
        }
    }

    /// Passes all events to the only handler.
    private func applyAlone(
        _ reader: any FoldReader, _ rows: FoldRows, _ lookUps: Tables, _ pass: BatchPass
    ) throws {
        if reader.seesTables {
            for (event, id) in zip(selections[0], ids[0]) {
                try apply(Int(event), id, reader, rows, lookUps, pass)
            }
            return
        }
        var failed: Set<Int> = []
        reader.apply(selections[0], ids[0], to: rows.states, lookUps) { index, error in
            failed.insert(index)
            pass.kill(Int(selections[0][index]), FieldFailure.reason(error))
        }
        if failed.isEmpty { return rows.touch(ids[0]) }
        for (index, id) in ids[0].enumerated() where !failed.contains(index) { rows.touch(id) }
    }

    /// Visits the events in log order, and the handlers of each event in the order in which the view names
    /// them.
    private func applyInTurn(
        _ count: Int, _ range: Range<Int>, _ lookUps: Tables, _ pass: BatchPass
    ) throws {
        takers.removeAll(keepingCapacity: true)
        takers.append(contentsOf: repeatElement(0, count: count))
        for (index, selection) in selections.enumerated() {
            for event in selection { takers[Int(event)] |= 1 << UInt64(index) }
        }
        var next = [Int](repeating: 0, count: handlers.count)
        for event in range where takers[event] != 0 {
            var rest = takers[event]
            while rest != 0 {
                let index = rest.trailingZeroBitCount
                rest &= rest - 1
                let handler = handlers[index]
                try apply(
                    event, ids[index][next[index]], handler.reader, tables[handler.table],
                    lookUps, pass)
                next[index] += 1
            }
        }
    }

    private func apply(
        _ event: Int, _ id: UInt32, _ reader: any FoldReader, _ rows: FoldRows,
        _ lookUps: Tables, _ pass: BatchPass
    ) throws {
        do {
            try rows.change(id) { state in
                try reader.apply(event, to: state, lookUps)
            }
        } catch let error as StoreFailure {
            throw error.error
        } catch {
            for step in undo.reversed() { try step() }
            pass.kill(event, FieldFailure.reason(error))
        }
        if !undo.isEmpty { undo.removeAll(keepingCapacity: true) }
    }

    /// Marks a failure of the store, so that it is not taken for a failure of the handler.
    private struct StoreFailure: Error {
        let error: any Error
    }

    private func typed<Row: ViewRow>(_ table: Int, _ type: Row.Type) throws -> TypedFoldRows<Row> {
        guard let rows = tables[table] as? TypedFoldRows<Row> else {
            throw FieldFailure(
                description: "table \(tables[table].definition.schema.name) has no rows of \(type)")
        }
        return rows
    }

    private func index(ofTable name: String) throws -> Int {
        guard let index = tables.firstIndex(where: { $0.definition.schema.name == name }) else {
            throw FieldFailure(description: "no handler of this view fills table \(name)")
        }
        return index
    }

    // MARK: What handlers see

    func row<Row: ViewRow>(
        ofTable name: String, key: FoldKey, as type: Row.Type
    ) throws -> Row? {
        let rows = try typed(try index(ofTable: name), type)
        do { return try rows.row(key) } catch { throw StoreFailure(error: error) }
    }

    func setRow<Row: ViewRow>(ofTable name: String, key: FoldKey, to row: Row?) throws {
        let rows = try typed(try index(ofTable: name), Row.self)
        do {
            let old = try rows.row(key)
            try rows.setRow(key, to: row)
            undo.append { try rows.setRow(key, to: old) }
        } catch {
            throw StoreFailure(error: error)
        }
    }

    // MARK: Writing

    func write(to transaction: any StoreTransaction) throws {
        for table in tables { try table.write(to: transaction) }
    }

    func committed(mayEvict: Bool) {
        for table in tables { table.committed() }
        if mayEvict, memoryBytes > budgetBytes {
            for table in tables { table.evict() }
        }
    }
}
