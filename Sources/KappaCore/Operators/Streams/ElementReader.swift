import CKappaJSON

/// Reads the elements of a stream out of batches, a range of events at once.
///
/// The elements of a batch add up from reading to reading until another batch is loaded. Each one
/// stands in a row, of which ``with(_:_:)`` makes the struct, and ``column(_:)`` shows the fields.
protocol ElementReader<Element>: AnyObject {
    associatedtype Element

    /// The elements so far.
    var list: ElementList { get }
    /// Whether the stream remembers anything from event to event.
    var remembers: Bool { get }

    /// Takes a batch as the one that the other calls are about.
    func load(_ batch: EventBatch)
    /// Appends the elements of a range of events, in log order. What the stream remembers of them is
    /// up to a call of `settle` or `undo`; ``forEachReading(_:_:)`` makes it.
    func read(_ range: Range<Int>)
    /// What was read last was taken: what it changed in what the stream remembers stays.
    func settle()
    /// What was read last is as if it had not been read.
    func undo()

    /// The struct that stands in a row, for as long as `body` runs.
    func with(_ row: Int, _ body: (UnsafePointer<Element>) throws -> Void) throws
    /// Makes the structs of some rows, several at once where that can be. `body` gets those of the rows with
    /// some numbers, one behind the other, and takes each out of its memory.
    /// - Parameters:
    ///   - rows: Of the last reading; their numbers are their indices in the list.
    ///   - failed: Told the number of a row whose struct cannot be made, and why.
    func forStructs(
        _ rows: ArraySlice<Int32>, _ body: (UnsafeMutablePointer<Element>, Range<Int>) -> Void,
        failed: (Int, any Error) -> Void)
    /// Sets the first cells of a packed row to those of the element in a row; false where it takes the
    /// struct.
    func pack(_ row: Int, into builder: PackedRowBuilder) -> Bool
    /// Binds the cells of the element in a row, the first at index `first`; false where it takes the struct.
    func bind(_ row: Int, to rows: RecordList, at first: Int) -> Bool
    /// The event times by row, where the stream has times. Valid until the next reading.
    var times: kj_column? { get }
    /// The plan's columns in which event times stand, as every event of the log has them that has
    /// such a field at all. None where the time is computed.
    var timeColumns: [Int] { get }

    /// The field that a key path reads; nil where none stands for it.
    func field(of keyPath: AnyKeyPath) -> Int?
    /// What a field holds, by row. Valid until the next reading.
    func column(_ field: Int) -> kj_column
    /// Whether the columns alone make the structs, bit by bit, and in their order.
    var isColumnar: Bool { get }
}

/// A reader that makes its elements itself.
protocol MakingReader<Element>: ElementReader {
    var made: ElementBuffer<Element> { get }
}

extension MakingReader {
    var list: ElementList { made.list }
    func with(_ row: Int, _ body: (UnsafePointer<Element>) throws -> Void) throws {
        try made.with(row, body)
    }
    func forStructs(
        _ rows: ArraySlice<Int32>, _ body: (UnsafeMutablePointer<Element>, Range<Int>) -> Void,
        failed: (Int, any Error) -> Void
    ) {
        made.forStructs(rows, body)
    }
    func field(of keyPath: AnyKeyPath) -> Int? { made.field(of: keyPath) }
    func column(_ field: Int) -> kj_column { made.column(field) }
    var isColumnar: Bool { false }
}

/// A reader that hands on some of another one's elements, where they stand.
protocol PassingReader<Element>: ElementReader {
    var upstream: any ElementReader<Element> { get }
}

extension PassingReader {
    var timeColumns: [Int] { upstream.timeColumns }
    func with(_ row: Int, _ body: (UnsafePointer<Element>) throws -> Void) throws {
        try upstream.with(row, body)
    }
    func forStructs(
        _ rows: ArraySlice<Int32>, _ body: (UnsafeMutablePointer<Element>, Range<Int>) -> Void,
        failed: (Int, any Error) -> Void
    ) {
        upstream.forStructs(rows, body, failed: failed)
    }
    var times: kj_column? { upstream.times }
    func field(of keyPath: AnyKeyPath) -> Int? { upstream.field(of: keyPath) }
    func pack(_ row: Int, into builder: PackedRowBuilder) -> Bool {
        upstream.pack(row, into: builder)
    }
    func bind(_ row: Int, to rows: RecordList, at first: Int) -> Bool {
        upstream.bind(row, to: rows, at: first)
    }
    func column(_ field: Int) -> kj_column { upstream.column(field) }
    var isColumnar: Bool { upstream.isColumnar }
}

extension ElementReader {
    func pack(_ row: Int, into builder: PackedRowBuilder) -> Bool { false }
    func bind(_ row: Int, to rows: RecordList, at first: Int) -> Bool { false }

