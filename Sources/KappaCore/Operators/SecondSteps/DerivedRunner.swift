/// Runs a step over another step's table: it takes that table's changes when they are written.
///
/// The result of a group depends only on its rows, so the only state is the upstream's table, from which
/// groups can be loaded again at any time. If the rows of a group are consecutive there, a group is loaded
/// when one of its rows changes; else all groups are loaded at the start.
final class DerivedRunner: StepRunner, RowListener {
    private let definition: DerivedDefinition
    private let shape: DerivedRows
    private let groups: DerivedGroups
    private let output: DerivedOutputs
    private let store: any RowStore
    private let upstream: any StepRunner
    private let upstreamTable: Int
    private let upstreamSchema: TableSchema
    private let tableIndex: Int
    private let keyParts: Int
    private let budgetBytes: Int
    /// The columns of the key in the upstream's rows, and, if groups are ranges, those of its prefix that is
    /// the group's key.
    private let rowKey: [Int]
    private let rangeKey: [Int]?
    /// The same in a cursor that holds only the key.
    private let bareRowKey: [Int]
    private let bareRangeKey: [Int]?
    /// Whether the upstream's table has never had a row.
    private var isNew: Bool
    /// Each group's rows in the table, without the group's key and their numbers.
    private var written: [[PackedRow]] = []

    init(
        _ definition: DerivedDefinition, upstream: any StepRunner, upstreamTable: Int,
        store: any RowStore, table: Int, budgetBytes: Int
    ) throws {
        self.definition = definition
        self.store = store
        self.upstream = upstream
        self.upstreamTable = upstreamTable
        self.budgetBytes = budgetBytes
        upstreamSchema = definition.stateTables[definition.stateTables.count - 1]
        tableIndex = table
        keyParts = definition.keyKinds.count
        rowKey = upstreamSchema.keyColumns
        rangeKey = definition.groupsAreRanges ? Array(rowKey.prefix(keyParts)) : nil
        bareRowKey = Array(rowKey.indices)
        bareRangeKey = rangeKey.map { Array($0.indices) }
        shape = try definition.open()
        let stored = try StoredTable(store, upstreamTable, keyColumns: rowKey)
        groups = DerivedGroups(
            shape, rowKeys: rowKey.map { [upstreamSchema] in upstreamSchema.columns[$0].kind },
            groupKeys: definition.keyKinds, over: stored)
        output = DerivedOutputs(shape, cells: definition.table.columns.count - keyParts)
        isNew = stored.rowsAtFirst == 0
        if rangeKey == nil, !isNew {
            try DerivedFailure.located(definition.table) { try loadAll() }
        }
    }

    func apply(_ batch: EventBatch, _ range: Range<Int>, _ pass: BatchPass) throws {
        try upstream.apply(batch, range, pass)
    }

    var memoryBytes: Int { upstream.memoryBytes + groups.memoryBytes + output.memoryBytes }
    var dirtyRows: Int { upstream.dirtyRows }

    // MARK: Taking rows

    func take(_ row: any RowCursor) throws(KappaError) {
        try DerivedFailure.located(definition.table) {
            if let rangeKey { try load(row, rangeKey) }
            // The first rows come in the order of their keys, each once, so they can be appended.
            if isNew, rangeKey == nil {
                try groups.append(row, rowKey)
            } else {
                try groups.set(row, rowKey, row)
            }
        }
    }

    func remove(_ key: any RowCursor) throws(KappaError) {
        // A new table has no rows to delete.
        if isNew { return }
        try DerivedFailure.located(definition.table) {
            if let bareRangeKey { try load(key, bareRangeKey) }
            try groups.set(key, bareRowKey, nil)
        }
    }

    private func loadAll() throws {
        try store.scan(table: upstreamTable) { cursor in
            try groups.append(cursor, rowKey)
        }
        groups.endRun()
        for group in groups.takeChangedGroups() {
            setWritten(group, try output.make(group, of: groups))
        }
    }

    /// Loads a row's group from the store, if it is not loaded yet. The store still holds the group as of the
    /// last commit, because this row is the first of the group to be written since.
    private func load(_ row: any RowCursor, _ key: [Int]) throws {
        guard let group = groups.newGroup(of: row, key) else { return }
        _ = try groups.groups.scan(group) { try groups.append($0, rowKey) }
        groups.endRun()
        setWritten(group, try output.make(group, of: groups))
    }

