import CKappaJSON

/// Groups for which the view itself chooses the elements to keep, with a closure.
final class KeptElements<Element: ViewRow>: RankingInput {
    private let reader: any ElementReader<Element>
    private let keys: ExpressionColumns<Element>
    private let rule: KeepRule<Element>
    private let layout: RankingLayout
    private let codec: RowCodec<Element>
    private var groups: [[Element]] = []
    private var elementCount = 0
    /// The elements of the current reading whose keys are known.
    private let taken = ElementList()
    /// The events of the current reading that were applied.
    private var applied: [Int32] = []
    /// The groups that the current reading has changed, with their elements before each change.
    private var before: [(group: UInt32, elements: [Element])] = []

    /// Whether elements may hold texts, lists and the like, which are stored elsewhere.
    private let pointsElsewhere = !_isPOD(Element.self)
    /// The bytes that the elements of each group point to, measured when they are read and written.
    private var pointed = PointedBytes()
    /// Until they are measured, they are assumed to be the bytes of the events.
    private var unmeasuredBytes = 0
    private let measuring = MeasuringWriter()

    init(
        _ reader: any ElementReader<Element>, keys: [Expression<Element>],
        _ rule: KeepRule<Element>, _ layout: RankingLayout
    ) throws(KappaError) {
        self.reader = reader
        self.keys = ExpressionColumns(reader, keys)
        self.rule = rule
        self.layout = layout
        codec = try RowCodec()
    }

    func take(
        _ batch: EventBatch, _ range: Range<Int>,
        groups find: (_ rows: ArraySlice<Int32>, _ keys: [kj_column]) -> [UInt32],
        changed: (UInt32) -> Void, _ outcome: (_ events: [Int32], EventOutcome) -> Void
    ) {
        if pointsElsewhere { unmeasuredBytes += batch.payload.count }
        reader.load(batch)
        keys.clear()
        reader.forEachReading(range) { new in
            select(new)
            take(find)
            outcome(applied, .applied)
        } settled: { succeeded in
            if succeeded { for change in before { changed(change.group) } } else { undo(to: 0) }
            before.removeAll(keepingCapacity: true)
        }
        for (event, failure) in reader.list.failures { outcome([Int32(event)], failure) }
    }

    /// Computes the keys of the new elements.
    private func select(_ new: Range<Int>) {
        let list = reader.list
        taken.clear()
        if !keys.needsStructs { return taken.append(list, new) }
        list.forEachEvent(new) { event, elements in
            let count = taken.count
            do {
                for index in elements {
                    let row = Int(list.rows[index])
                    try reader.with(row) { try keys.compute(row, $0) }
                    taken.append(row: row, event: event)
                }
            } catch {
                taken.truncate(to: count)
                reader.fail(event, error)
            }
        }
    }

    private func take(_ find: (_ rows: ArraySlice<Int32>, _ keys: [kj_column]) -> [UInt32]) {
        applied.removeAll(keepingCapacity: true)
        let ids = find(taken.rows[...], keys.columns)
        if let most = ids.max() { while groups.count <= Int(most) { groups.append([]) } }
        if !codec.changesWhenStored, takeAll(ids) {
            applied += taken.events
            return
        }
        // An event that fails must change nothing, so its changes are undone before the next event runs.
        taken.forEachEvent(0..<taken.count) { event, elements in
            let mark = before.count
            do {
                for index in elements {
                    let id = ids[index]
                    try reader.with(Int(taken.rows[index])) { try take($0.pointee, id) }
                }
                applied.append(event)
            } catch {
                undo(to: mark)
                reader.fail(event, error)
            }
        }
    }

    /// Calls the view's closure for all elements. Returns false, with nothing changed, if it throws for one.
    private func takeAll(_ ids: [UInt32]) -> Bool {
        let mark = before.count
        var hasFailed = false
        groups.withUnsafeMutableBufferPointer { groups in
            guard let first = groups.baseAddress else { return }
            reader.forStructs(taken.rows[...]) { elements, numbers in
                rule.loop(elements, numbers, first, ids) { id, old, count in
                    before.append((id, old))
                    elementCount += count - old.count
                    if count == 0 { pointed.clear(id) }
                } _: {
                    hasFailed = true
                }
            } failed: { _, _ in
                hasFailed = true
            }
        }
        if hasFailed { undo(to: mark) }
        return !hasFailed
    }

