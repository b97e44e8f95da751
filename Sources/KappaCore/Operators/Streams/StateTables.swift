/// The state that the streams of one version keep from event to event. It is stored in tables of its own,
/// which readers do not see, and is listed in the order of these tables.
final class StateTables: StreamContext {
    let plan: ExtractionPlan
    private let store: any RowStore
    private let firstTable: Int
    /// By table; nil if a step manages the table itself.
    private var tables: [JoinRows?] = []
    private let clocks: PartitionClocks

    /// - Parameter firstTable: The index of the first table that readers do not see.
    init(
        _ plan: ExtractionPlan, _ store: any RowStore, firstTable: Int, _ clocks: PartitionClocks
    ) {
        self.plan = plan
        self.store = store
        self.firstTable = firstTable
        self.clocks = clocks
    }

    func joinSides(
        cells: [Int], kind: ColumnKind, window: @escaping (Int64) -> Int64
    ) throws(KappaError) -> (keys: JoinKeyTable, sides: [JoinRows]) {
        let keys = JoinKeyTable(kind: kind, sides: cells.count, window: window)
        let sides = cells.enumerated().map { JoinRows(keys, side: $0.offset, cells: $0.element) }
        for side in sides {
            keys.add(side)
            try add(side)
        }
        return (keys, sides)
    }

    /// Adds the next table and loads its stored rows.
    func add(_ table: JoinRows) throws(KappaError) {
        do {
            try store.scan(table: firstTable + tables.count) { try table.load($0) }
        } catch let error as KappaError {
            throw error
        } catch {
            throw KappaError(
                .damaged, "the state of a view cannot be read",
                because: FieldFailure.reason(error),
                advice: "`kappa rebuild VIEW` makes a new version from the log")
        }
        tables.append(table)
    }

    /// Reserves the next table for a step that manages it itself, and returns its index.
    func reserve() -> Int {
        tables.append(nil)
        return firstTable + tables.count - 1
    }

    func clock(columns: [Int]) -> StreamTimekeeper {
        StreamTimekeeper(clocks.add(columns: columns))
    }

    func write(to transaction: any StoreTransaction) throws {
        for (index, table) in tables.enumerated() {
            try table?.write(to: transaction, table: firstTable + index)
        }
    }

    /// The index of the last table added or reserved.
    var lastTable: Int { firstTable + tables.count - 1 }

    /// Whether no stream keeps state; steps may keep some.
    var isEmpty: Bool { tables.allSatisfy { $0 == nil } }
    func committed() { for table in tables { table?.committed() } }
    var memoryBytes: Int { tables.reduce(0) { $0 + ($1?.memoryBytes ?? 0) } }
    var dirtyRows: Int { tables.reduce(0) { $0 + ($1?.dirtyRows ?? 0) } }
}
