import CKappaJSON

/// The best elements of each group, as packed rows.
final class RankedElements<Element: ViewRow>: RankingInput {
    private let reader: any ElementReader<Element>
    private let keys: ExpressionColumns<Element>
    private let orders: ExpressionColumns<Element>
    private let orderings: [Ordering<Element>]
    private let packer: ElementPacker<Element>
    private let builder: PackedRowBuilder
    private let rankings: PackedRankings
    private let kinds: [ColumnKind]
    private let orderKinds: [ColumnKind]
    private let layout: RankingLayout
    private let needsStructs: Bool
    /// The elements of the current reading that can be processed.
    private let taken = ElementList()
    /// The groups for which rows were proposed.
    private var proposed: [UInt32] = []

    init(
        _ reader: any ElementReader<Element>, keys: [Expression<Element>],
        _ rule: RankingRule<Element>, _ layout: RankingLayout
    ) throws(KappaError) {
        self.reader = reader
        self.keys = ExpressionColumns(reader, keys)
        orderings = rule.orderings
        orders = ExpressionColumns(reader, orderings.map(\.value))
        self.layout = layout
        let codec = try RowCodec<Element>()
        packer = ElementPacker(reader, codec)
        needsStructs = self.keys.needsStructs || orders.needsStructs || !codec.isFlat
        kinds = codec.columns.map(\.kind)
        orderKinds = orderings.map(\.value.kind)
        // The values that order elements follow the elements' own cells.
        let own = kinds.count
        let cells = own + orderings.count
        builder = PackedRowBuilder(cells: cells)
        let parts = orderings.enumerated().map { index, ordering in
            OrderedCells.Part(
                cell: own + index, kind: ordering.value.kind, isDescending: ordering.isDescending)
        }
        rankings = PackedRankings(
            limit: rule.limit, ties: rule.ties,
            OrderedCells(parts, cells: cells, mayBeNull: orderings.first?.mayBeNull ?? false))
    }

    func take(
        _ batch: EventBatch, _ range: Range<Int>,
        groups: (_ rows: ArraySlice<Int32>, _ keys: [kj_column]) -> [UInt32],
        changed: (UInt32) -> Void, _ outcome: (_ events: [Int32], EventOutcome) -> Void
    ) {
        reader.load(batch)
        keys.clear()
        orders.clear()
        reader.forEachReading(range) { new in
            packer.refresh()
            select(new)
            // All computations that can fail have run, so nothing has to be undone.
            if !reader.list.needsRetry { rank(groups, changed) }
        } settled: { succeeded in
            if succeeded { outcome(taken.events, .applied) }
        }
        for (event, failure) in reader.list.failures { outcome([Int32(event)], failure) }
    }

    /// Finds the elements that can be processed.
    private func select(_ new: Range<Int>) {
        let list = reader.list
        taken.clear()
        guard needsStructs else { return taken.append(list, new) }
        list.forEachEvent(new) { event, elements in
            let count = taken.count
            do {
                for index in elements {
                    let row = Int(list.rows[index])
                    try reader.with(row) {
                        try keys.compute(row, $0)
                        try orders.compute(row, $0)
                    }
                    // A struct that makes its cells itself may throw.
                    if !packer.codec.isFlat { try packer.pack(row, into: builder) }
                    taken.append(row: row, event: event)
                }
            } catch {
                taken.truncate(to: count)
                reader.fail(event, error)
            }
        }
    }

    private func rank(
        _ groups: (_ rows: ArraySlice<Int32>, _ keys: [kj_column]) -> [UInt32],
        _ changed: (UInt32) -> Void
    ) {
        let rows = taken.rows
        let ids = groups(rows[...], keys.columns)
        guard let most = ids.max() else { return }
        rankings.reserve(through: Int(most))
        let orders = orders.columns
        if rankings.keepsOneByRank {
            rankOne(rows, ids, orders, changed)
        } else {
            rankEach(rows, ids, orders, changed)
        }
    }

    /// Ranks rows if each group keeps one: of the current rows of a group, only the best is packed.
    private func rankOne(
        _ rows: [Int32], _ ids: [UInt32], _ orders: [kj_column], _ changed: (UInt32) -> Void
    ) {
        let first = orders.first ?? kj_column()
        proposed.removeAll(keepingCapacity: true)
        for index in rows.indices {
            if index + Self.ahead < ids.count {
                rankings.prefetch(Int(ids[index + Self.ahead]))
            }
            let row = Int(rows[index])
            let rank = rankings.order.rank(first, row)
            if rankings.propose(row, rank, Int(ids[index])) ?? false { proposed.append(ids[index]) }
        }
        for index in proposed.indices {
            if index + Self.ahead < proposed.count {
                rankings.prefetchRows(Int(proposed[index + Self.ahead]))
            }
            let group = Int(proposed[index])
            pack(rankings.takeProposed(group), orders)
            rankings.replace(group, by: builder)
            changed(proposed[index])
        }
    }

    private func rankEach(
        _ rows: [Int32], _ ids: [UInt32], _ orders: [kj_column], _ changed: (UInt32) -> Void
    ) {
        let first = orders.first ?? kj_column()
        for index in rows.indices {
            if index + 2 * Self.ahead < ids.count {
                rankings.prefetch(Int(ids[index + 2 * Self.ahead]))
            }
            if index + Self.ahead < ids.count {
                rankings.prefetchRows(Int(ids[index + Self.ahead]))
            }
            let row = Int(rows[index])
            let group = Int(ids[index])
            let rank = rankings.order.rank(first, row)
            guard rankings.mayTake(rank, group) else { continue }
            pack(row, orders)
            if rankings.add(builder, rank, group) { changed(ids[index]) }
        }
    }

    /// How many rows ahead memory is prefetched.
    private static var ahead: Int { 8 }

    /// Packs the row of an element, with the values that order it.
    private func pack(_ row: Int, _ orders: [kj_column]) {
        do { try packer.pack(row, into: builder) } catch {
            preconditionFailure("an element that was packed before can be packed again")
        }
        for part in orders.indices {
            builder.bind(kinds.count + part, orders[part], row, orderKinds[part])
        }
    }

    // MARK: Rows

    func count(in group: Int) -> Int { rankings.count(in: group) }
    func prefetch(_ group: Int) { rankings.prefetch(group) }
    func prefetchRows(_ group: Int) { rankings.prefetchRows(group) }

    func bind(_ rank: Int, of group: Int, to writer: any RowWriter) {
        rankings.row(rank, of: group).bind(
            kinds.count, of: builder.cells, to: writer, at: layout.firstElementColumn)
        if layout.showsRank {
            writer.bind(layout.firstElementColumn + kinds.count, Int64(rank + 1))
        }
    }

    func values(_ rank: Int, of group: Int) -> [Value] {
        let cells = rankings.row(rank, of: group).values(kinds, of: builder.cells)
        return layout.showsRank ? cells + [.integer(Int64(rank + 1))] : cells
    }

    func load(_ cursor: any RowCursor, into group: Int) throws {
        builder.begin()
        for index in kinds.indices {
            builder.bind(index, cursor, layout.firstElementColumn + index)
        }
        if !orderings.isEmpty {
            let element = try packer.codec.decode(cursor, at: layout.firstElementColumn)
            for (index, ordering) in orderings.enumerated() {
                builder.bind(kinds.count + index, try ordering.value.evaluate(element))
            }
        }
        rankings.append(builder, to: group)
    }

    var memoryBytes: Int { rankings.memoryBytes }
    var rowCount: Int { rankings.rowCount }
}
