import CKappaJSON

/// One half of a join without the type of its elements: all that is done for each of them. Code that
/// knows the type would look it up again and again.
class JoinHalf {
    /// The elements that wait.
    let side: JoinRows
    /// The keys of elements that are not in the stream, where the join is to ask that.
    private let refused: JoinRows?
    let isUnique: Bool
    /// Whether it is the join that asks which elements are in the stream.
    var judges: Bool { refused != nil }
    /// The elements of the half's reader.
    let list: ElementList
    private let keys: JoinKeyTable
    private let bound: JoinBound
    private let kinds: [ColumnKind]
    fileprivate let builder: PackedRowBuilder
    private let noCells = PackedRowBuilder(cells: 0)
    /// The cells of the elements by row, where these are all that there is to them; else none.
    fileprivate var columns: [kj_column] = []
    /// The event times by row, where there are any.
    fileprivate(set) var times: kj_column?
    /// How many elements there were before the last reading.
    private var mark = 0
    private var failureMark = 0
    /// The key of each new element.
    private var ids: [UInt32] = []
    /// The start of each row's window.
    private var windows: [Int64] = []
    /// What the last reading has kept, refused and matched, and what it makes unneeded.
    private let kept = PlainList<Change>()
    private let refusals = PlainList<Change>()
    private let matched = PlainList<Change>()
    private let toForget = PlainList<Change>()
    /// New elements that pairs are made of, where columns are not all that there is to them.
    private let placed = RowArena()
    private let cursor = PackedCursor()

    /// An element that waits, and the event that changed something about it.
    private struct Change {
        let number: UInt32
        let event: Int32
    }

    fileprivate init(
        _ list: ElementList, _ kinds: [ColumnKind], _ bound: JoinBound, _ keys: JoinKeyTable,
        _ side: JoinRows, refused: JoinRows?, isUnique: Bool
    ) {
        self.list = list
        self.kinds = kinds
        self.bound = bound
        self.keys = keys
        self.side = side
        self.refused = refused
        self.isUnique = isUnique
        builder = PackedRowBuilder(cells: kinds.count)
    }

    func load(_ batch: EventBatch, past: Int64?) {
        side.reclaim()
        refused?.reclaim()
        placed.clear()
        loadElements(batch)
        guard let past else { return }
        side.removeAll(upTo: past)
        refused?.removeAll(upTo: past)
    }

    /// Reads a range of events.
    func read(_ range: Range<Int>) {
        mark = list.count
        failureMark = list.failures.count
        readElements(range)
    }

    /// The elements of the last reading, as indices of ``list``.
    var new: Range<Int> { mark..<list.count }
    /// What could not be taken in it.
    var newFailures: ArraySlice<(event: Int, outcome: EventOutcome)> {
        list.failures[failureMark...]
    }

    /// Finds the keys of the new elements.
    fileprivate func findKeys(_ column: kj_column) {
        let rows = list.rows[new]
        var found = ids
        ids = []
        if bound.hasWindows, let times {
            let most = Int(rows.last ?? 0) + 1
            while windows.count < most { windows.append(0) }
            for row in rows { windows[Int(row)] = bound.window(of: times.integers[Int(row)]) }
            windows.withUnsafeBufferPointer {
                keys.find(rows, column, $0.baseAddress, into: &found)
            }
        } else {
            keys.find(rows, column, nil, into: &found)
        }
        ids = found
    }

    /// The number of a new element's key.
    /// - Throws: What computing the key threw.
    @inline(__always)
    final func keyID(_ index: Int) throws -> UInt32 {
        if let error = keyFailure(index) { throw error }
        return ids[index - mark]
    }

    // MARK: What is done with the type

    var remembers: Bool { false }
    /// The plan's columns of the event times.
    var timeColumns: [Int] { [] }
    fileprivate func loadElements(_ batch: EventBatch) {}
    fileprivate func readElements(_ range: Range<Int>) {}
    fileprivate func settleElements() {}
    fileprivate func undoElements() {}
    /// What computing a new element's key threw.
    fileprivate func keyFailure(_ index: Int) -> (any Error)? { nil }
    /// Whether the new element in a row is in the stream, where the join is to ask that.
    /// - Throws: What the condition threw.
    func isIn(_ row: Int32) throws -> Bool { true }
    /// Packs the element in a row, where columns are not all that there is to it.
    fileprivate func packElement(_ row: Int) throws {}

    // MARK: Places

    private var isColumnar: Bool { !columns.isEmpty }

    private func pack(_ index: Int) throws {
        let row = Int(list.rows[index])
        guard isColumnar else { return try packElement(row) }
        builder.begin()
        builder.bind(columns, row, kinds)
    }

    /// Where a new element is, until the next batch.
    final func place(_ index: Int) throws -> JoinPlace {
        if isColumnar { return .row(list.rows[index]) }
        try pack(index)
        return .packed(builder.finish(in: placed))
    }

    /// Where an element that waits is, until the next batch.
    final func place(kept number: UInt32) -> JoinPlace { .packed(side.row(number)) }

    /// Binds a cell of an element.
    @inline(__always)
    final func bind(
        _ cell: PairCells.Cell, at place: JoinPlace, to writer: some RowWriter, _ index: Int
    ) {
        switch place {
        case .row(let row): writer.bind(index, columns[cell.index], Int(row), cell.kind)
        case .packed(let row): writer.bind(index, row, cell.index, of: kinds.count)
        }
    }