    /// One struct after another.
    func forStructs(
        _ rows: ArraySlice<Int32>, _ body: (UnsafeMutablePointer<Element>, Range<Int>) -> Void,
        failed: (Int, any Error) -> Void
    ) {
        withUnsafeTemporaryAllocation(of: Element.self, capacity: 1) { memory in
            guard let one = memory.baseAddress else { return }
            for number in rows.indices {
                do {
                    try with(Int(rows[number])) { one.initialize(from: $0, count: 1) }
                    body(one, number..<(number + 1))
                } catch {
                    failed(number, error)
                }
            }
        }
    }

    /// Reads a range of events and hands over which elements of ``list`` are new, in one or several
    /// readings; see ``ElementList/forEachReading(_:_:settle:)``.
    /// - Parameters:
    ///   - consume: Uses the new elements. It may let events fail, and must itself leave no trace of
    ///     those.
    ///   - settled: Told whether the reading stands, or is taken back.
    func forEachReading(
        _ range: Range<Int>, _ consume: (Range<Int>) -> Void, settled: (Bool) -> Void = { _ in }
    ) {
        list.forEachReading(range) { range in
            let mark = list.count
            read(range)
            if !list.needsRetry { consume(mark..<list.count) }
        } settle: { stands in
            if stands { settle() } else { undo() }
            settled(stands)
        }
    }

    /// Reads a range for a reader behind this one, in whose list it is noted what failed.
    /// - Returns: Which elements of ``list`` are new; nil if the reading has to be retried.
    func readNew(_ range: Range<Int>, adopting other: ElementList) -> Range<Int>? {
        let mark = list.count
        let failures = list.failures.count
        read(range)
        other.adoptFailures(of: list, from: failures)
        return list.needsRetry ? nil : mark..<list.count
    }

    /// Appends new elements of another list, but those of events that have failed, which are noted.
    func adopt(_ other: ElementList, _ new: Range<Int>, but failed: [Int32: any Error]) {
        guard !failed.isEmpty else { return list.append(other, new) }
        let (rows, events) = (other.rows, other.events)
        for number in new where failed[events[number]] == nil {
            list.append(row: Int(rows[number]), event: events[number])
        }
        for (event, error) in failed.sorted(by: { $0.key < $1.key }) { fail(event, error) }
    }

    /// An event of which something was read cannot be taken.
    func fail(_ event: Int32, _ error: any Error) {
        list.fail(Int(event), EventOutcome(error), remembers: remembers)
    }
}

extension ElementList {
    /// Reads a range of events, in one or several readings.
    ///
    /// Where an event cannot be taken, neither can any of its elements, and the stream remembers
    /// nothing of it: a reading in which an event failed is taken back, and retried in smaller
    /// ones, until that event stands alone.
    /// - Parameter settle: Told whether the reading stands, or is to be taken back.
    func forEachReading(
        _ range: Range<Int>, _ read: (Range<Int>) -> Void, settle: (Bool) -> Void
    ) {
        var next = range.lowerBound
        var size = range.count
        while next < range.upperBound {
            let reading = next..<min(next + size, range.upperBound)
            let failed = failures.count
            read(reading)
            let stands = !needsRetry
            settle(stands)
            if !stands, reading.count > 1 {
                forgetFailures(from: failed)
                size = reading.count / 2
                continue
            }
            if stands { size = min(2 * size, range.count) }
            next = reading.upperBound
        }
    }
}

/// Packs a reader's elements, or binds them as rows: from their columns where these are all there is to them,
/// from where else their cells stand, or from their structs.
final class ElementPacker<Element: ViewRow> {
    let codec: RowCodec<Element>
    private let reader: any ElementReader<Element>
    let kinds: [ColumnKind]
    let isColumnar: Bool
    /// The columns of the cells, where they are all that there is to an element; else none.
    private(set) var columns: [kj_column] = []

    init(_ reader: any ElementReader<Element>, _ codec: RowCodec<Element>) {
        self.reader = reader
        self.codec = codec
        kinds = codec.columns.map(\.kind)
        isColumnar = reader.isColumnar && codec.isFlat
    }

    /// A range was read.
    func refresh() {
        guard isColumnar else { return }
        columns = kinds.indices.map { reader.column($0) }
    }

    /// Packs the element that stands in a row as the first cells of a packed row.
    func pack(_ row: Int, into builder: PackedRowBuilder) throws {
        builder.begin()
        if isColumnar {
            builder.bind(columns, row, kinds)
        } else if !reader.pack(row, into: builder) {
            try reader.with(row) { try codec.pack($0, into: builder) }
        }
    }

    /// Binds the element that stands in a row, the first of its cells at index `first`, where columns are not
    /// all that there is to it.
    func bind(_ row: Int, to rows: RecordList, at first: Int) throws {
        if reader.bind(row, to: rows, at: first) { return }
        try reader.with(row) { try codec.bind($0, to: rows, at: first) }
    }
}
