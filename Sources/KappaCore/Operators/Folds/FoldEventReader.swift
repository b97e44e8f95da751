import CKappaJSON

/// Reads the events of one handler with their Swift type.
///
/// This code is not specialised for the view's types; the handler is, because the author's code creates it.
/// So the code that runs for each event avoids tuples, metatypes and optionals of generic types, for which
/// Swift looks up types at run time.
final class FoldEventReader<E: Event, Key: KeyValue>: FoldReader {
    private let reader: EventReader<E>
    private let handle: FoldHandler.Handle
    let seesTables: Bool
    private let eventStride = MemoryLayout<E>.stride
    private let key: KeyPath<E, Key> & Sendable
    /// The plan's column that holds the key; nil if the key must be computed from the event.
    private let keyColumn: Int?
    private let computedKeys = ComputedColumn(kind: Key.columnKind)
    /// The events that were decoded for their computed keys, by their place in the batch, until the handler
    /// takes them.
    private let kept = KeptEvents<E>()

    init(
        plan: ExtractionPlan, key: KeyPath<E, Key> & Sendable, seesTables: Bool,
        _ handle: @escaping FoldHandler.Handle
    ) throws(KappaError) {
        self.handle = handle
        self.seesTables = seesTables
        let reader = try EventReader<E>(plan: plan, clocks: TimeZoneDatabase.clock)
        self.reader = reader
        self.key = key
        let field = reader.isPlain ? reader.tracer.field(of: key) : nil
        keyColumn = field.map { reader.fieldColumns[$0] }
    }

    func load(_ batch: EventBatch) {
        reader.load(batch)
        if keyColumn == nil { kept.clear(capacity: batch.count) }
    }

    func select(_ range: Range<Int>, into selection: inout [Int32]) {
        reader.select(range, into: &selection)
    }

    func apply(_ event: Int, to row: UnsafeMutableRawPointer, _ tables: Tables) throws {
        try handle(try take(event), row, tables)
        try DecimalOverflow.check()
    }

    /// A selected event; the handler moves it out of its memory.
    private func take(_ event: Int) throws -> UnsafeMutableRawPointer {
        if let kept = kept.take(event) { return kept }
        return UnsafeMutableRawPointer(try reader.make(event))
    }

    func apply(
        _ events: [Int32], _ ids: [UInt32], to rows: FoldStates, _ tables: Tables,
        failed: (Int, any Error) -> Void
    ) {
        events.withUnsafeBufferPointer { events in
            var start = 0
            while start < events.count {
                let end = min(start + structsAtOnce, events.count)
                let made =
                    keyColumn == nil
                    ? nil : reader.make(UnsafeBufferPointer(rebasing: events[start..<end]))
                for index in start..<end {
                    do {
                        let taken =
                            try made.map { $0 + (index - start) * eventStride }
                            ?? take(Int(events[index]))
                        try rows.change(inPlace: ids[index]) { row in
                            try handle(taken, row, tables)
                            try DecimalOverflow.check()
                        }
                    } catch {
                        failed(index, error)
                    }
                }
                start = end
            }
        }
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
                let place = Int(event)
                let made = kept.keep(place, movedFrom: try reader.make(place))
                computedKeys.set(place, made.pointee[keyPath: key].cell)
                try DecimalOverflow.check()
                return false
            } catch {
                dead(event, FieldFailure.reason(error))
                return true
            }
        }
        return computedKeys.column
    }
}

/// Events that wait for their handler, by their place in the batch.
private final class KeptEvents<E> {
    private var events: UnsafeMutablePointer<E>
    private var isKept: [Bool] = []

    init() { events = .allocate(capacity: 0) }

    deinit {
        clear(capacity: 0)
        events.deallocate()
    }

    /// Forgets all events, and makes room for those of a batch.
    func clear(capacity: Int) {
        for place in isKept.indices where isKept[place] {
            (events + place).deinitialize(count: 1)
            isKept[place] = false
        }
        guard capacity > isKept.count else { return }
        events.deallocate()
        events = .allocate(capacity: capacity)
        isKept = Array(repeating: false, count: capacity)
    }

    func keep(_ place: Int, movedFrom event: UnsafeMutablePointer<E>) -> UnsafePointer<E> {
        (events + place).moveInitialize(from: event, count: 1)
        isKept[place] = true
        return UnsafePointer(events + place)
    }

    /// The memory of an event, whose value the caller moves out of it; nil if it is not kept.
    func take(_ place: Int) -> UnsafeMutableRawPointer? {
        guard place < isKept.count, isKept[place] else { return nil }
        isKept[place] = false
        // Untyped: for a typed pointer, Swift would look up the type of the optional at run time.
        return UnsafeMutableRawPointer(events + place)
    }
}
