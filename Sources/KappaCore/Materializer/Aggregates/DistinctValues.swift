import CKappaJSON

/// The different values that a group has seen.
final class DistinctValues: StateObject {
    private(set) var values: Set<Value> = []

    override func add(_ column: kj_column, _ row: Int, kind: ColumnKind, offset: Int64) {
        switch kind {
        case .bool: values.insert(.bool(column.integers[row] != 0))
        case .integer: values.insert(.integer(column.integers[row]))
        case .timestamp:
            values.insert(.timestamp(Timestamp(microseconds: column.integers[row])))
        // Zero has two doubles that are equal; both are one value.
        case .double: values.insert(.double(column.doubles[row] + 0))
        case .decimal: if let decimal = column.decimal(row) { values.insert(.decimal(decimal)) }
        case .text: values.insert(.text(column.strings[row].string))
        case .json: values.insert(.json(column.strings[row].string))
        }
    }

    override func merge(_ other: StateObject) {
        if let other = other as? DistinctValues { values.formUnion(other.values) }
    }

    override func emit(to sink: inout some CellSink) { sink.integer(Int64(values.count)) }

    override func save(to state: inout StateWriter) {
        state.write(UInt64(values.count))
        for value in values { state.write(value) }
    }

    override func load(
        from state: inout StateReader, _ cursor: any RowCursor, _ column: Int
    ) throws(KappaError) {
        let count = try state.readCount()
        for _ in 0..<count { values.insert(try state.readValue()) }
    }
}
