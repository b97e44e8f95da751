/// Runs a step over another step's table: when that is written, what changed in it goes on from here.
///
/// What a group makes depends on its rows alone, so nothing is remembered but the upstream's table:
/// after a restart, the groups are made of it again.
final class DerivedRunner: StepRunner {
    private let definition: DerivedDefinition
    private let groups: DerivedGroups
    private let output: DerivedOutputs
    private let upstream: any StepRunner
    private let upstreamTable: Int
    private let upstreamSchema: TableSchema
    private let tableIndex: Int
    private let keyParts: Int
    /// What each group has in the table: rows without the group's key and their number.
    private var written: [[PackedRow]] = []

    init(
        _ definition: DerivedDefinition, upstream: any StepRunner, upstreamTable: Int,
        store: any RowStore, table: Int
    ) throws {
        self.definition = definition
        self.upstream = upstream
        self.upstreamTable = upstreamTable
        upstreamSchema = definition.stateTables[definition.stateTables.count - 1]
        tableIndex = table
        keyParts = definition.keyKinds.count
        let shape = try definition.open()
        let keyColumns = upstreamSchema.keyColumns
        groups = DerivedGroups(
            shape, rowKeys: keyColumns.map { [upstreamSchema] in upstreamSchema.columns[$0].kind },
            groupKeys: definition.keyKinds)
        output = DerivedOutputs(shape, cells: definition.table.columns.count - keyParts)
        try store.scan(table: upstreamTable) { cursor in
            try groups.append(cursor, keyColumns)
        }
        groups.endRun()
        for group in groups.takeChangedGroups() {
            let made = try output.make(group, of: groups)
            setWritten(group, made)
        }
    }

    func apply(_ batch: EventBatch, _ range: Range<Int>, _ pass: BatchPass) throws {
        try upstream.apply(batch, range, pass)
    }

    var memoryBytes: Int { upstream.memoryBytes + groups.memoryBytes + output.memoryBytes }
    var dirtyRows: Int { upstream.dirtyRows }

    // MARK: Writing

    func write(to transaction: any StoreTransaction, changesAt offset: Offset?) throws {
        let capturing = CapturingTransaction(
            transaction, table: upstreamTable, upstreamSchema, into: groups)
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
        for group in groups.takeChangedGroups() {
            let before = Int(group) < written.count ? written[Int(group)] : []
            let after = try output.make(group, of: groups)
            for index in 0..<max(before.count, after.count) {
                let (was, isNow) = (before.at(index), after.at(index))
                if let was, let isNow, was.isSame(as: isNow) { continue }
                if offset != nil {
                    try changes.note(
                        before: was.map { values($0, index, group) },
                        after: isNow.map { values($0, index, group) })
                }
                let target = isNow == nil ? deleter : writer
                for part in 0..<keyParts {
                    groups.groups.bind(group, part, to: target, at: part)
                }
                if output.isNumbered { target.bind(keyParts, Int64(index + 1)) }
                if let isNow { output.bind(isNow, to: target, at: keyParts) }
                try target.execute()
            }
            output.release(before)
            setWritten(group, after)
        }
    }

    private func setWritten(_ group: UInt32, _ rows: [PackedRow]) {
        while written.count <= Int(group) { written.append([]) }
        written[Int(group)] = rows
    }

    /// The cells of a row of the table.
    private func values(_ row: PackedRow, _ index: Int, _ group: UInt32) -> [Value] {
        let key = (0..<keyParts).map { groups.groups.value(group, $0, definition.keyKinds[$0]) }
        let number = output.isNumbered ? [Value.integer(Int64(index + 1))] : []
        let kinds = definition.table.columns.dropFirst(keyParts + number.count).map(\.kind)
        return key + number + output.values(row, kinds)
    }

    func committed(mayEvict: Bool) {
        upstream.committed(mayEvict: mayEvict)
        groups.compactRows()
        groups.compactGroups { from, to in
            // A group's new number is never larger than its old one, and they come in order.
            written[Int(to)] = written[Int(from)]
            if from != to { written[Int(from)] = [] }
        }
    }
}

extension Array {
    fileprivate func at(_ index: Int) -> Element? { index < count ? self[index] : nil }
}
