import CKappaJSON

/// The elements of a ranking's groups, without their type.
package protocol RankingInput: AnyObject {
    /// Reads the elements of the events in `range`, and tells what became of each event. `group` finds
    /// the group of an element, where the view itself chooses which elements its groups keep: it
    /// does so at once, so that an event of which it refuses an element can be taken back.
    func read(
        _ batch: EventBatch, _ range: Range<Int>, group: (_ row: Int) -> Int,
        _ outcome: (Int, EventOutcome) -> Void)
    /// The groups that the view itself has changed meanwhile.
    var chosen: [Int] { get }
    /// The elements that were read and are to be added, as indices of the keys' columns.
    var rows: [Int32] { get }
    var keys: [kj_column] { get }
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
    private(set) var rows: [Int32] = []
    private(set) var chosen: [Int] = []
    /// What the event at hand has changed, as it was before.
    private var before: [(group: Int, entries: [Entry])] = []
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
        _ batch: EventBatch, _ range: Range<Int>, group: (_ row: Int) -> Int,
        _ outcome: (Int, EventOutcome) -> Void
    ) {
        selection.removeAll(keepingCapacity: true)
        elements.removeAll(keepingCapacity: true)
        chosen.removeAll(keepingCapacity: true)
        for column in computedKeys { column.clear() }
        reader.load(batch)
        reader.select(range, into: &selection)
        for event in selection {
            let count = elements.count
            do {
                try reader.take(Int(event)) { element, _ in
                    let element = try codec.settled(element)
                    for (column, key) in zip(computedKeys, expressions) {
                        column.set(elements.count, try key.evaluate(element))
                    }
                    // What it is ordered by must be there to be compared.
                    for ordering in rule.orderings { _ = try ordering.value.evaluate(element) }
                    elements.append(element)
                    if let keep = rule.keep {
                        try choose(element, group(elements.count - 1), keep)
                    }
                }
                chosen += before.map(\.group)
                if elements.count > count { outcome(Int(event), .applied) }
            } catch {
                elements.removeLast(elements.count - count)
                undo()
                outcome(Int(event), EventOutcome(error))
            }
            before.removeAll(keepingCapacity: true)
        }
        rows.removeAll(keepingCapacity: true)
        if rule.keep == nil { rows.append(contentsOf: 0..<Int32(elements.count)) }
    }

    /// Takes back what the event at hand has changed.
    private func undo() {
        for (group, entries) in before.reversed() {
            entryCount += entries.count - groups[group].count
            groups[group] = entries
        }
    }

    var keys: [kj_column] { computedKeys.map(\.column) }

    // MARK: Ranking

    func grow(to count: Int) {
        while groups.count < count { groups.append([]) }
    }

    func add(_ row: Int, to group: Int) throws -> Bool {
        let element = elements[row]
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
    ) throws {
        let entries = groups[group]
        let old = entries.map(\.element)
        var kept = old
        try keep(&kept, element)
        if kept == old { return }
        groups[group] = try kept.map { Entry(element: try codec.settled($0), order: .null) }
        before.append((group, entries))
        entryCount += kept.count - old.count
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
