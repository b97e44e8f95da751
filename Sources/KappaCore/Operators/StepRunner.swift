/// Runs one step of a view: applies batches to rows in memory, and writes the rows that changed.
protocol StepRunner: AnyObject {
    /// Applies the events of a batch that are in `range`, in log order.
    func apply(_ batch: EventBatch, _ range: Range<Int>, _ pass: BatchPass) throws
    /// Writes what changed since the last commit, sorted by key; nothing is forgotten yet.
    func write(to transaction: any StoreTransaction) throws
    /// The transaction was committed: what was written is clean, and may be dropped to make room.
    func committed(mayEvict: Bool)
    /// Whether what a key's rows have become in several stretches of the log can be merged.
    var canSpill: Bool { get }
    /// Writes the same to a sorted run, as the rows are to spill.
    func writeToSpill(_ transaction: any StoreTransaction) throws
    /// What was written has spilled: forgets all rows, and begins anew.
    /// - Parameter keepingMemory: Whether what they took may stay at hand, as nobody else needs it.
    func spill(keepingMemory: Bool)
    /// Merges the spilled runs and writes them. Nothing is in memory.
    func writeSpilled(_ rows: any SpilledRows, to transaction: any StoreTransaction) throws
    /// Bytes of rows held in memory.
    var memoryBytes: Int { get }
    /// Rows changed since the last commit.
    var dirtyRows: Int { get }
}

extension StepRunner {
    var canSpill: Bool { false }
    func writeToSpill(_ transaction: any StoreTransaction) throws {
        try write(to: transaction)
    }
    func spill(keepingMemory: Bool) {}
    func writeSpilled(_ rows: any SpilledRows, to transaction: any StoreTransaction) throws {}
}
