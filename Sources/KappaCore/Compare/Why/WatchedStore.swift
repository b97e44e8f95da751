/// A store that tells whether the row of one key was written.
final class WatchedStore: RowStore {
    /// Whether the key's row was written or deleted since ``forget()``.
    private(set) var wasWritten = false
    /// What was written last in the place of the part that may be anything; nil where nothing was.
    private(set) var lastOpenPart: Int64?
    private let store: any RowStore
    private let table: Int
    private let key: [KeyPart?]
    /// Where the parts of the key stand in a row.
    private let keyColumns: [Int]

    /// - Parameter key: The parts of the key; nil for an integer that may be any.
    init(_ store: any RowStore, table: Int, _ schema: TableSchema, key: [KeyPart?]) {
        self.store = store
        self.table = table
        self.key = key
        keyColumns = schema.keyColumns
    }

    func forget() {
        wasWritten = false
        lastOpenPart = nil
    }

    func lastCheckpoint() throws(KappaError) -> Checkpoint? { try store.lastCheckpoint() }

    func lookUp(
        table: Int, bindKey: (any RowWriter) -> Void, read: (any RowCursor) throws -> Void
    ) throws -> Bool {
        try store.lookUp(table: table, bindKey: bindKey, read: read)
    }

    func scan(
        table: Int, prefix parts: Int, bindKey: (any RowWriter) -> Void,
        _ visit: (any RowCursor) throws -> Void
    ) throws {
        try store.scan(table: table, prefix: parts, bindKey: bindKey, visit)
    }

    func scan(table: Int, _ visit: (any RowCursor) throws -> Void) throws {
        try store.scan(table: table, visit)
    }

    func rowsEnded(table: Int, by end: Int64) throws(KappaError) -> [[Value]] {
        try store.rowsEnded(table: table, by: end)
    }

    func rowCount(table: Int) throws(KappaError) -> Int { try store.rowCount(table: table) }

    func commit(
        _ checkpoint: Checkpoint, write: (any StoreTransaction) throws -> Void
    ) throws {
        try store.commit(checkpoint) { try write(Transaction(self, $0)) }
    }

    // Each event is committed for itself: nothing needs to spill.
    var canSpill: Bool { false }
    var spilled: (any SpilledRows)? { nil }
    func spill(
        _ checkpoint: Checkpoint, write: (any StoreTransaction) throws -> Void
    ) throws { try store.spill(checkpoint, write: write) }

    private final class Transaction: StoreTransaction {
        private let owner: WatchedStore
        private let inner: any StoreTransaction

        init(_ owner: WatchedStore, _ inner: any StoreTransaction) {
            self.owner = owner
            self.inner = inner
        }

        func upsert(into table: Int) -> any RowWriter {
            watch(inner.upsert(into: table), table, owner.keyColumns, isUpsert: true)
        }

        func delete(from table: Int) -> any RowWriter {
            watch(inner.delete(from: table), table, Array(owner.key.indices), isUpsert: false)
        }

        private func watch(
            _ writer: any RowWriter, _ table: Int, _ places: [Int], isUpsert: Bool
        ) -> any RowWriter {
            table == owner.table ? Writer(owner, writer, places, isUpsert) : writer
        }

        func add(_ deadLetter: DeadLetter) throws(KappaError) { try inner.add(deadLetter) }
        func add(_ change: ChangeRecord) throws(KappaError) { try inner.add(change) }
    }

    /// Compares the key of each row on its way.
    private final class Writer: RowWriter {
        private let owner: WatchedStore
        private let inner: any RowWriter
        private let places: [Int]
        private let isUpsert: Bool
        private var matched = 0
        private var openPart: Int64?

        init(
            _ owner: WatchedStore, _ inner: any RowWriter, _ places: [Int], _ isUpsert: Bool
        ) {
            self.owner = owner
            self.inner = inner
            self.places = places
            self.isUpsert = isUpsert
        }

        private func compare(_ index: Int, _ isSame: (KeyPart) -> Bool) {
            guard let place = places.firstIndex(of: index), let part = owner.key[place],
                isSame(part)
            else { return }
            matched += 1
        }

        func bindNull(_ index: Int) { inner.bindNull(index) }
        func bind(_ index: Int, _ value: Int64) {
            if let place = places.firstIndex(of: index), owner.key[place] == nil {
                openPart = value
                matched += 1
            } else {
                compare(index) { $0 == .integer(value) }
            }
            inner.bind(index, value)
        }
        func bind(_ index: Int, _ value: Double) { inner.bind(index, value) }
        func bind(_ index: Int, text: UnsafeRawBufferPointer) {
            compare(index) {
                if case .text(let bytes) = $0 { bytes.elementsEqual(text) } else { false }
            }
            inner.bind(index, text: text)
        }
        func bind(_ index: Int, _ text: String) {
            compare(index) { $0 == .text(Array(text.utf8)) }
            inner.bind(index, text)
        }
        func bind(_ index: Int, blob: UnsafeRawBufferPointer) { inner.bind(index, blob: blob) }
        func execute() throws(KappaError) {
            if matched == places.count {
                owner.wasWritten = true
                if isUpsert { owner.lastOpenPart = openPart }
            }
            matched = 0
            try inner.execute()
        }
    }
}
