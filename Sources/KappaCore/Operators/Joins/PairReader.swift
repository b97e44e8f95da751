import CKappaJSON

/// Makes the pairs that each event completes, where their properties are those of the two elements.
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

    // A pair's cell may be a double that is no number, which a column shows as missing.
    var isColumnar: Bool { false }
    func field(of keyPath: AnyKeyPath) -> Int? { fields?.field(keyPath) }
    func column(_ field: Int) -> kj_column { pairs.column(field) }
}
