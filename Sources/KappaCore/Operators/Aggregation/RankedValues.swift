import CKappaJSON

/// The largest or smallest values of a group, or the values of the rows in which another value is largest or
/// smallest, as JSON texts, the best first. Among equals the first in log order is better.
///
/// As in ``ValueBag``, the methods that run for each row name the keys to specialise for.
final class RankedValues<Key: StateKey>: StateObject {
    private struct Item {
        var key: Key
        var offset: Int64
        var json: [UInt8]
    }
    private let kind: ColumnKind
    private let orderKind: ColumnKind
    private let limit: Int
    private let isLeast: Bool
    private var items: [Item] = []
    private var heapBytes = 0
    private var held = HeldText()

    init(_ accumulator: Accumulator) {
        kind = accumulator.kind
        orderKind = accumulator.orderKind
        limit = accumulator.settings.limit
        isLeast = accumulator.function == .bottom
        super.init(accumulator.heldBytes)
        account()
    }

    private func account() {
        hold(
            StateObject.overheadBytes + items.capacity * MemoryLayout<Item>.stride + heapBytes
                + held.byteCount)
    }

    private func isBetter(_ a: Key, _ b: Key) -> Bool { isLeast ? a < b : a > b }

    private func isBetter(_ a: Item, _ b: Item) -> Bool {
        isBetter(a.key, b.key) || (a.key == b.key && a.offset < b.offset)
    }

    @_specialize(where Key == Int64)
    @_specialize(where Key == ExactDecimal)
    override func add(_ column: kj_column, _ order: kj_column?, _ row: Int, offset: Int64) {
        guard let key = Key.read(order ?? column, row, orderKind) else { return }
        if items.count == limit, !isBetter(key, items[limit - 1].key) { return }
        var text = JSONText()
        text.append(column, row, kind)
        insert(Item(key: key, offset: offset, json: text.bytes))
        account()
    }

    /// Inserts an item at its place, after items that rank the same: an event may give several rows, with one
    /// offset.
    @_specialize(where Key == Int64)
    @_specialize(where Key == ExactDecimal)
    private func insert(_ item: Item) {
        var low = 0
        var high = items.count
        while low < high {
            let middle = (low + high) / 2
            if isBetter(item, items[middle]) { high = middle } else { low = middle + 1 }
        }
        guard low < limit else { return }
        if items.count == limit { heapBytes -= heap(items.removeLast()) }
        items.insert(item, at: low)
        heapBytes += heap(item)
    }

    private func heap(_ item: Item) -> Int { item.key.heapBytes + 32 + item.json.count }

    override func merge(_ other: StateObject) {
        guard let other = other as? RankedValues<Key> else { return }
        for item in other.items { insert(item) }
        account()
    }

    override func emit(to sink: inout some CellSink) {
        var text = JSONText()
        text.append(array: items.lazy.map(\.json))
        sink.json(held.hold(text.bytes))
        account()
    }

    /// The row's cell holds the texts, but not the keys that rank them, nor where each text ends.
    override func save(to state: inout StateWriter) {
        state.write(short: UInt64(items.count))
        for item in items {
            item.key.write(to: &state)
            state.write(item.offset)
            state.write(short: UInt64(item.json.count))
        }
    }

    override func load(
        from state: inout StateReader, _ cursor: any RowCursor, _ column: Int
    ) throws(KappaError) {
        var texts = ArrayTexts(cursor.text(column))
        for _ in 0..<(try state.readShortCount()) {
            let key = try Key.read(from: &state)
            let offset = try state.readInteger()
            let json = try texts.next(try state.readShort())
            insert(Item(key: key, offset: offset, json: json))
        }
        account()
    }
}

extension JSONText {
    /// Appends an array of values that are JSON already.
    mutating func append(array values: some Sequence<[UInt8]>) {
        append(raw: "[" as StaticString)
        for (index, value) in values.enumerated() {
            if index > 0 { append(raw: "," as StaticString) }
            bytes += value
        }
        append(raw: "]" as StaticString)
    }
}

/// Reads the values of a JSON array, given the length of each.
struct ArrayTexts {
    private let text: UnsafeRawBufferPointer
    private var start = 1

    init(_ text: UnsafeRawBufferPointer) { self.text = text }

    mutating func next(_ count: UInt64) throws(KappaError) -> [UInt8] {
        guard text.count > start, count <= UInt64(text.count - start - 1) else {
            throw StateReader.damage("a list is shorter than it should be")
        }
        defer { start += Int(count) + 1 }
        return Array(text[start..<start + Int(count)])
    }
}
