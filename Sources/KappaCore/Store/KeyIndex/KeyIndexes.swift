/// The indexes that a version keeps, one for each of some tables.
final class KeyIndexes {
    private let store: any RowStore
    private let checkpoint: Checkpoint?
    private var writers: [KeyIndexWriter] = []

    /// - Parameter checkpoint: The store's; nil where nothing was committed.
    init(_ store: any RowStore, _ checkpoint: Checkpoint?) {
        self.store = store
        self.checkpoint = checkpoint
    }

    /// What notes the events of a table; nil where the version keeps no index of it, or where one was
    /// left behind: an index with a gap is worth nothing, and its mark tells.
    func writer(of table: Int?, keepsTimes: Bool) throws -> KeyIndexWriter? {
        guard let table, let index = store.keyIndex(of: table) else { return nil }
        if let checkpoint, store.spilled == nil {
            var end: Offset?
            _ = try store.lookUp(table: index) {
                $0.bind(0, KeyIndexFormat.markHash)
                $0.bind(1, Int64(0))
            } read: {
                end = KeyIndexFormat.end(ofMark: $0.blob(KeyIndexFormat.columns.blob))
            }
            guard end == checkpoint.offset else { return nil }
        }
        let writer = KeyIndexWriter(table: index, keepsTimes: keepsTimes)
        writers.append(writer)
        return writer
    }

    var isEmpty: Bool { writers.isEmpty }
    var memoryBytes: Int { writers.reduce(0) { $0 + $1.memoryBytes } }

    func write(to transaction: any StoreTransaction, end: Offset) throws {
        for writer in writers { try writer.write(to: transaction, end: end) }
    }

    func writeSpilled(_ rows: any SpilledRows, to transaction: any StoreTransaction) throws {
        for writer in writers { try writer.writeSpilled(rows, to: transaction) }
    }

    func written() { for writer in writers { writer.written() } }
}
