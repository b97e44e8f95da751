import CKappaJSON

/// How a record of an aggregation becomes a row, and back.
struct GroupRows {
    let layout: RowLayout
    let accumulators: [Accumulator]
    let stateBytes: Int
    /// The bytes that state objects hold outside of the records.
    let heldBytes = StateBytes()
    /// The index of each accumulator's column in the table.
    let accumulatorColumns: [Int]
    let blobColumn: Int

    /// - Parameter place: Where the first accumulator begins in a record, in bytes.
    init(_ layout: RowLayout, at place: Int) {
        self.layout = layout
        var next = place
        var accumulators: [Accumulator] = []
        for shape in layout.functions {
            let accumulator = Accumulator(
                shape, place: next, savesOffsets: layout.groupsMerge, heldBytes: heldBytes.counter)
            accumulators.append(accumulator)
            next += accumulator.size
        }
        self.accumulators = accumulators
        stateBytes = next - place
        accumulatorColumns = layout.origins.indices.filter {
            if case .aggregate = layout.origins[$0] { true } else { false }
        }
        blobColumn = layout.table.columns.count
    }

    /// Whether several threads may write different rows at once. State objects prevent it, because they share
    /// one counter of bytes.
    var canWriteSideBySide: Bool { accumulators.allSatisfy { $0.form != .object } }

    var ownsMemory: Bool { accumulators.contains { $0.ownsMemory } }

    func free(_ record: UnsafeMutableRawPointer) {
        for accumulator in accumulators where accumulator.ownsMemory { accumulator.free(record) }
    }

    /// Where a row's key and window come from.
    struct Place {
        var windowStart: Int64 = 0
        var windowEnd: Int64 = 0
        /// The offset of the event that an element comes from.
        var offset: Int64 = 0
        var part: Int64 = 0
        var keyRecord: UnsafeMutableRawPointer
        /// The first part of the record's key that is a key of the grouping.
        var firstKeyPart: Int
    }

    func emit(
        _ record: UnsafeMutableRawPointer, _ place: Place, onlyKey: Bool = false,
        to sink: inout some CellSink
    ) {
        for (index, origin) in layout.origins.enumerated() {
            if onlyKey, !layout.table.columns[index].isKey { continue }
            switch origin {
            case .windowStart: sink.timestamp(place.windowStart)
            case .windowEnd: sink.timestamp(place.windowEnd)
            case .windowDate(let rules):
                let start = Timestamp(microseconds: place.windowStart)
                sink.text(copying: LocalTime(start, rules).dateText)
            case .offset: sink.integer(place.offset)
            case .part: sink.integer(place.part)
            case .key(let part): emitKey(part, place, to: &sink)
            case .aggregate(let number): accumulators[number].emit(record, to: &sink)
            }
        }
    }

    private func emitKey(_ part: Int, _ place: Place, to sink: inout some CellSink) {
        let cell = place.keyRecord + 16 + 16 * (place.firstKeyPart + part)
        switch layout.keyKinds[part] {
        case .text: sink.text(TextCell.text(cell))
        case .json: sink.json(TextCell.text(cell))
        case .timestamp: sink.timestamp(cell.load(as: Int64.self))
        case .bool: sink.bool(cell.load(as: Int64.self) != 0)
        case .integer, .double, .decimal: sink.integer(cell.load(as: Int64.self))
        }
    }

    func bindKey(
        _ record: UnsafeMutableRawPointer, _ place: Place, _ writer: any RowWriter
    ) {
        var sink = StoreSink(writer)
        emit(record, place, onlyKey: true, to: &sink)
    }

    /// Writes the row to the store.
    func upsert(
        _ record: UnsafeMutableRawPointer, _ place: Place, _ writer: any RowWriter
    ) throws {
        var sink = StoreSink(writer)
        emit(record, place, to: &sink)
        guard layout.table.hasState else { return try writer.execute() }
        var state = StateWriter()
        for accumulator in accumulators { accumulator.save(record, to: &state) }
        try state.bytes.withUnsafeBytes { bytes in
            sink.blob(bytes)
            try writer.execute()
        }
    }

    /// Deletes the row from the store.
    func delete(
        _ record: UnsafeMutableRawPointer, _ place: Place, _ deleter: any RowWriter
    ) throws {
        bindKey(record, place, deleter)
        try deleter.execute()
    }

    /// Merges in the state of a group from a later range of the log.
    func merge(
        later other: UnsafeMutableRawPointer, into record: UnsafeMutableRawPointer
    ) throws(KappaError) {
        for accumulator in accumulators { try accumulator.merge(later: other, into: record) }
    }

    /// Reads the aggregates of a stored row into a record.
    func load(_ record: UnsafeMutableRawPointer, _ cursor: any RowCursor) throws(KappaError) {
        let blob =
            layout.table.hasState
            ? cursor.blob(blobColumn) : UnsafeRawBufferPointer(start: nil, count: 0)
        var state = StateReader(blob)
        for (accumulator, column) in zip(accumulators, accumulatorColumns) {
            try accumulator.load(record, cursor, column, &state)
        }
    }
}

/// How the records of an aggregation become the rows of a table: the origin of each cell.
package struct RowLayout: Sendable {
    let table: TableSchema
    let origins: [Origin]
    let keyKinds: [ColumnKind]
    let functions: [AggregateShape]
    /// Whether groups may merge out of order. If so, first and last keep the offsets of their events.
    let groupsMerge: Bool

    /// The table's columns for the grouping's keys.
    var keyColumns: [Int] {
        origins.indices.filter { if case .key = origins[$0] { true } else { false } }
    }

    /// Where a cell comes from.
    package enum Origin: Sendable {
        case windowStart, windowEnd
        /// The date on which a calendar window begins, in its time zone.
        case windowDate(TimeZoneRules)
        case key(Int)
        case aggregate(Int)
        /// The event that made an element, and which of its elements it is.
        case offset, part
    }

    /// The table of the elements of sliding windows: a row for each element, with the aggregates over it
    /// alone.
    /// - Parameters:
    ///   - columns: The columns of the table of windows.
    ///   - origins: The origins of these columns.
    static func elements(
        _ keyKinds: [ColumnKind], _ functions: [AggregateShape], hasState: Bool,
        of columns: [ColumnSchema], _ origins: [Origin]
    ) -> RowLayout {
        var own = [
            ColumnSchema("_offset", .integer, isKey: true),
            ColumnSchema("_part", .integer, isKey: true), ColumnSchema("_time", .timestamp),
        ]
        var ownOrigins: [Origin] = [.offset, .part, .windowEnd]
        for (column, origin) in zip(columns, origins) {
            switch origin {
            case .windowStart, .windowEnd, .windowDate, .offset, .part: continue
            case .key, .aggregate:
                own.append(ColumnSchema(column.name, column.kind))
                ownOrigins.append(origin)
            }
        }
        var table = TableSchema(name: "", columns: own, hasState: hasState)
        table.isInternal = true
        return RowLayout(
            table: table, origins: ownOrigins, keyKinds: keyKinds, functions: functions,
            groupsMerge: false)
    }
}
