/// Runs a step over another step's table: when that is written, what changed in it goes on from here.
///
/// What a group makes depends on its rows alone, so nothing is remembered but the upstream's table:
/// after a restart, the groups are made of it again.
final class DerivedRunner: StepRunner {
    private let definition: DerivedDefinition
    private let input: any DerivedInput
    private let upstream: any StepRunner
    private let upstreamTable: Int
    private let upstreamSchema: TableSchema
    private let tableIndex: Int
    /// The rows that each group has in the table, without the group's key.
    private var written: [PackedKey: Output] = [:]
    private let rows: DerivedAggregates?

    private struct Output {
        let key: [Value]
        let rows: [[Value]]
    }

    init(
        _ definition: DerivedDefinition, upstream: any StepRunner, upstreamTable: Int,
        store: any RowStore, table: Int
    ) throws {
        self.definition = definition
        self.upstream = upstream
        self.upstreamTable = upstreamTable
        upstreamSchema = definition.stateTables[definition.stateTables.count - 1]
        tableIndex = table
        input = try definition.open()
        rows = definition.functions.map { DerivedAggregates($0) }
        try store.scan(table: upstreamTable) { [upstreamSchema] cursor in
            try input.set(upstreamSchema.packedKey(cursor), cursor)
        }
        for group in input.takeChangedGroups() { written[group] = try output(group) }
    }

    func apply(_ batch: EventBatch, _ range: Range<Int>, _ pass: BatchPass) throws {
        try upstream.apply(batch, range, pass)
    }

    var memoryBytes: Int { upstream.memoryBytes + input.count * Self.bytesPerRow }
    /// An estimate.
    private static let bytesPerRow = 250
    var dirtyRows: Int { upstream.dirtyRows }

    func write(to transaction: any StoreTransaction, changesAt offset: Offset?) throws {
        let capturing = CapturingTransaction(transaction, table: upstreamTable, upstreamSchema) {
            [input] key, row in try input.set(key, row)
        }
        do {
            try upstream.write(to: capturing, changesAt: nil)
            try writeGroups(transaction, changesAt: offset)
        } catch let error as KappaError {
            throw error
        } catch {
            throw KappaError(
                .badInput, "a second step cannot take a row", at: "table \(definition.table.name)",
                because: FieldFailure.reason(error),
                advice: "Let its closures give a value for every row of the step before")
        }
    }

    private func writeGroups(
        _ transaction: any StoreTransaction, changesAt offset: Offset?
    ) throws {
        let writer = transaction.upsert(into: tableIndex)
        let deleter = transaction.delete(from: tableIndex)
        let changes = RowChanges(
            transaction: transaction, table: tableIndex, schema: definition.table,
            offset: offset)
        for group in input.takeChangedGroups() {
            let before = written[group]
            let after = try output(group)
            let key = after?.key ?? before?.key ?? []
            let (old, new) = (before?.rows ?? [], after?.rows ?? [])
            for index in 0..<max(old.count, new.count) {
                let (was, isNow) = (old.at(index), new.at(index))
                if was == isNow { continue }
                try changes.note(before: was.map { key + $0 }, after: isNow.map { key + $0 })
                if let isNow {
                    for (cell, value) in (key + isNow).enumerated() { writer.bind(cell, value) }
                    try writer.execute()
                } else if let was {
                    let row = key + was
                    for (part, column) in definition.table.keyColumns.enumerated() {
                        deleter.bind(part, row[column])
                    }
                    try deleter.execute()
                }
            }
            written[group] = after
        }
    }

    /// What a group makes; nil where it has no rows.
    private func output(_ group: PackedKey) throws -> Output? {
        var result: Output?
        try input.output(group) { output in
            switch output {
            case .nothing: break
            case .rows(let made): result = Output(key: input.keyCells(group), rows: made)
            case .columns(let columns):
                let cells = try rows?.cells(columns) ?? []
                result = Output(key: input.keyCells(group), rows: [cells])
            }
        }
        return result
    }

    func committed(mayEvict: Bool) { upstream.committed(mayEvict: mayEvict) }
}

/// Aggregates the rows of one group at a time.
private final class DerivedAggregates {
    private let accumulators: [Accumulator]
    private let heldBytes = StateBytes()
    private let record: UnsafeMutableRawPointer
    private let size: Int

    init(_ shapes: [AggregateShape]) {
        var place = 0
        let counter = heldBytes.counter
        accumulators = shapes.map { shape in
            let accumulator = Accumulator(
                shape, place: place, savesOffsets: false, heldBytes: counter)
            place += accumulator.size
            return accumulator
        }
        size = max(16, place)
        record = .allocate(byteCount: size, alignment: 16)
    }

    deinit { record.deallocate() }

    func cells(_ inputs: AggregateInputs) throws -> [Value] {
        record.initializeMemory(as: UInt8.self, repeating: 0, count: size)
        defer { for accumulator in accumulators { accumulator.free(record) } }
        var sink = ValueSink()
        for (accumulator, columns) in zip(accumulators, inputs.columns) {
            for row in 0..<inputs.count {
                try accumulator.add(record, columns, row, offset: Int64(row))
            }
            accumulator.emit(record, to: &sink)
        }
        return sink.cells
    }
}

extension Array {
    fileprivate func at(_ index: Int) -> Element? { index < count ? self[index] : nil }
}
