import CKappaJSON

/// How many structs are made at once: few enough to stay in the processor's first-level cache.
let structsAtOnce = 128

/// Makes structs from columns by putting each value where the ``StructLayout`` says.
///
/// It takes and refuses the same events, for the same reasons, as ``ColumnDecoder``.
final class StructBuilder<Element> {
    private let memory = UnsafeMutablePointer<Element>.allocate(capacity: structsAtOnce)
    private let stride = MemoryLayout<Element>.stride
    private let layout: StructLayout
    private let fieldColumns: [Int]
    private let required: [RequiredColumn]
    /// The ``required`` columns, in the loaded batch.
    private let requiredColumns: UnsafeMutablePointer<kj_column>
    /// Whether all of them have a value in every event of the batch, so that no event need be checked.
    private var allAreGood = false
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
        allAreGood = required.allSatisfy { batch.isFull($0.column) }
    }

    /// Loads columns from anywhere, one for each field, instead of a batch. They must hold valid values.
    func load(_ fields: [kj_column]) {
        for (index, slot) in layout.slots.enumerated() { columns[index] = fields[slot.field] }
    }

    /// Makes the struct of one event; it is valid while `body` runs.
    /// - Parameter isChecked: Whether it is known that the event can be taken.
    func with(
        _ row: Int, isChecked: Bool, _ body: (UnsafePointer<Element>) throws -> Void
    ) throws {
        let made = try make(row, isChecked: isChecked)
        defer { made.deinitialize(count: 1) }
        try body(made)
    }

    /// Makes the struct of one event. The caller moves it out of its memory, which is used again for the
    /// next.
    func make(_ row: Int, isChecked: Bool) throws -> UnsafeMutablePointer<Element> {
        if !isChecked, !allAreGood { try check(row) }
        withUnsafePointer(to: Int32(truncatingIfNeeded: row)) {
            put(UnsafeBufferPointer(start: $0, count: 1))
        }
        return memory
    }

    /// Makes the structs of some events, at most ``structsAtOnce``, one after another in memory; the caller
    /// moves each out of it. Nil if it is not known whether all events of the batch can be taken.
    /// - Parameter areChecked: Whether it is known that these events can be taken.
    func make(
        _ rows: UnsafeBufferPointer<Int32>, areChecked: Bool
    ) -> UnsafeMutableRawPointer? {
        guard areChecked || allAreGood else { return nil }
        put(rows)
        // Untyped: for a typed pointer, Swift would look up the type of the optional at run time.
        return UnsafeMutableRawPointer(memory)
    }

    private func put(_ rows: UnsafeBufferPointer<Int32>) {
        let base = UnsafeMutableRawPointer(memory)
        layout.slots.withUnsafeBufferPointer { slots in
            for index in slots.indices {
                let slot = slots[index]
                slot.put(columns[index], rows, from: base + slot.offset, stride: stride)
            }
        }
    }

    /// Throws if a field is not what the type needs. After this check nothing can fail.
    private func check(_ row: Int) throws {
        for index in 0..<required.count where !required[index].isGood(requiredColumns[index], row) {
            throw required[index].failure(requiredColumns[index], row)
        }
    }
}

extension StructLayout.Slot {
    /// Writes a column's values in some rows into structs that are being made, the first at `start`. Spelled
    /// out kind by kind, because these are the innermost loops, and generic code would look up types in them.
    func put(
        _ column: kj_column, _ rows: UnsafeBufferPointer<Int32>,
        from start: UnsafeMutableRawPointer, stride: Int
    ) {
        var place = start
        if isOptional {
            for row in rows {
                putOptional(column, Int(row), at: place)
                place += stride
            }
            return
        }
        switch kind {
        case .bool:
            for row in rows {
                place.initializeMemory(as: Bool.self, to: column.integers[Int(row)] != 0)
                place += stride
            }
        case .integer, .timestamp:
            for row in rows {
                place.initializeMemory(as: Int64.self, to: column.integers[Int(row)])
                place += stride
            }
        case .double:
            for row in rows {
                place.initializeMemory(as: Double.self, to: column.doubles[Int(row)])
                place += stride
            }
        case .text:
            let maker = ShortText.maker
            for row in rows {
                let text = column.strings[Int(row)].buffer
                place.initializeMemory(as: String.self, to: maker.string(text))
                place += stride
            }
        case .decimal:
            for row in rows {
                // Checked before: a decimal that is present can be read.
                place.initializeMemory(as: ExactDecimal.self, to: column.decimal(Int(row)) ?? 0)
                place += stride
            }
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
            place.initializeMemory(as: ExactDecimal?.self, to: isThere ? column.decimal(row) : nil)
        case .json: preconditionFailure("a layout has no fields of JSON")
        }
    }
}

extension ArraySlice<Int32> {
    /// Visits rows in chunks, each with its indices in the array.
    func forChunks(
        of size: Int, _ visit: (UnsafeBufferPointer<Int32>, Range<Int>) -> Void
    ) {
        withUnsafeBufferPointer { all in
            for start in stride(from: 0, to: all.count, by: size) {
                let end = Swift.min(start + size, all.count)
                visit(
                    UnsafeBufferPointer(rebasing: all[start..<end]),
                    (startIndex + start)..<(startIndex + end))
            }
        }
    }
}
