import CKappaJSON

/// The different values that a group has seen. Owned by a record through an unmanaged reference.
final class DistinctValues {
    private(set) var values: Set<Value> = []

    func add(_ column: kj_column, _ row: Int, kind: ColumnKind) {
        guard column.states[row] == UInt8(KJ_VALUE.rawValue) else { return }
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

    func formUnion(_ other: DistinctValues) { values.formUnion(other.values) }

    func save(to state: inout StateWriter) {
        state.write(UInt64(values.count))
        for value in values { state.write(value) }
    }

    func load(from state: inout StateReader) throws(KappaError) {
        let count = try state.readInteger()
        for _ in 0..<count { values.insert(try state.readValue()) }
    }
}
