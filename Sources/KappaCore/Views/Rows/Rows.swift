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
    /// How much memory a row takes, roughly.
    var rowBytes: Int { get }
    /// Binds the cells of a row that was taken.
    func bind(_ index: Int, to writer: any RowWriter) throws
    /// The cells of a row that was taken.
    func values(_ index: Int) throws -> [Value]
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
    private let codec: RowCodec<Element>
    private let hasParts: Bool
    private var selection: [Int32] = []
    private var elements: [Element] = []
    private var origins: [(offset: Int64, part: Int64)] = []

    init(_ reader: any ElementReader<Element>, hasParts: Bool) throws(KappaError) {
        self.reader = reader
        self.hasParts = hasParts
        codec = try RowCodec()
    }

    func take(
        _ batch: EventBatch, _ range: Range<Int>, _ outcome: (Int, EventOutcome) -> Void
    ) {
        selection.removeAll(keepingCapacity: true)
        reader.load(batch)
        reader.select(range, into: &selection)
        let firstOffset = Int64(truncatingIfNeeded: batch.firstOffset.rawValue)
        for event in selection {
            let before = elements.count
            do {
                try reader.take(Int(event)) { element, _ in
                    let part = Int64(elements.count - before)
                    elements.append(element)
                    origins.append((firstOffset + Int64(event), part))
                }
                if elements.count > before { outcome(Int(event), .applied) }
            } catch {
                elements.removeLast(elements.count - before)
                origins.removeLast(origins.count - before)
                outcome(Int(event), EventOutcome(error))
            }
        }
    }

    var count: Int { elements.count }
    // What texts point to is counted as one of 64 bytes.
    var rowBytes: Int { MemoryLayout<Element>.stride + 16 + 64 }

    func bind(_ index: Int, to writer: any RowWriter) throws {
        writer.bind(0, origins[index].offset)
        if hasParts { writer.bind(1, origins[index].part) }
        try elements.withUnsafeBufferPointer { elements in
            guard let base = elements.baseAddress else { return }
            try codec.bind(base + index, to: writer, at: hasParts ? 2 : 1)
        }
    }

    func values(_ index: Int) throws -> [Value] {
        let keys = [Value.integer(origins[index].offset)]
        let parts = hasParts ? [Value.integer(origins[index].part)] : []
        return keys + parts + (try codec.values(elements[index]))
    }

    func clear() {
        elements.removeAll(keepingCapacity: true)
        origins.removeAll(keepingCapacity: true)
    }
}
