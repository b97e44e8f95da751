import CKappaJSON

/// The first values of a group in log order, as JSON texts.
final class CollectedValues: StateObject {
    private struct Item {
        var offset: Int64
        var json: [UInt8]
    }
    private let limit: Int
    private var items: [Item] = []

    /// What was emitted last.
    private var rendered = UnsafeMutableRawBufferPointer(start: nil, count: 0)

    init(limit: Int) { self.limit = limit }

    deinit { rendered.deallocate() }

    override func add(_ column: kj_column, _ row: Int, kind: ColumnKind, offset: Int64) {
        // Rows come in log order: what comes later is behind what is there.
        guard items.count < limit else { return }
        var text = JSONText()
        switch kind {
        case .bool: text.append(column.integers[row] != 0)
        case .integer: text.append(column.integers[row])
        case .timestamp: text.append(Timestamp(microseconds: column.integers[row]))
        case .double: text.append(column.doubles[row])
        case .decimal: text.append(column.decimal(row) ?? 0)
        case .text: text.append(utf8: column.strings[row].buffer)
        case .json: text.bytes.append(contentsOf: column.strings[row].buffer)
        }
        items.append(Item(offset: offset, json: text.bytes))
    }

    /// Both lists are in log order; so is what becomes of them.
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
    }

    /// A sink may read the text until the row is written: it stays where it is until then.
    override func emit(to sink: inout some CellSink) {
        var text: [UInt8] = [UInt8(ascii: "[")]
        for (index, item) in items.enumerated() {
            if index > 0 { text.append(UInt8(ascii: ",")) }
            text += item.json
        }
        text.append(UInt8(ascii: "]"))
        rendered.deallocate()
        rendered = .allocate(byteCount: text.count, alignment: 1)
        rendered.copyBytes(from: text)
        sink.json(UnsafeRawBufferPointer(rendered))
    }

    /// The row's own cell has the texts: only where they end and where they come from is missing.
    override func save(to state: inout StateWriter) {
        state.write(Int64(items.count))
        for item in items {
            state.write(item.offset)
            state.write(Int64(item.json.count))
        }
    }

    override func load(
        from state: inout StateReader, _ cursor: any RowCursor, _ column: Int
    ) throws(KappaError) {
        let text = cursor.text(column)
        var start = 1
        for _ in 0..<(try state.readCount()) {
            let offset = try state.readInteger()
            let count = try state.readInteger()
            guard count >= 0, count <= text.count - start - 1 else {
                throw StateReader.damage("a list is shorter than it should be")
            }
            items.append(Item(offset: offset, json: Array(text[start..<start + Int(count)])))
            start += Int(count) + 1
        }
    }
}
