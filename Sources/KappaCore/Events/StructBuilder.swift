import CKappaJSON

/// Makes structs out of columns by putting each value where its ``StructLayout`` says.
///
/// It takes and refuses the same events, for the same reasons, as ``ColumnDecoder``.
final class StructBuilder<Element> {
    private let memory = UnsafeMutablePointer<Element>.allocate(capacity: 1)
    private let layout: StructLayout
    private let shape: EventShape
    private let fieldColumns: [Int]
    /// The column of each slot, in the loaded batch.
    private let columns: UnsafeMutablePointer<kj_column>

    init(_ layout: StructLayout, _ shape: EventShape, fieldColumns: [Int]) {
        self.layout = layout
        self.shape = shape
        self.fieldColumns = fieldColumns
        columns = .allocate(capacity: max(1, layout.slots.count))
    }

    deinit {
        memory.deallocate()
        columns.deallocate()
    }

    func load(_ batch: EventBatch) {
        for (index, slot) in layout.slots.enumerated() {
            columns[index] = batch.columns[fieldColumns[slot.field]]
        }
    }

    /// Makes the struct of one event for as long as `body` runs.
    func with(_ row: Int, _ body: (UnsafePointer<Element>) throws -> Void) throws {
        try check(row)
        let base = UnsafeMutableRawPointer(memory)
        layout.slots.withUnsafeBufferPointer { slots in
            for index in slots.indices {
                slots[index].put(columns[index], row, at: base + slots[index].offset)
            }
        }
        defer { memory.deinitialize(count: 1) }
        try body(memory)
    }

    /// Throws where a field is not what the type needs. From there on nothing can fail.
    private func check(_ row: Int) throws {
        for index in 0..<layout.slots.count {
            let state = columns[index].states[row]
            if state != UInt8(KJ_VALUE.rawValue) {
                try checkMissing(layout.slots[index], state)
            } else if layout.slots[index].kind == .decimal,
                columns[index].scales[row] == UInt8(KJ_WIDE), columns[index].decimal(row) == nil
            {
                throw failure(layout.slots[index], KJ_WRONG_TYPE)
            }
        }
    }

    private func checkMissing(_ slot: StructLayout.Slot, _ state: UInt8) throws {
        let state = kj_state(UInt32(state))
        if slot.isOptional, state == KJ_MISSING || state == KJ_NULL { return }
        throw failure(slot, state)
    }

    private func failure(_ slot: StructLayout.Slot, _ state: kj_state) -> FieldFailure {
        .of(shape.fields[slot.field], state)
    }
}

extension StructLayout.Slot {
    /// Puts a row's value of a column where a struct is being made. Spelt out kind by kind: this is the
    /// innermost loop, and generic code would look types up in it.
    @inline(__always)
    fileprivate func put(_ column: kj_column, _ row: Int, at place: UnsafeMutableRawPointer) {
        if isOptional { return putOptional(column, row, at: place) }
        switch kind {
        case .bool: place.initializeMemory(as: Bool.self, to: column.integers[row] != 0)
        case .integer, .timestamp:
            place.initializeMemory(as: Int64.self, to: column.integers[row])
        case .double: place.initializeMemory(as: Double.self, to: column.doubles[row])
        case .text: place.initializeMemory(as: String.self, to: column.strings[row].string)
        // Checked before: a decimal that is there can be read.
        case .decimal: place.initializeMemory(as: Decimal.self, to: column.decimal(row) ?? 0)
        case .json: preconditionFailure("a layout has no fields of JSON")
        }
    }

    private func putOptional(_ column: kj_column, _ row: Int, at place: UnsafeMutableRawPointer) {
        let isThere = column.states[row] == UInt8(KJ_VALUE.rawValue)
        switch kind {
        case .bool:
            place.initializeMemory(as: Bool?.self, to: isThere ? column.integers[row] != 0 : nil)
        case .integer, .timestamp:
            place.initializeMemory(as: Int64?.self, to: isThere ? column.integers[row] : nil)
        case .double:
            place.initializeMemory(as: Double?.self, to: isThere ? column.doubles[row] : nil)
        case .text:
            place.initializeMemory(
                as: String?.self, to: isThere ? column.strings[row].string : nil)
        case .decimal:
            place.initializeMemory(as: Decimal?.self, to: isThere ? column.decimal(row) : nil)
        case .json: preconditionFailure("a layout has no fields of JSON")
        }
    }
}