    private func setWritten(_ group: UInt32, _ rows: [PackedRow]) {
        while written.count <= Int(group) { written.append([]) }
        written[Int(group)] = rows
    }

    // MARK: Writing

    func write(to transaction: any StoreTransaction) throws {
        if isNew, rangeKey != nil {
            return try writeRanges(to: transaction) { try upstream.write(to: $0) }
        }
        try upstream.write(to: capturing(transaction, self))
        groups.endRun()
        try writeGroups(transaction)
    }

    private func capturing(
        _ transaction: any StoreTransaction, _ listener: any RowListener
    ) -> CapturingTransaction {
        CapturingTransaction(transaction, [upstreamTable: listener])
    }

    /// Writes the first rows, which are most of a rebuild. Their groups are not kept in memory.
    private func writeRanges(
        to transaction: any StoreTransaction,
        writeUpstream: (any StoreTransaction) throws -> Void
    ) throws {
        let ranges = GroupRanges(shape, definition.table, keyParts: keyParts, output: output)
        try writeUpstream(capturing(transaction, ranges))
        try transaction.append(ranges.finish(), to: tableIndex)
    }

    private func writeGroups(_ transaction: any StoreTransaction) throws {
        let writer = transaction.upsert(into: tableIndex)
        let deleter = transaction.delete(from: tableIndex)
        for group in groups.takeChangedGroups() {
            let before = Int(group) < written.count ? written[Int(group)] : []
            let after = try DerivedFailure.located(definition.table) {
                try output.make(group, of: groups)
            }
            for index in 0..<max(before.count, after.count) {
                let (was, isNow) = (before.at(index), after.at(index))
                if let was, let isNow, was.isSame(as: isNow) { continue }
                let target = isNow == nil ? deleter : writer
                groups.groups.bindKey(group, to: target)
                if output.isNumbered { target.bind(keyParts, Int64(index + 1)) }
                if let isNow { output.bind(isNow, to: target, at: keyParts) }
                try target.execute()
            }
            output.release(before)
            setWritten(group, after)
        }
    }

    func committed(mayEvict: Bool) {
        isNew = false
        if rangeKey != nil {
            // Groups that are needed again are loaded again.
            if mayEvict, memoryBytes > budgetBytes { forgetGroups() }
        } else {
            groups.compactRows()
            groups.compactGroups { from, to in
                // New numbers come in ascending order and are never larger than the old ones, so nothing is
                // overwritten too early.
                written[Int(to)] = written[Int(from)]
                if from != to { written[Int(from)] = [] }
            }
        }
        upstream.committed(mayEvict: mayEvict)
    }

    private func forgetGroups() {
        groups.removeAll()
        output.releaseAll()
        written.removeAll()
    }

    // MARK: Spilled rows

    /// The upstream spills partial rows. Groups are made when these are merged.
    var canSpill: Bool { rangeKey != nil && isNew && upstream.canSpill }

    func writeToSpill(_ transaction: any StoreTransaction) throws {
        try upstream.writeToSpill(transaction)
    }

    func spill(keepingMemory: Bool) { upstream.spill(keepingMemory: keepingMemory) }

    func writeSpilled(_ rows: any SpilledRows, to transaction: any StoreTransaction) throws {
        try writeRanges(to: transaction) { try upstream.writeSpilled(rows, to: $0) }
    }
}

/// Errors in a second step.
enum DerivedFailure {
    /// Turns an error of the view's code into a ``KappaError`` that names the table.
    static func located<R>(_ table: TableSchema, _ body: () throws -> R) throws(KappaError) -> R {
        do { return try body() } catch let error as KappaError {
            throw error
        } catch {
            throw KappaError(
                .badInput, "a second step cannot take a row", at: "table \(table.name)",
                because: FieldFailure.reason(error),
                advice: "Make its closures return a value for every row of the step before")
        }
    }
}

extension Array {
    fileprivate func at(_ index: Int) -> Element? { index < count ? self[index] : nil }
}