    /// Calls the view's closure for one element. If it throws, nothing has changed.
    private func take(_ element: Element, _ id: UInt32) throws {
        let old = groups[Int(id)]
        var kept = old
        try rule.choose(&kept, codec.settled(element))
        try DecimalOverflow.check()
        if kept == old { return }
        let settled = try kept.map { try codec.settled($0) }
        groups[Int(id)] = settled
        before.append((id, old))
        elementCount += kept.count - old.count
        if kept.isEmpty { pointed.clear(id) }
    }

    /// Undoes the last changes, until `mark` changes are left.
    private func undo(to mark: Int) {
        for (group, elements) in before[mark...].reversed() {
            elementCount += elements.count - groups[Int(group)].count
            groups[Int(group)] = elements
        }
        before.removeLast(before.count - mark)
    }

    // MARK: Rows

    func count(in group: Int) -> Int { group < groups.count ? groups[group].count : 0 }

    func bind(_ rank: Int, of group: Int, to writer: any RowWriter) throws {
        try withUnsafePointer(to: groups[group][rank]) { element in
            guard pointsElsewhere else {
                return try codec.bind(element, to: writer, at: layout.firstElementColumn)
            }
            let id = UInt32(group)
            if rank == 0 { pointed.clear(id) }
            measuring.writer = writer
            defer { measuring.writer = nil }
            try codec.bind(element, to: measuring, at: layout.firstElementColumn)
            for (column, count) in measuring.takeTexts() {
                pointed.add(id, codec.columns[column - layout.firstElementColumn].kind, count)
            }
        }
        if layout.showsRank {
            writer.bind(layout.firstElementColumn + codec.columns.count, Int64(rank + 1))
        }
    }

    func values(_ rank: Int, of group: Int) throws -> [Value] {
        let cells = try codec.values(groups[group][rank])
        return layout.showsRank ? cells + [.integer(Int64(rank + 1))] : cells
    }

    func load(_ cursor: any RowCursor, into group: Int) throws {
        while groups.count <= group { groups.append([]) }
        groups[group].append(try codec.decode(cursor, at: layout.firstElementColumn))
        elementCount += 1
        guard pointsElsewhere else { return }
        for (index, column) in codec.columns.enumerated()
        where column.kind == .text || column.kind == .json {
            let place = layout.firstElementColumn + index
            if cursor.isNull(place) { continue }
            pointed.add(UInt32(group), column.kind, cursor.text(place).count)
        }
    }

    func committed() { unmeasuredBytes = 0 }

    var rowCount: Int { elementCount }
    var memoryBytes: Int {
        elementCount * (MemoryLayout<Element>.stride + 64) + groups.count * 48
            + (pointsElsewhere ? pointed.total + unmeasuredBytes : 0)
    }
}

/// Passes cells on to a writer and records the lengths of their texts.
private final class MeasuringWriter: RowWriter {
    var writer: (any RowWriter)?
    private var texts: [(column: Int, count: Int)] = []

    /// The texts bound since this was last called.
    func takeTexts() -> [(column: Int, count: Int)] {
        defer { texts.removeAll(keepingCapacity: true) }
        return texts
    }

    func bindNull(_ index: Int) { writer?.bindNull(index) }
    func bind(_ index: Int, _ value: Int64) { writer?.bind(index, value) }
    func bind(_ index: Int, _ value: Double) { writer?.bind(index, value) }
    func bind(_ index: Int, text: UnsafeRawBufferPointer) {
        texts.append((index, text.count))
        writer?.bind(index, text: text)
    }
    func bind(_ index: Int, _ text: String) {
        texts.append((index, text.utf8.count))
        writer?.bind(index, text)
    }
    func bind(_ index: Int, blob: UnsafeRawBufferPointer) { writer?.bind(index, blob: blob) }
    func execute() throws(KappaError) { try writer?.execute() }
}
