extension EventStream where Element: ViewRow {
    /// A table of the elements themselves, a row for each.
    ///
    /// Its columns are the properties of the element. Its key is `offset`, that of the event which
    /// made the element (for a join, the event that completed it); where one event may make several,
    /// also `part`, which counts them from 0.
    public func rows() -> Rows { Rows(source) }
}

/// A table of a stream's elements: one step of a view. Made by ``EventStream/rows()``.
public struct Rows: TableStep {
    /// The table's name where it is not the view's.
    public var tableName: String?
    private let make: @Sendable (String) throws(KappaError) -> RowsDefinition

    init<Element: ViewRow>(_ source: StreamSource<Element>) {
        make = { table throws(KappaError) in try RowsDefinition(table: table, source: source) }
    }

    /// What the step does; for kappa's own use.
    public func define(view: String) throws(KappaError) -> StepDefinition {
        StepDefinition(.rows(try make(tableName ?? view)))
    }
}

/// A step of a view that makes one table.
public protocol TableStep: ViewStep {
    /// The table's name where it is not the view's.
    var tableName: String? { get set }
}

extension TableStep {
    /// Names the table, where a view has more than one. The first is named as the view.
    public func into(_ table: String) -> Self {
        var copy = self
        copy.tableName = table
        return copy
    }
}

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
        stateTables = source.states
        eventTypes = source.eventTypes
        let described = columns.map { "\($0.name):\($0.kind.rawValue)" }.joined(separator: ",")
        signature = "\(source.signature) rows \(described)"
        let hasParts = source.fansOut
        open = { context throws(KappaError) in
            try ElementRows(source.open(context), hasParts: hasParts)
        }
    }
}

/// The elements that are to become rows.
package protocol RowsInput: AnyObject {
    /// Takes the elements of the events in `range`, and tells what became of each event.
    func take(
        _ batch: EventBatch, _ range: Range<Int>, _ outcome: (Int, EventOutcome) -> Void)
    var count: Int { get }
    /// How much memory the rows take.
    var memoryBytes: Int { get }
    /// Binds the cells of a row that was taken.
    func bind(_ index: Int, to writer: any RowWriter)
    /// The cells of a row that was taken.
    func values(_ index: Int) -> [Value]
    /// Forgets all rows.
    func clear()
}

/// What became of an event that a step asked for.
package enum EventOutcome {
    case applied
    case late
    case dead(String)

    /// What an error makes of an event.
    init(_ error: any Error) {
        self = error is LateElement ? .late : .dead(FieldFailure.reason(error))
    }
}

private final class ElementRows<Element: ViewRow>: RowsInput {
    private let reader: any ElementReader<Element>
    private let packer: ElementPacker<Element>
    private let builder: PackedRowBuilder
    private let kinds: [ColumnKind]
    private let hasParts: Bool
    private let arena = RowArena()
    private var rows: [PackedRow] = []
    private var origins: [(offset: Int64, part: Int64)] = []

    init(_ reader: any ElementReader<Element>, hasParts: Bool) throws(KappaError) {
        self.reader = reader
        self.hasParts = hasParts
        let codec = try RowCodec<Element>()
        packer = ElementPacker(reader, codec)
        builder = PackedRowBuilder(cells: codec.columns.count)
        kinds = codec.columns.map(\.kind)
    }

    func take(
        _ batch: EventBatch, _ range: Range<Int>, _ outcome: (Int, EventOutcome) -> Void
    ) {
        reader.load(batch)
        let firstOffset = Int64(truncatingIfNeeded: batch.firstOffset.rawValue)
        let mark = rows.count
        var standing = mark
        reader.forEachReading(range) { new in
            packer.refresh()
            reader.list.forEachEvent(new) { event, elements in
                take(elements, of: event, at: firstOffset + Int64(event))
            }
        } settled: { stands in
            if !stands { truncate(to: standing) }
            standing = rows.count
        }
        for origin in origins[mark...] where origin.part == 0 {
            outcome(Int(origin.offset - firstOffset), .applied)
        }
        for (event, failure) in reader.list.failures { outcome(event, failure) }
    }

    private func take(_ elements: Range<Int>, of event: Int32, at offset: Int64) {
        let count = rows.count
        do {
            for index in elements {
                try packer.pack(Int(reader.list.rows[index]), into: builder)
                origins.append((offset, Int64(rows.count - count)))
                rows.append(builder.finish(in: arena))
            }
        } catch {
            truncate(to: count)
            reader.fail(event, error)
        }
    }

    private func truncate(to count: Int) {
        for row in rows[count...] { arena.release(row) }
        rows.removeLast(rows.count - count)
        origins.removeLast(origins.count - rows.count)
    }

    var count: Int { rows.count }
    var memoryBytes: Int { arena.memoryBytes + 24 * rows.count }

    func bind(_ index: Int, to writer: any RowWriter) {
        writer.bind(0, origins[index].offset)
        if hasParts { writer.bind(1, origins[index].part) }
        rows[index].bind(builder.cells, of: builder.cells, to: writer, at: hasParts ? 2 : 1)
    }

    func values(_ index: Int) -> [Value] {
        let keys = [Value.integer(origins[index].offset)]
        let parts = hasParts ? [Value.integer(origins[index].part)] : []
        return keys + parts + rows[index].values(kinds, of: builder.cells)
    }

    func clear() {
        rows.removeAll(keepingCapacity: true)
        origins.removeAll(keepingCapacity: true)
        arena.clear()
    }
}
