import CKappaJSON

/// Reads the events of one handler with their Swift type.
final class TypedFoldReader<E: Event, Key: KeyValue, Row: ViewRow>: FoldReader {
    enum Handle {
        /// Rows come and go.
        case optional(@Sendable (E, inout Row?, Tables) throws -> Void)
        /// A row that is not there begins as this one.
        case beginning(Row, @Sendable (E, inout Row) throws -> Void)
    }

    private let reader: EventReader<E>
    private let key: KeyPath<E, Key> & Sendable
    private let handle: Handle
    /// The plan's column that holds the key; nil where the key must be computed from the event.
    private let keyColumn: Int?
    private let computedKeys = ComputedColumn(kind: Key.columnKind)

    init(
        plan: ExtractionPlan, key: KeyPath<E, Key> & Sendable, _ handle: Handle
    ) throws(KappaError) {
        let reader = try EventReader<E>(plan: plan)
        self.reader = reader
        self.key = key
        self.handle = handle
        let field = reader.isPlain ? reader.tracer.field(of: key) : nil
        keyColumn = field.map { reader.fieldColumns[$0] }
    }

    func load(_ batch: EventBatch) { reader.load(batch) }

    func select(_ range: Range<Int>, into selection: inout [Int32]) {
        reader.select(range, into: &selection)
    }

    func keys(
        of selection: inout [Int32], _ batch: EventBatch, dead: (Int32, String) -> Void
    ) -> kj_column {
        guard let keyColumn else { return computeKeys(&selection, dead) }
        let column = batch.columns[keyColumn]
        let isThere = { (event: Int32) in
            column.states[Int(event)] == UInt8(KJ_VALUE.rawValue)
        }
        if !selection.allSatisfy(isThere) {
            selection.removeAll { event in
                if isThere(event) { return false }
                dead(event, failure(event))
                return true
            }
        }
        return column
    }

    /// Why an event without a key cannot be decoded: another field may fail before the key does.
    private func failure(_ event: Int32) -> String {
        do { try reader.with(Int(event)) { _ in } } catch { return FieldFailure.reason(error) }
        return "its key cannot be read"
    }

    private func computeKeys(
        _ selection: inout [Int32], _ dead: (Int32, String) -> Void
    ) -> kj_column {
        computedKeys.clear()
        selection.removeAll { event in
            do {
                try reader.with(Int(event)) {
                    computedKeys.set(Int(event), $0.pointee[keyPath: key].cell)
                }
                return false
            } catch {
                dead(event, FieldFailure.reason(error))
                return true
            }
        }
        return computedKeys.column
    }

    func apply(_ event: Int, to state: UnsafeMutableRawPointer, _ tables: Tables) throws {
        let row = state.assumingMemoryBound(to: Row?.self)
        try reader.with(event) { event in
            switch handle {
            case .optional(let handle): try handle(event.pointee, &row.pointee, tables)
            case .beginning(let initial, let handle):
                if case .none = row.pointee { row.initialize(to: initial) }
                // An optional that is there has its value at its own address.
                try handle(event.pointee, &state.assumingMemoryBound(to: Row.self).pointee)
            }
        }
    }
}
