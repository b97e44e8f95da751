// The properties of a struct whose memory is known, as cells and back.

extension StructLayout.Slot {
    /// Binds what stands at a slot.
    func bind(_ place: UnsafeRawPointer, to writer: any RowWriter, at index: Int) {
        switch kind {
        case .bool: bind(read(Bool.self, place).map { $0 ? 1 : 0 }, writer, index)
        case .integer, .timestamp: bind(read(Int64.self, place), writer, index)
        case .double:
            // SQLite has no NaN: it would store NULL.
            guard let value = read(Double.self, place), !value.isNaN else {
                return writer.bindNull(index)
            }
            writer.bind(index, value)
        case .decimal:
            guard let value = read(ExactDecimal.self, place) else { return writer.bindNull(index) }
            DecimalCell.bind(value, to: writer, at: index)
        case .text:
            guard let text = read(String.self, place) else { return writer.bindNull(index) }
            writer.bind(index, text)
        case .json: writer.bindNull(index)
        }
    }

    private func bind(_ value: Int64?, _ writer: any RowWriter, _ index: Int) {
        if let value { writer.bind(index, value) } else { writer.bindNull(index) }
    }

    /// Puts a stored cell where a struct is being made.
    func put(
        _ cursor: any RowCursor, _ column: Int, at place: UnsafeMutableRawPointer
    ) {
        let isThere = !cursor.isNull(column)
        switch kind {
        case .bool: put(isThere ? cursor.integer(column) != 0 : nil, place)
        case .integer, .timestamp: put(isThere ? cursor.integer(column) : nil, place)
        case .double: put(isThere ? cursor.double(column) : nil, place)
        case .decimal: put(DecimalCell.read(cursor, column), place)
        case .text:
            put(isThere ? String(decoding: cursor.text(column), as: UTF8.self) : nil, place)
        case .json: break
        }
    }

    private func put<T>(_ value: T?, _ place: UnsafeMutableRawPointer) {
        if isOptional {
            place.initializeMemory(as: T?.self, to: value)
        } else if let value {
            place.initializeMemory(as: T.self, to: value)
        }
    }
}

extension StructLayout.Slot {
    /// Packs what stands at a slot. A double that must be there may be no number, until the row is
    /// stored; one that may be missing is missing then already, as it will be after a restart.
    func pack(_ place: UnsafeRawPointer, _ builder: PackedRowBuilder, _ index: Int) {
        switch kind {
        case .integer, .timestamp:
            guard let value = read(Int64.self, place) else { return builder.bindNull(index) }
            builder.bind(index, value)
        case .text:
            guard let value = read(String.self, place) else { return builder.bindNull(index) }
            builder.bind(index, value)
        case .double where !isOptional: builder.bind(index, read(Double.self, place) ?? 0)
        case .bool, .double, .decimal, .json: bind(place, to: builder, at: index)
        }
    }

    /// Puts a packed cell where a struct is being made.
    @inline(__always)
    func put(
        _ row: PackedRow, _ cell: Int, of cells: Int, _ cursor: PackedCursor,
        at place: UnsafeMutableRawPointer
    ) {
        if isOptional { return put(cursor, cell, at: place) }
        switch kind {
        case .integer, .timestamp:
            place.initializeMemory(as: Int64.self, to: row.integer(cell, of: cells))
        case .text:
            place.initializeMemory(
                as: String.self, to: String(decoding: row.bytes(cell, of: cells), as: UTF8.self))
        case .bool, .double, .decimal, .json: put(cursor, cell, at: place)
        }
    }

    /// What stands at a slot.
    @inline(__always)
    func read<T>(_ type: T.Type, _ place: UnsafeRawPointer) -> T? {
        isOptional
            ? place.assumingMemoryBound(to: T?.self).pointee
            : place.assumingMemoryBound(to: T.self).pointee
    }
}

extension RowWriter {
    /// Binds a cell; the writer copies its text.
    func bind(_ index: Int, _ value: Value) {
        switch value {
        case .null: bindNull(index)
        case .bool(let bool): bind(index, Int64(bool ? 1 : 0))
        case .integer(let integer): bind(index, integer)
        case .timestamp(let time): bind(index, time.microseconds)
        case .double(let double): double.isNaN ? bindNull(index) : bind(index, double)
        case .decimal(let decimal): DecimalCell.bind(decimal, to: self, at: index)
        case .text(let text), .json(let text): bind(index, text)
        }
    }
}
