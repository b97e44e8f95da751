import CKappaJSON

/// One half of a join: its stream, and the elements that wait.
final class JoinHalf<Element: ViewRow> {
    let side: any JoinSide
    let isUnique: Bool
    let hasTime: Bool
    let reader: any ElementReader<Element>
    private let codec: RowCodec<Element>
    private let packer: ElementPacker<Element>
    private let builder: PackedRowBuilder
    private let key: ExpressionColumns<Element>
    private let bound: JoinBound
    private let keys: any JoinKeys
    /// How many elements there were before the last reading.
    private var mark = 0
    private var failureMark = 0
    /// The key of each new element.
    private var ids: [UInt32] = []
    /// The new elements whose key cannot be computed.
    private var failedKeys: [Int: any Error] = [:]
    /// The start of each row's window.
    private var windows: [Int64] = []
    private var times: kj_column?
    /// What the last reading has kept and matched, and what it makes unneeded.
    private var kept: [UInt32] = []
    private var matched: [UInt32] = []
    private var toForget: [UInt32] = []

    init(
        _ reader: any ElementReader<Element>, _ input: JoinInput<Element>, _ bound: JoinBound,
        _ keys: any JoinKeys, _ side: any JoinSide
    ) throws(KappaError) {
        self.reader = reader
        self.side = side
        self.keys = keys
        self.bound = bound
        isUnique = input.isUnique
        hasTime = input.source.hasTime
        key = ExpressionColumns(reader, [input.key])
        codec = try RowCodec(spread: true)
        packer = ElementPacker(reader, codec)
        builder = PackedRowBuilder(cells: codec.columns.count)
    }

    var list: ElementList { reader.list }

    /// The columns of both halves' event times.
    func timeColumns<Other>(and other: JoinHalf<Other>) -> [Int] {
        reader.timeColumns + other.reader.timeColumns.filter { !reader.timeColumns.contains($0) }
    }

    func load(_ batch: EventBatch, past: Int64?) {
        reader.load(batch)
        key.clear()
        if let past { side.removeAll(upTo: past) }
    }

    /// Reads a range of events.
    func read(_ range: Range<Int>) {
        mark = list.count
        failureMark = list.failures.count
        reader.read(range)
        guard !list.isSpoilt else { return }
        packer.refresh()
        times = reader.times
        if key.needsStructs { compute() }
        findKeys()
    }

    /// The elements of the last reading, as indices of ``list``.
    var new: Range<Int> { mark..<list.count }
    /// What could not be taken in it.
    var newFailures: ArraySlice<(event: Int, outcome: EventOutcome)> {
        list.failures[failureMark...]
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

    private func findKeys() {
        guard bound.hasWindows, let times else {
            return keys.find(list.rows[new], key.column(0), nil, into: &ids)
        }
        let rows = list.rows[new]
        let most = Int(rows.last ?? 0) + 1
        while windows.count < most { windows.append(0) }
        for row in rows { windows[Int(row)] = bound.window(of: times.integers[Int(row)]) }
        windows.withUnsafeBufferPointer {
            keys.find(rows, key.column(0), $0.baseAddress, into: &ids)
        }
    }

    /// The event time of a new element, in microseconds; zero where it has none.
    func time(_ index: Int) -> Int64 {
        guard let times else { return 0 }
        let row = Int(list.rows[index])
        return times.states[row] == UInt8(KJ_VALUE.rawValue) ? times.integers[row] : 0
    }

    /// The number of a new element's key.
    /// - Throws: What computing the key threw.
    func keyID(_ index: Int) throws -> UInt32 {
        if !failedKeys.isEmpty, let error = failedKeys[index] { throw error }
        return ids[index - mark]
    }

    func with(_ index: Int, _ body: (UnsafePointer<Element>) throws -> Void) throws {
        try reader.with(Int(list.rows[index]), body)
    }

    /// The struct of an element that waits.
    func withKept(_ number: UInt32, _ body: (UnsafePointer<Element>) throws -> Void) throws {
        try codec.with(side.row(number), of: builder.cells, body)
    }

    // MARK: What is kept

    /// What has been kept, matched and made unneeded so far.
    struct Mark {
        var kept = 0
        var matched = 0
        var toForget = 0
    }

    func keep(_ index: Int, _ meta: JoinMeta) throws {
        try packer.pack(Int(list.rows[index]), into: builder)
        kept.append(side.insert(builder, key: ids[index - mark], meta))
    }
    func forgetLater(_ number: UInt32) { toForget.append(number) }
    func match(_ number: UInt32) {
        side.setMatched(number, true)
        matched.append(number)
    }

    var position: Mark {
        Mark(kept: kept.count, matched: matched.count, toForget: toForget.count)
    }

    /// Takes back what was done since.
    func undo(to position: Mark) {
        for number in kept[position.kept...].reversed() { side.remove(number) }
        for number in matched[position.matched...] { side.setMatched(number, false) }
        kept.removeLast(kept.count - position.kept)
        matched.removeLast(matched.count - position.matched)
        toForget.removeLast(toForget.count - position.toForget)
    }

    /// The last reading is taken back.
    func undo() {
        undo(to: Mark())
        reader.undo()
    }

    /// The last reading stands: what was put off is done.
    func settle() {
        for number in toForget { side.remove(number) }
        kept.removeAll(keepingCapacity: true)
        matched.removeAll(keepingCapacity: true)
        toForget.removeAll(keepingCapacity: true)
        reader.settle()
    }
}