    /// Fills some rows of a column with a cell of the elements in their places.
    final func fill(
        _ column: ComputedColumn, _ rows: Range<Int>, with cell: PairCells.Cell,
        at places: PlainList<JoinPlace>
    ) {
        for index in rows {
            switch places[index] {
            case .row(let row): column.set(index, columns[cell.index], Int(row))
            case .packed(let row): column.set(index, row, cell.index, of: kinds.count, cursor)
            }
        }
    }

    // MARK: What is kept

    final func keep(_ index: Int, _ event: Int32, _ meta: JoinMeta) throws {
        try pack(index)
        let number = side.insert(builder, key: ids[index - mark], meta)
        kept.append(Change(number: number, event: event))
    }
    /// Notes that the only element of a key is not in the stream.
    final func refuse(_ index: Int, _ event: Int32, _ meta: JoinMeta) {
        guard let refused else { return }
        noCells.begin()
        let number = refused.insert(noCells, key: ids[index - mark], meta)
        refusals.append(Change(number: number, event: event))
    }
    /// Whether the only element of a key was not in the stream.
    final func hasRefused(_ key: UInt32) -> Bool { refused?.first(key) != nil }
    final func forgetLater(_ number: UInt32, _ event: Int32) {
        toForget.append(Change(number: number, event: event))
    }
    final func match(_ number: UInt32, _ event: Int32) {
        side.setMatched(number, true)
        matched.append(Change(number: number, event: event))
    }

    /// Takes back what an event has done, and those behind it.
    final func undo(from event: Int32) {
        takeBack(kept, event) { side.remove($0) }
        takeBack(refusals, event) { refused?.remove($0) }
        takeBack(matched, event) { side.setMatched($0, false) }
        takeBack(toForget, event) { _ in }
    }

    private func takeBack(_ changes: PlainList<Change>, _ event: Int32, _ body: (UInt32) -> Void) {
        while let last = changes.last, last.event >= event {
            body(last.number)
            changes.popLast()
        }
    }

    /// The last reading is taken back.
    final func undo() {
        undo(from: .min)
        undoElements()
    }

    /// The last reading stands: what was put off is done.
    final func settle() {
        for change in toForget { side.remove(change.number) }
        for changes in [kept, refusals, matched, toForget] { changes.truncate(to: 0) }
        settleElements()
    }
}

/// Where an element of a join is: in a row of its reader's columns, or packed.
enum JoinPlace {
    case row(Int32)
    case packed(PackedRow)
}

/// One half of a join with the type of its elements.
final class TypedJoinHalf<Element: ViewRow>: JoinHalf {
    private let reader: any ElementReader<Element>
    private let codec: RowCodec<Element>
    private let packer: ElementPacker<Element>
    private let key: ExpressionColumns<Element>
    private let condition: ElementCondition<Element>?
    /// The new elements whose key cannot be computed.
    private var failedKeys: [Int: any Error] = [:]

    init(
        _ reader: any ElementReader<Element>, _ codec: RowCodec<Element>,
        _ input: JoinInput<Element>, _ bound: JoinBound, _ keys: JoinKeyTable,
        _ side: JoinRows, refused: JoinRows?
    ) {
        self.reader = reader
        self.codec = codec
        packer = ElementPacker(reader, codec)
        key = ExpressionColumns(reader, [input.key])
        condition =
            refused == nil ? nil : input.source.condition.map { ElementCondition(reader, $0) }
        super.init(
            reader.list, codec.columns.map(\.kind), bound, keys, side, refused: refused,
            isUnique: input.isUnique)
    }

    override var remembers: Bool { reader.remembers }
    override var timeColumns: [Int] { reader.timeColumns }

    override fileprivate func loadElements(_ batch: EventBatch) {
        reader.load(batch)
        key.clear()
    }

    override fileprivate func readElements(_ range: Range<Int>) {
        reader.read(range)
        guard !list.needsRetry else { return }
        packer.refresh()
        columns = packer.columns
        times = reader.times
        condition?.evaluate(list.rows[new])
        if key.needsStructs { compute() }
        findKeys(key.column(0))
    }

    private func compute() {
        // A key that cannot be computed fails where its element is taken.
        failedKeys.removeAll(keepingCapacity: true)
        for index in new {
            let row = Int(list.rows[index])
            do { try reader.with(row) { try key.compute(row, $0) } } catch {
                failedKeys[index] = error
            }
        }
    }

    override fileprivate func settleElements() { reader.settle() }
    override fileprivate func undoElements() { reader.undo() }
    override fileprivate func keyFailure(_ index: Int) -> (any Error)? {
        failedKeys.isEmpty ? nil : failedKeys[index]
    }
    override func isIn(_ row: Int32) throws -> Bool { try condition?.holds(row) ?? true }
    override fileprivate func packElement(_ row: Int) throws {
        try packer.pack(row, into: builder)
    }

    /// The struct of a new element, where it is needed at all.
    func with(
        _ index: Int, if isNeeded: Bool = true, _ body: (UnsafePointer<Element>) throws -> Void
    ) throws {
        if isNeeded { try reader.with(Int(list.rows[index]), body) }
    }

    /// The struct of an element that waits.
    func withKept(_ number: UInt32, _ body: (UnsafePointer<Element>) throws -> Void) throws {
        try codec.with(side.row(number), of: builder.cells, body)
    }
}
