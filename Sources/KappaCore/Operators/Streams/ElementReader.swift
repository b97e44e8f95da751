import CKappaJSON

/// Reads the elements of a stream out of batches, a range of events at once.
///
/// A reading is one call of ``read(_:)``; it is then settled or undone. The elements of a batch accumulate
/// from reading to reading, until another batch is loaded. Each is in a row: ``with(_:_:)`` makes the row's
/// struct, and ``column(_:)`` returns its fields.
protocol ElementReader<Element>: AnyObject {
    associatedtype Element

    /// The elements so far.
    var list: ElementList { get }
    /// Whether the stream keeps state from event to event.
    var remembers: Bool { get }

    /// Sets the batch for the following calls.
    func load(_ batch: EventBatch)
    /// Appends the elements of a range of events, in log order. A call of `settle` or `undo` must follow,
    /// which keeps or undoes the changes to the stream's state; ``forEachReading(_:_:)`` makes it.
    func read(_ range: Range<Int>)
    /// Keeps the changes that the last reading has made to the stream's state.
    func settle()
    /// Undoes the last reading, including its changes to the stream's state.
    func undo()

    /// Passes the struct of a row to `body`; valid during the call.
    func with(_ row: Int, _ body: (UnsafePointer<Element>) throws -> Void) throws
    /// Makes the structs of some rows, several at once if possible. `body` gets the structs of a range of
    /// numbers, one after another in memory, and moves each out of it.
    /// - Parameters:
    ///   - rows: Rows of the last reading; their numbers are their indices in the list.
    ///   - failed: Called with the number of a row whose struct cannot be made, and the error.
    func forStructs(
        _ rows: ArraySlice<Int32>, _ body: (UnsafeMutablePointer<Element>, Range<Int>) -> Void,
        failed: (Int, any Error) -> Void)
    /// Sets the first cells of a packed row to those of a row's element. Returns false if that needs the
    /// struct.
    func pack(_ row: Int, into builder: PackedRowBuilder) -> Bool
    /// Binds the cells of a row's element, the first at index `first`. Returns false if that needs the
    /// struct.
    func bind(_ row: Int, to rows: RecordList, at first: Int) -> Bool
    /// The event times by row, if the stream has times. Valid until the next reading.
    var times: kj_column? { get }
    /// The plan's columns of the event times, which hold a time for every event of the log that has such a
    /// field. Empty if the time is computed.
    var timeColumns: [Int] { get }

    /// The field that a key path reads; nil if there is none.
    func field(of keyPath: AnyKeyPath) -> Int?
    /// The values of a field, by row. Valid until the next reading.
    func column(_ field: Int) -> kj_column
    /// Whether the columns alone hold the structs exactly, and in the order of their properties.
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

/// A reader that passes on some of another reader's elements, in the same rows.
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

    /// Makes one struct after another.
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

    /// Reads a range of events, and passes the range of new elements of ``list`` to `consume`, in one or
    /// several readings; see ``ElementList/forEachReading(_:_:settle:)``.
    /// - Parameters:
    ///   - consume: Uses the new elements. It may fail events, and must then undo its own changes for them.
    ///   - settled: Called after each reading, with whether it succeeded or was undone.
    func forEachReading(
        _ range: Range<Int>, _ consume: (Range<Int>) -> Void, settled: (Bool) -> Void = { _ in }
    ) {
        list.forEachReading(range) { range in
            let mark = list.count
            read(range)
            if !list.needsRetry { consume(mark..<list.count) }
        } settle: { succeeded in
            if succeeded { settle() } else { undo() }
            settled(succeeded)
        }
    }

    /// Reads a range for a downstream reader, and adds the failures to that reader's list.
    /// - Returns: The range of new elements in ``list``; nil if the reading has to be retried.
    func readNew(_ range: Range<Int>, adopting other: ElementList) -> Range<Int>? {
        let mark = list.count
        let failures = list.failures.count
        read(range)
        other.adoptFailures(of: list, from: failures)
        return list.needsRetry ? nil : mark..<list.count
    }

    /// Appends new elements of another list, except those of failed events, and records the failures.
    func adopt(_ other: ElementList, _ new: Range<Int>, but failed: [Int32: any Error]) {
        guard !failed.isEmpty else { return list.append(other, new) }
        let (rows, events) = (other.rows, other.events)
        for number in new where failed[events[number]] == nil {
            list.append(row: Int(rows[number]), event: events[number])
        }
        for (event, error) in failed.sorted(by: { $0.key < $1.key }) { fail(event, error) }
    }

    /// Records that an event fails, after some of it has been read.
    func fail(_ event: Int32, _ error: any Error) {
        list.fail(Int(event), EventOutcome(error), remembers: remembers)
    }
}

extension ElementList {
    /// Reads a range of events, in one or several readings.
    ///
    /// If an event fails, none of its elements is taken, and it must not change the stream's state. So a
    /// reading in which an event failed is undone, and retried as smaller readings, until that event is alone
    /// in one.
    /// - Parameter settle: Called after each reading, with whether it succeeded or is to be undone.
    func forEachReading(
        _ range: Range<Int>, _ read: (Range<Int>) -> Void, settle: (Bool) -> Void
    ) {
        var next = range.lowerBound
        var size = range.count
        while next < range.upperBound {
            let reading = next..<min(next + size, range.upperBound)
            let failed = failures.count
            read(reading)
            let succeeded = !needsRetry
            settle(succeeded)
            if !succeeded, reading.count > 1 {
                forgetFailures(from: failed)
                size = reading.count / 2
                continue
            }
            if succeeded { size = min(2 * size, range.count) }
            next = reading.upperBound
        }
    }
}

/// Packs a reader's elements, or binds them as rows: from their columns if these hold all of an element, else
/// by the reader's own means, else from their structs.
final class ElementPacker<Element: ViewRow> {
    let codec: RowCodec<Element>
    private let reader: any ElementReader<Element>
    let kinds: [ColumnKind]
    let isColumnar: Bool
    /// The columns of the cells, if they hold all of an element; else empty.
    private(set) var columns: [kj_column] = []

    init(_ reader: any ElementReader<Element>, _ codec: RowCodec<Element>) {
        self.reader = reader
        self.codec = codec
        kinds = codec.columns.map(\.kind)
        isColumnar = reader.isColumnar && codec.isFlat
    }

    /// Fetches the columns again, after a range was read.
    func refresh() {
        guard isColumnar else { return }
        columns = kinds.indices.map { reader.column($0) }
    }

    /// Packs the element in a row as the first cells of a packed row.
    func pack(_ row: Int, into builder: PackedRowBuilder) throws {
        builder.begin()
        if isColumnar {
            builder.bind(columns, row, kinds)
        } else if !reader.pack(row, into: builder) {
            try reader.with(row) { try codec.pack($0, into: builder) }
        }
    }

    /// Binds the element in a row, the first of its cells at index `first`, if columns do not hold all of it.
    func bind(_ row: Int, to rows: RecordList, at first: Int) throws {
        if reader.bind(row, to: rows, at: first) { return }
        try reader.with(row) { try codec.bind($0, to: rows, at: first) }
    }
}
