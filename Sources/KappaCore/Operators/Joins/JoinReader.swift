import CKappaJSON

/// Makes new elements, with a closure, from the pairs that each event completes.
final class JoinReader<Left: ViewRow, Right: ViewRow, New>: MakingReader {
    typealias Element = New
    typealias Combine = @Sendable (Left, Right) throws -> New

    private let typed: TypedJoin<Left, Right>
    private let halves: JoinHalves
    private let isJoined: (@Sendable (Left, Right) throws -> Bool)?
    private let combine: Combine
    let made = ElementBuffer<New>()
    private let hasTime: Bool
    private var mark = 0

    init(
        _ join: InnerJoin<Left, Right>, where isJoined: (@Sendable (Left, Right) throws -> Bool)?,
        _ combine: @escaping Combine, _ context: any StreamContext
    ) throws(KappaError) {
        typed = try TypedJoin(join.left, join.right, join.bound, context)
        halves = typed.halves
        self.isJoined = isJoined
        self.combine = combine
        hasTime = join.hasTime
    }

    var remembers: Bool { true }
    var timeColumns: [Int] { halves.timeColumns }

    func load(_ batch: EventBatch) {
        halves.load(batch)
        made.clear()
    }

    func read(_ range: Range<Int>) {
        list.begin()
        mark = list.count
        let (left, right, met) = (typed.left, typed.right, halves.met)
        halves.readPairs(range, list) { index, event in
            try left.with(index) { mine in
                for other in met {
                    try right.withKept(other.number) {
                        try emit(mine.pointee, $0.pointee, other.time, event)
                    }
                }
            }
        } right: { index, event in
            try right.with(index) { mine in
                for other in met {
                    try left.withKept(other.number) {
                        try emit($0.pointee, mine.pointee, other.time, event)
                    }
                }
            }
        } undo: { event in
            made.truncate(to: list.count(before: event))
        }
    }

    func settle() { halves.settle() }
    func undo() {
        made.truncate(to: mark)
        halves.undo()
    }

    var times: kj_column? { hasTime ? made.timeColumn : nil }

    private func emit(_ a: Left, _ b: Right, _ time: Int64, _ event: Int32) throws {
        if let isJoined, try !isJoined(a, b) { return }
        let new = try combine(a, b)
        try DecimalOverflow.check()
        made.append(new, hasTime ? Timestamp(microseconds: time) : nil, event)
    }
}

/// Makes the pairs that each event completes, if the pair's properties are properties of the two elements.
final class PairReader<Left: ViewRow, Right: ViewRow, New: ViewRow>: ElementReader {
    typealias Element = New

    private let halves: JoinHalves
    private let pairs: PairPlaces
    private let codec: RowCodec<New>
    private let builder: PackedRowBuilder
    private let fields = StructFields.of(New.self)
    private var mark = 0

    init(
        _ join: InnerJoin<Left, Right>, _ cells: PairCells, _ context: any StreamContext
    ) throws(KappaError) {
        halves = try TypedJoin(join.left, join.right, join.bound, context).halves
        pairs = PairPlaces(halves, cells.cells, hasTimes: join.hasTime)
        codec = try RowCodec()
        builder = PackedRowBuilder(cells: cells.cells.count)
    }

    var list: ElementList { pairs.list }
    var remembers: Bool { true }
    var timeColumns: [Int] { halves.timeColumns }

    func load(_ batch: EventBatch) {
        halves.load(batch)
        pairs.clear()
    }

    func read(_ range: Range<Int>) {
        list.begin()
        mark = list.count
        pairs.read(range)
    }

    func settle() { halves.settle() }
    func undo() {
        pairs.truncate(to: mark)
        halves.undo()
    }

    var times: kj_column? { pairs.times }

    func pack(_ row: Int, into builder: PackedRowBuilder) -> Bool {
        pairs.bind(row, to: builder)
        return true
    }
    func bind(_ row: Int, to rows: RecordList, at first: Int) -> Bool {
        pairs.bind(row, to: rows, at: first)
        return true
    }

    func with(_ row: Int, _ body: (UnsafePointer<New>) throws -> Void) throws {
        builder.begin()
        pairs.bind(row, to: builder)
        try codec.with(builder.row, of: builder.cells, body)
    }

    // A pair's cell may be NaN, which a column shows as missing.
    var isColumnar: Bool { false }
    func field(of keyPath: AnyKeyPath) -> Int? { fields?.field(keyPath) }
    func column(_ field: Int) -> kj_column { pairs.column(field) }
}

/// The pairs of a join, as the places of their elements; cells are copied only when they are needed.
final class PairPlaces {
    let list = ElementList()
    private let halves: JoinHalves
    private let cells: [PairCells.Cell]
    private let lefts = PlainList<JoinPlace>()
    private let rights = PlainList<JoinPlace>()
    /// The event that completed each pair; pairs of the current reading are not in the list yet.
    private let events = PlainList<Int32>()
    /// The time of each pair, if there are times.
    private let pairTimes: ComputedColumn?
    /// The cells that have been requested as columns, and how many rows of each are filled.
    private var columns: [ComputedColumn?]
    private var filled: [Int]

    init(_ halves: JoinHalves, _ cells: [PairCells.Cell], hasTimes: Bool) {
        self.halves = halves
        pairTimes = hasTimes ? ComputedColumn(kind: .timestamp) : nil
        self.cells = cells
        columns = Array(repeating: nil, count: cells.count)
        filled = Array(repeating: 0, count: cells.count)
    }

    /// Forgets the pairs of the previous batch.
    func clear() {
        truncate(to: 0)
        list.clear()
        for column in columns { column?.clear() }
    }

    /// Reads a range of events and appends the pairs that they complete.
    func read(_ range: Range<Int>) {
        let (left, right, met) = (halves.left, halves.right, halves.met)
        halves.readPairs(range, list) { index, event in
            let mine = try left.place(index)
            for other in met {
                add(mine, right.place(kept: other.number), other.time, event)
            }
        } right: { index, event in
            let mine = try right.place(index)
            for other in met {
                add(left.place(kept: other.number), mine, other.time, event)
            }
        } undo: { event in
            truncate(to: events.count(before: event))
        }
        list.append(rows: list.count..<events.count, of: events)
    }

    private func add(_ left: JoinPlace, _ right: JoinPlace, _ time: Int64, _ event: Int32) {
        pairTimes?.set(events.count, integer: time)
        lefts.append(left)
        rights.append(right)
        events.append(event)
    }

    func truncate(to count: Int) {
        list.truncate(to: count)
        events.truncate(to: count)
        lefts.truncate(to: count)
        rights.truncate(to: count)
        for index in filled.indices { filled[index] = min(filled[index], count) }
    }

    var times: kj_column? { pairTimes?.column }

    /// Binds a pair's cells, the first at index `first`.
    @inline(__always)
    func bind(_ row: Int, to writer: some RowWriter, at first: Int = 0) {
        let (left, right) = (lefts[row], rights[row])
        for index in cells.indices {
            let cell = cells[index]
            if cell.isLeft {
                halves.left.bind(cell, at: left, to: writer, first + index)
            } else {
                halves.right.bind(cell, at: right, to: writer, first + index)
            }
        }
    }

    func column(_ index: Int) -> kj_column {
        let cell = cells[index]
        let column = columns[index] ?? ComputedColumn(kind: cell.kind)
        columns[index] = column
        let missing = filled[index]..<list.count
        let (half, places) = cell.isLeft ? (halves.left, lefts) : (halves.right, rights)
        half.fill(column, missing, with: cell, at: places)
        filled[index] = list.count
        return column.column
    }
}
