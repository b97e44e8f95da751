import CKappaJSON

/// The first values of a group in log order, as JSON texts.
final class CollectedValues: StateObject {
    private struct Item {
        var offset: Int64
        var json: [UInt8]
    }
    private let limit: Int
    private let kind: ColumnKind
    private var items: [Item] = []
    private var textBytes = 0
    private var held = HeldText()

    init(limit: Int, kind: ColumnKind, _ counter: UnsafeMutablePointer<Int>? = nil) {
        self.limit = limit
        self.kind = kind
        super.init(counter)
        account()
    }

    private func account() {
        // Each text is an array with a header of 32 bytes.
        hold(
            StateObject.overheadBytes + items.capacity * MemoryLayout<Item>.stride
                + items.count * 32 + textBytes + held.byteCount)
    }

    override func add(_ column: kj_column, _ order: kj_column?, _ row: Int, offset: Int64) {
        // Rows come in log order, so a new value goes to the end.
        guard items.count < limit else { return }
        var text = JSONText()
        text.append(column, row, kind)
        items.append(Item(offset: offset, json: text.bytes))
        textBytes += text.bytes.count
        account()
    }

    /// Both lists are in log order, and so is the result.
    override func merge(_ other: StateObject) {
        guard let other = other as? CollectedValues else { return }
        var mine = items[...]
        var theirs = other.items[...]
        var merged: [Item] = []
        while merged.count < limit, let first = mine.first ?? theirs.first {
            if let second = theirs.first, mine.isEmpty || second.offset < first.offset {
                merged.append(second)
                theirs.removeFirst()
            } else {
                merged.append(first)
                mine.removeFirst()
            }
        }
        items = merged
        textBytes = items.reduce(0) { $0 + $1.json.count }
        account()
    }

    override func emit(to sink: inout some CellSink) {
        var text = JSONText()
        text.append(array: items.lazy.map(\.json))
        sink.json(held.hold(text.bytes))
        account()
    }

    /// The row's cell holds the texts, but not where each ends and which event it comes from.
    override func save(to state: inout StateWriter) {
        state.write(short: UInt64(items.count))
        for item in items {
            state.write(item.offset)
            state.write(short: UInt64(item.json.count))
        }
    }

    override func load(
        from state: inout StateReader, _ cursor: any RowCursor, _ column: Int
    ) throws(KappaError) {
        var texts = ArrayTexts(cursor.text(column))
        for _ in 0..<(try state.readShortCount()) {
            let offset = try state.readInteger()
            let json = try texts.next(try state.readShort())
            items.append(Item(offset: offset, json: json))
            textBytes += json.count
        }
        account()
    }
}
