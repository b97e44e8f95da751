import CKappaJSON

/// The elements of a ranking's groups, without their type.
package protocol RankingInput: AnyObject {
    /// Reads the elements of the events in `range`, and tells what became of each event.
    func read(
        _ batch: EventBatch, _ range: Range<Int>, _ outcome: (Int, EventOutcome) -> Void)
    /// The elements that were read, as indices of the keys' columns.
    var rows: [Int32] { get }
    var keys: [kj_column] { get }
    /// The event of an element that was read, as an index into the batch.
    func event(_ row: Int) -> Int
    /// Makes room for groups up to a number.
    func grow(to groups: Int)
    /// Lets a group take an element in that was read; whether that changed its ranking.
    func add(_ row: Int, to group: Int) throws -> Bool
    func count(in group: Int) -> Int
    /// Binds the element's own cells of a row, and its rank.
    func bind(_ rank: Int, of group: Int, to writer: any RowWriter) throws
    /// The same as values.
    func values(_ rank: Int, of group: Int) throws -> [Value]
    /// Appends a stored row to a group's ranking; rows come in the order of their ranks.
    func load(_ cursor: any RowCursor, into group: Int) throws
    var memoryBytes: Int { get }
}

final class RankedElements<Element: ViewRow>: RankingInput {
    private struct Entry {
        var element: Element
        /// What the element is ordered by first.
        var order: Value
    }

    private let reader: any ElementReader<Element>
    private let expressions: [Expression<Element>]
    private let rule: RankingRule<Element>
    private let layout: RankingLayout
    private let codec: RowCodec<Element>
    private let computedKeys: [ComputedColumn]
    private var selection: [Int32] = []
    private var elements: [Element] = []
    private var events: [Int32] = []
    private(set) var rows: [Int32] = []
    private var groups: [[Entry]] = []
    private var entryCount = 0

    init(
        _ reader: any ElementReader<Element>, keys: [Expression<Element>],
        _ rule: RankingRule<Element>, _ layout: RankingLayout
    ) throws(KappaError) {
        self.reader = reader
        expressions = keys
        self.rule = rule
        self.layout = layout
        codec = try RowCodec()
        computedKeys = keys.map { ComputedColumn(kind: $0.kind) }
    }

    // MARK: Reading

    func read(
        _ batch: EventBatch, _ range: Range<Int>, _ outcome: (Int, EventOutcome) -> Void
    ) {
        selection.removeAll(keepingCapacity: true)
        elements.removeAll(keepingCapacity: true)
        events.removeAll(keepingCapacity: true)
        for column in computedKeys { column.clear() }
        reader.load(batch)
        reader.select(range, into: &selection)
        for event in selection {
            let before = elements.count
            do {
                try reader.read(Int(event)) { element, _ in
                    for (column, key) in zip(computedKeys, expressions) {
                        column.set(elements.count, try key.evaluate(element))
                    }
                    // What it is ordered by must be there to be compared.
                    for ordering in rule.orderings { _ = try ordering.value.evaluate(element) }
                    elements.append(element)
                    events.append(event)
                }
                if elements.count > before { outcome(Int(event), .applied) }
            } catch {
                elements.removeLast(elements.count - before)
                events.removeLast(events.count - before)
                outcome(Int(event), EventOutcome(error))
            }
        }
        rows.removeAll(keepingCapacity: true)
        rows.append(contentsOf: 0..<Int32(elements.count))
    }

    var keys: [kj_column] { computedKeys.map(\.column) }
    func event(_ row: Int) -> Int { Int(events[row]) }

    // MARK: Ranking

    func grow(to count: Int) {
        while groups.count < count { groups.append([]) }
    }

    func add(_ row: Int, to group: Int) throws -> Bool {
        let element = elements[row]
        if let keep = rule.keep { return try choose(element, group, keep) }
        let order = try rule.orderings.first?.value.evaluate(element) ?? .null
        let entry = Entry(element: element, order: order)
        let count = groups[group].count
        if count >= rule.limit, try standsBehind(entry, group, count) { return false }
        var position = count
        while position > 0, try standsBefore(entry, group, position - 1) { position -= 1 }
        groups[group].insert(entry, at: position)
        entryCount += 1
        while groups[group].count > rule.limit, try !isKept(group) {
            groups[group].removeLast()
            entryCount -= 1
        }
        return true
    }

    /// Lets the view choose what is kept. Where it throws, nothing has changed.
    private func choose(
        _ element: Element, _ group: Int,
        _ keep: (inout [Element], Element) throws -> Void
    ) throws -> Bool {
        let before = groups[group].map(\.element)
        var kept = before
        try keep(&kept, element)
        if kept == before { return false }
        groups[group] = kept.map { Entry(element: $0, order: .null) }
        entryCount += kept.count - before.count
        return true
    }

    /// Whether a new element is out of the question: a full ranking ends before it.
    private func standsBehind(_ entry: Entry, _ group: Int, _ count: Int) throws -> Bool {
        let order = try compare(entry, groups[group][count - 1])
        return order > 0 || order == 0 && rule.ties == .earliest
    }

    private func standsBefore(_ entry: Entry, _ group: Int, _ position: Int) throws -> Bool {
        let order = try compare(entry, groups[group][position])
        return order < 0 || order == 0 && rule.ties == .latest
    }

    /// Whether the last entry of a ranking that is too long stands as high as the last that counts.
    private func isKept(_ group: Int) throws -> Bool {
        guard rule.ties == .all, let last = groups[group].last else { return false }
        return try compare(groups[group][rule.limit - 1], last) == 0
    }

    private func compare(_ a: Entry, _ b: Entry) throws -> Int {
        guard let first = rule.orderings.first else { return 0 }
        let order = first.compare(a.order, b.order)
        if order != 0 { return order }
        for ordering in rule.orderings.dropFirst() {
            let order = ordering.compare(
                try ordering.value.evaluate(a.element), try ordering.value.evaluate(b.element))
            if order != 0 { return order }
        }
        return 0
    }

    // MARK: Rows

    func count(in group: Int) -> Int { groups[group].count }

    func bind(_ rank: Int, of group: Int, to writer: any RowWriter) throws {
        try withUnsafePointer(to: groups[group][rank].element) {
            try codec.bind($0, to: writer, at: layout.firstElementColumn)
        }
        if layout.showsRank {
            writer.bind(layout.firstElementColumn + codec.columns.count, Int64(rank + 1))
        }
    }

    func values(_ rank: Int, of group: Int) throws -> [Value] {
        let cells = try codec.values(groups[group][rank].element)
        return layout.showsRank ? cells + [.integer(Int64(rank + 1))] : cells
    }

    func load(_ cursor: any RowCursor, into group: Int) throws {
        let element = try codec.decode(cursor, at: layout.firstElementColumn)
        let order = try rule.orderings.first?.value.evaluate(element) ?? .null
        groups[group].append(Entry(element: element, order: order))
        entryCount += 1
    }

    var memoryBytes: Int { entryCount * (MemoryLayout<Entry>.stride + 64) + groups.count * 48 }
}
