/// A table of elements without their type: what the materializer needs to run it.
package struct RowsDefinition: Sendable {
    package let table: TableSchema
    package let stateTables: [TableSchema]
    let signature: String
    let eventTypes: [String]
    package let open: @Sendable (any StreamContext) throws(KappaError) -> any RowsInput

    init<Element: ViewRow>(
        table name: String, source: StreamSource<Element>
    ) throws(KappaError) {
        try source.check()
        var keys = [ColumnSchema("offset", .integer, isKey: true)]
        if source.fansOut { keys.append(ColumnSchema("part", .integer, isKey: true)) }
        let columns = try RowCodec<Element>().columns
        table = TableSchema(name: name, columns: keys + columns)
        stateTables = source.states()
        eventTypes = source.eventTypes
        let described = columns.map { "\($0.name):\($0.kind.rawValue)" }.joined(separator: ",")
        signature = "\(source.signature()) rows \(described)"
        let (table, hasParts) = (table, source.fansOut)
        open = { context throws(KappaError) in
            try ElementRows(source.open(context), table, hasParts: hasParts)
        }
    }
}

/// The elements that become rows.
package protocol RowsInput: AnyObject {
    /// The rows taken so far, as they will be stored, in the order of their keys.
    var rows: RecordList { get }
    /// Takes the elements of the events in `range`. Returns the event of each element taken, and the events
    /// that failed, with their outcomes.
    func take(
        _ batch: EventBatch, _ range: Range<Int>
    ) -> (taken: [Int32], failed: [(event: Int, outcome: EventOutcome)])
}

private final class ElementRows<Element: ViewRow>: RowsInput {
    let rows: RecordList
    private let reader: any ElementReader<Element>
    private let packer: ElementPacker<Element>
    private let hasParts: Bool

    init(
        _ reader: any ElementReader<Element>, _ table: TableSchema, hasParts: Bool
    ) throws(KappaError) {
        self.reader = reader
        self.hasParts = hasParts
        packer = ElementPacker(reader, try RowCodec())
        rows = RecordList(table)
    }

    func take(
        _ batch: EventBatch, _ range: Range<Int>
    ) -> (taken: [Int32], failed: [(event: Int, outcome: EventOutcome)]) {
        reader.load(batch)
        let firstOffset = Int64(truncatingIfNeeded: batch.firstOffset.rawValue)
        var settledEnd = rows.end
        reader.forEachReading(range) { new in
            packer.refresh()
            if packer.isColumnar { takeColumns(new, firstOffset) } else { take(new, firstOffset) }
        } settled: { succeeded in
            if !succeeded { rows.truncate(to: settledEnd) }
            settledEnd = rows.end
        }
        // An event that failed has no rows, even if it has elements in the list: the failure takes
        // precedence.
        return (reader.list.events, reader.list.failures)
    }

    /// Takes elements that columns hold completely: none of them can fail.
    private func takeColumns(_ new: Range<Int>, _ firstOffset: Int64) {
        let (elements, events, first) = (reader.list.rows, reader.list.events, hasParts ? 2 : 1)
        let (columns, kinds, rows) = (packer.columns, packer.kinds, rows)
        var part: Int64 = 0
        for next in new {
            rows.bind(0, firstOffset + Int64(events[next]))
            if hasParts {
                part = next > new.lowerBound && events[next] == events[next - 1] ? part + 1 : 0
                rows.bind(1, part)
            }
            rows.bind(columns, Int(elements[next]), kinds, at: first)
            rows.execute()
        }
    }

    private func take(_ new: Range<Int>, _ firstOffset: Int64) {
        let (elements, events) = (reader.list.rows, reader.list.events)
        var next = new.lowerBound
        while next < new.upperBound {
            let event = events[next]
            let mark = rows.end
            var part: Int64 = 0
            do {
                while next < new.upperBound, events[next] == event {
                    rows.bind(0, firstOffset + Int64(event))
                    if hasParts { rows.bind(1, part) }
                    try packer.bind(Int(elements[next]), to: rows, at: hasParts ? 2 : 1)
                    rows.execute()
                    part += 1
                    next += 1
                }
            } catch {
                rows.truncate(to: mark)
                while next < new.upperBound, events[next] == event { next += 1 }
                reader.fail(event, error)
            }
        }
    }
}

/// Runs a table of a stream's elements: rows are only added, in the order of their keys.
final class RowsRunner: StepRunner {
    private let input: any RowsInput
    private let store: any RowStore
    private let tableIndex: Int
    /// Whether rows may be written before the first commit. It must be false if a second step reads the rows,
    /// because that step has to see each row as it is written.
    private let writesAhead: Bool

    init(
        input: any RowsInput, store: any RowStore, table: Int, writesAhead: Bool
    ) {
        self.input = input
        self.store = store
        tableIndex = table
        self.writesAhead = writesAhead
    }

    /// Rows are written ahead once they take more bytes than this; tests lower it.
    @TaskLocal static var mostWaitingBytes = 1 << 22

    func apply(_ batch: EventBatch, _ range: Range<Int>, _ pass: BatchPass) throws {
        let (taken, failed) = input.take(batch, range)
        pass.markApplied(taken)
        for (event, outcome) in failed { pass.note(event, outcome) }
        guard writesAhead, input.rows.memoryBytes > Self.mostWaitingBytes else { return }
        if try store.writeAhead(input.rows, table: tableIndex) { input.rows.removeAll() }
    }

    func write(to transaction: any StoreTransaction) throws {
        try transaction.append(input.rows, to: tableIndex)
    }

    func committed(mayEvict: Bool) { input.rows.removeAll() }

    // Each row is made only once, so spilled rows need no merging.
    var canSpill: Bool { true }
    func spill(keepingMemory: Bool) { input.rows.removeAll() }

    var memoryBytes: Int { input.rows.memoryBytes }
    var dirtyRows: Int { input.rows.count }
}
