import CKappaJSON

/// Reads the events of one handler with their Swift type; subclasses know its rows.
///
/// All of this runs without specialisation for the view's types. So the innermost calls avoid what
/// makes Swift look types up at run time: tuples, metatypes and optionals of generic types.
class FoldEventReader<E: Event, Key: KeyValue> {
    fileprivate let reader: EventReader<E>
    private let key: KeyPath<E, Key> & Sendable
    /// The plan's column that holds the key; nil where the key must be computed from the event.
    private let keyColumn: Int?
    private let computedKeys = ComputedColumn(kind: Key.columnKind)

    init(plan: ExtractionPlan, key: KeyPath<E, Key> & Sendable) throws(KappaError) {
        let reader = try EventReader<E>(plan: plan)
        self.reader = reader
        self.key = key
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
}

/// A handler whose rows come and go.
final class OptionalRowReader<E: Event, Key: KeyValue, Row: ViewRow>: FoldEventReader<E, Key>,
    FoldReader
{
    typealias Handle = @Sendable (E, inout Row?, Tables) throws -> Void
    private let handle: Handle

    init(
        plan: ExtractionPlan, key: KeyPath<E, Key> & Sendable, _ handle: @escaping Handle
    ) throws(KappaError) {
        self.handle = handle
        try super.init(plan: plan, key: key)
    }

    func apply(_ event: Int, to state: UnsafeMutableRawPointer, _ tables: Tables) throws {
        let row = UnsafeMutablePointer<Row?>(OpaquePointer(state))
        try reader.with(event) { try handle($0.pointee, &row.pointee, tables) }
    }
}

/// A handler whose rows begin as one that the view names.
final class BeginningRowReader<E: Event, Key: KeyValue, Row: ViewRow>: FoldEventReader<E, Key>,
    FoldReader
{
    typealias Handle = @Sendable (E, inout Row) throws -> Void
    private let initial: Row
    private let handle: Handle

    init(
        plan: ExtractionPlan, key: KeyPath<E, Key> & Sendable, initial: Row,
        _ handle: @escaping Handle
    ) throws(KappaError) {
        self.initial = initial
        self.handle = handle
        try super.init(plan: plan, key: key)
    }

    func apply(_ event: Int, to state: UnsafeMutableRawPointer, _ tables: Tables) throws {
        let optional = UnsafeMutablePointer<Row?>(OpaquePointer(state))
        if case .none = optional.pointee { optional.initialize(to: initial) }
        // An optional that is there has its value at its own address.
        let row = UnsafeMutablePointer<Row>(OpaquePointer(state))
        try reader.with(event) { try handle($0.pointee, &row.pointee) }
    }
}
