extension EventStream {
    /// Only the first element of each key, in log order.
    ///
    /// It keeps every key that it has seen. A join knows that no two elements have the same key, and
    /// keeps less for that.
    public func unique<Key: KeyValue>(
        by key: KeyPath<Element, Key> & Sendable
    ) -> MappedStream<Element> {
        let upstream = source
        let expression = Expression(key)
        let name = expression.propertyName ?? "key"
        var stream = MappedStream(
            source: StreamSource<Element>(
                open: { context throws(KappaError) in
                    try UniqueReader(upstream.open(context), expression, context)
                },
                signature: "\(upstream.signature).unique(\(name))",
                eventTypes: upstream.eventTypes, hasTime: upstream.hasTime,
                fansOut: upstream.fansOut,
                states: upstream.states
                    + [.joinSide((try? RowCodec<SeenKey>().columns) ?? [])],
                problem: upstream.problem))
        stream.source.uniqueBy = key
        return stream
    }
}

/// A key that has been seen.
struct SeenKey: ViewRow {
    var integer: Int64?
    var text: String?
    /// By which its table is known.
    static let columnNames: Set = ["integer", "text"]

    init(_ key: Value) {
        switch key {
        case .integer(let value): integer = value
        case .timestamp(let time): integer = time.microseconds
        case .bool(let bool): integer = bool ? 1 : 0
        case .text(let value), .json(let value): text = value
        case .null, .double, .decimal: break
        }
    }

    /// The key again, as one of its kind.
    func key(_ kind: ColumnKind) -> Value {
        if let text { return .text(text) }
        return Value(integerKey: integer ?? 0, kind: kind)
    }
}

private final class UniqueReader<Element>: ElementReader {
    private let upstream: any ElementReader<Element>
    private let key: Expression<Element>
    private let seen: any JoinSide<SeenKey>
    private var firstOffset: Int64 = 0
    /// The keys that the event at hand has brought.
    private var kept: [UInt32] = []

    init(
        _ upstream: any ElementReader<Element>, _ key: Expression<Element>,
        _ context: any StreamContext
    ) throws(KappaError) {
        self.upstream = upstream
        self.key = key
        let kind = key.kind
        seen = try context.joinSide(SeenKey.self, kind: kind) { key, _ in
            JoinKey(value: key.key(kind))
        }
    }

    var columns: ElementColumns<Element>? { nil }
    var timeColumns: [Int] { upstream.timeColumns }

    func load(_ batch: EventBatch) {
        firstOffset = Int64(truncatingIfNeeded: batch.firstOffset.rawValue)
        upstream.load(batch)
    }

    func select(_ range: Range<Int>, into selection: inout [Int32]) {
        upstream.select(range, into: &selection)
    }

    func read(_ event: Int, _ body: (Element, Timestamp?) throws -> Void) throws {
        var part: Int64 = 0
        try upstream.read(event) { element, time in
            let key = JoinKey(value: try key.evaluate(element))
            var isNew = true
            seen.forEach(key) { _, _, _ in isNew = false }
            guard isNew else { return }
            let meta = JoinMeta(
                offset: firstOffset + Int64(event), part: part, time: 0)
            part += 1
            kept.append(try seen.insert(SeenKey(key.value), key: key, meta))
            try body(element, time)
        }
    }

    func settle() {
        kept.removeAll(keepingCapacity: true)
        upstream.settle()
    }

    /// An event that cannot be taken has not been seen.
    func undo() {
        for number in kept { seen.remove(number) }
        kept.removeAll(keepingCapacity: true)
        upstream.undo()
    }
}
