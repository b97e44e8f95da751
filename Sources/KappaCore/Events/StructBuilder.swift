import CKappaJSON

/// Makes structs out of columns by putting each value where its ``StructLayout`` says.
///
/// It takes and refuses the same events, for the same reasons, as ``ColumnDecoder``.
final class StructBuilder<Element> {
    private let memory = UnsafeMutablePointer<Element>.allocate(capacity: 1)
    private let layout: StructLayout
    private let fieldColumns: [Int]
    private let required: [RequiredColumn]
    /// The columns that must hold something, in the loaded batch.
    private let requiredColumns: UnsafeMutablePointer<kj_column>
    /// Whether all of them hold something in all events of the batch, so that none need be looked at;
    /// nil before anybody has asked.
    private var allAreGood: Bool?
    private var count = 0
    /// The column of each slot, in the loaded batch.
    private let columns: UnsafeMutablePointer<kj_column>

    init(_ layout: StructLayout, fieldColumns: [Int], required: [RequiredColumn]) {
        self.layout = layout
        self.fieldColumns = fieldColumns
        self.required = required
        columns = .allocate(capacity: max(1, layout.slots.count))
        requiredColumns = .allocate(capacity: max(1, required.count))
    }

    deinit {
        memory.deallocate()
        columns.deallocate()
        requiredColumns.deallocate()
    }

    func load(_ batch: EventBatch) {
        for (index, slot) in layout.slots.enumerated() {
            columns[index] = batch.columns[fieldColumns[slot.field]]
        }
        for (index, column) in required.enumerated() {
            requiredColumns[index] = batch.columns[column.column]
        }
        count = batch.count
        allAreGood = nil
    }

    private func findWhetherAllAreGood() -> Bool {
        if let allAreGood { return allAreGood }
        let found = required.indices.allSatisfy {
            Self.isGood(requiredColumns[$0], count, isDecimal: required[$0].isDecimal)
        }
        allAreGood = found
        return found
    }

    private static func isGood(_ column: kj_column, _ count: Int, isDecimal: Bool) -> Bool {
        var differing: UInt8 = 0
        for row in 0..<count { differing |= column.states[row] ^ UInt8(KJ_VALUE.rawValue) }
        guard differing == 0 else { return false }
        guard isDecimal else { return true }
        var widest: UInt8 = 0
        for row in 0..<count { widest = max(widest, column.scales[row]) }
        return widest < UInt8(KJ_WIDE)
    }

    /// Makes the struct of one event for as long as `body` runs.
    /// - Parameter isChecked: Whether it is known that the event can be taken.
    func with(
        _ row: Int, isChecked: Bool, _ body: (UnsafePointer<Element>) throws -> Void
    ) throws {
        let made = try make(row, isChecked: isChecked)
        defer { made.deinitialize(count: 1) }
        try body(made)
    }

    /// Makes the struct of one event. The caller takes it out of its memory, which is the same for all.
    func make(_ row: Int, isChecked: Bool) throws -> UnsafeMutablePointer<Element> {
        if !isChecked, !findWhetherAllAreGood() { try check(row) }
        let base = UnsafeMutableRawPointer(memory)
        layout.slots.withUnsafeBufferPointer { slots in
            for index in slots.indices {
                slots[index].put(columns[index], row, at: base + slots[index].offset)
            }
        }
        return memory
    }

    /// Throws where a field is not what the type needs. From there on nothing can fail.
    private func check(_ row: Int) throws {
        for index in 0..<required.count where !required[index].isGood(requiredColumns[index], row) {
            throw required[index].failure(kj_state(UInt32(requiredColumns[index].states[row])))
        }
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
