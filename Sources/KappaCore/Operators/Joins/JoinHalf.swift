import CKappaJSON

/// One half of a join without the type of its elements: the work that is done for each element. Generic code
/// would look the type up at run time for each of them.
class JoinHalf {
    /// The kept elements, which wait for a match.
    let side: JoinRows
    /// The keys of elements that failed the stream's condition; nil if the join does not evaluate it.
    private let refused: JoinRows?
    let isUnique: Bool
    /// Whether the join itself evaluates the stream's condition.
    var judges: Bool { refused != nil }
    /// The elements of the half's reader.
    let list: ElementList
    private let keys: JoinKeyTable
    private let bound: JoinBound
    private let kinds: [ColumnKind]
    fileprivate let builder: PackedRowBuilder
    private let noCells = PackedRowBuilder(cells: 0)
    /// The cells of the elements by row, if columns hold all of an element; else empty.
    fileprivate var columns: [kj_column] = []
    /// The event times by row, if there are any.
    fileprivate(set) var times: kj_column?
    /// How many elements there were before the current reading.
    private var mark = 0
    private var failureMark = 0
    /// The key of each new element.
    private var ids: [UInt32] = []
    /// The start of each row's window.
    private var windows: [Int64] = []
    /// Elements that the current reading has kept, refused and matched, and those it has made unnecessary.
    private let kept = PlainList<Change>()
    private let refusals = PlainList<Change>()
    private let matched = PlainList<Change>()
    private let toForget = PlainList<Change>()
    /// New elements of pairs, packed, if columns do not hold all of an element.
    private let placed = RowArena()
    private let cursor = PackedCursor()

    /// A kept element, and the event that changed it.
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

    /// The elements of the current reading, as indices of ``list``.
    var new: Range<Int> { mark..<list.count }
    /// The failures of the current reading.
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
    /// - Throws: Any error from computing the key.
    @inline(__always)
    final func keyID(_ index: Int) throws -> UInt32 {
        if let error = keyFailure(index) { throw error }
        return ids[index - mark]
    }

    // MARK: What the type is needed for

    var remembers: Bool { false }
    /// The plan's columns of the event times.
    var timeColumns: [Int] { [] }
    fileprivate func loadElements(_ batch: EventBatch) {}
    fileprivate func readElements(_ range: Range<Int>) {}
    fileprivate func settleElements() {}
    fileprivate func undoElements() {}
    /// The error from computing a new element's key, if it failed.
    fileprivate func keyFailure(_ index: Int) -> (any Error)? { nil }
    /// Whether the new element in a row meets the stream's condition, if the join evaluates it.
    /// - Throws: Any error of the condition.
    func isIn(_ row: Int32) throws -> Bool { true }
    /// Packs the element in a row, if columns do not hold all of it.
    fileprivate func packElement(_ row: Int) throws {}

    // MARK: Places

    private var isColumnar: Bool { !columns.isEmpty }

    private func pack(_ index: Int) throws {
        let row = Int(list.rows[index])
        guard isColumnar else { return try packElement(row) }
        builder.begin()
        builder.bind(columns, row, kinds)
    }

    /// The place of a new element, valid until the next batch.
    final func place(_ index: Int) throws -> JoinPlace {
        if isColumnar { return .row(list.rows[index]) }
        try pack(index)
        return .packed(builder.finish(in: placed))
    }

    /// The place of a kept element, valid until the next batch.
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

    /// Fills some rows of a column with one cell of the elements at `places`.
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

    // MARK: Kept elements

    final func keep(_ index: Int, _ event: Int32, _ meta: JoinMeta) throws {
        try pack(index)
        let number = side.insert(builder, key: ids[index - mark], meta)
        kept.append(Change(number: number, event: event))
    }
    /// Records that the only element of a key failed the stream's condition.
    final func refuse(_ index: Int, _ event: Int32, _ meta: JoinMeta) {
        guard let refused else { return }
        noCells.begin()
        let number = refused.insert(noCells, key: ids[index - mark], meta)
        refusals.append(Change(number: number, event: event))
    }
    /// Whether the only element of a key failed the stream's condition.
    final func hasRefused(_ key: UInt32) -> Bool { refused?.first(key) != nil }
    final func forgetLater(_ number: UInt32, _ event: Int32) {
        toForget.append(Change(number: number, event: event))
    }
    final func match(_ number: UInt32, _ event: Int32) {
        side.setMatched(number, true)
        matched.append(Change(number: number, event: event))
    }

    /// Undoes the changes of an event and of all later ones.
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

    /// Undoes the current reading.
    final func undo() {
        undo(from: .min)
        undoElements()
    }

    /// Makes the current reading final: removes the elements that it has made unnecessary.
    final func settle() {
        for change in toForget { side.remove(change.number) }
        for changes in [kept, refusals, matched, toForget] { changes.truncate(to: 0) }
        settleElements()
    }
}

/// The place of a join's element: a row of its reader's columns, or a packed row.
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
        // The error of a key is thrown later, when its element is processed.
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

    /// Passes a new element as a struct to `body`, if it is needed.
    func with(
        _ index: Int, if isNeeded: Bool = true, _ body: (UnsafePointer<Element>) throws -> Void
    ) throws {
        if isNeeded { try reader.with(Int(list.rows[index]), body) }
    }

    /// Passes a kept element as a struct to `body`.
    func withKept(_ number: UInt32, _ body: (UnsafePointer<Element>) throws -> Void) throws {
        try codec.with(side.row(number), of: builder.cells, body)
    }
}
