/// Runs one step of a view: applies batches to rows in memory, and writes the rows that changed.
protocol StepRunner: AnyObject {
    /// Applies the events of a batch that are in `range`, in log order.
    func apply(_ batch: EventBatch, _ range: Range<Int>, _ pass: BatchPass) throws
    /// Writes what changed since the last commit, sorted by key; memory still holds all of it.
    func write(to transaction: any StoreTransaction) throws
    /// The transaction was committed: the rows written are clean, and may be evicted if `mayEvict`.
    func committed(mayEvict: Bool)
    /// Whether a key's rows from several ranges of the log can be merged.
    var canSpill: Bool { get }
    /// Writes the changed rows to a sorted run, before ``spill(keepingMemory:)``.
    func writeToSpill(_ transaction: any StoreTransaction) throws
    /// Forgets all rows, after they were written to a sorted run.
    /// - Parameter keepingMemory: Whether to keep their memory for reuse, because nothing else needs it.
    func spill(keepingMemory: Bool)
    /// Merges the spilled runs and writes the result. Memory holds no rows.
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
