import CKappaJSON

/// Converts a struct to the cells of a row, and back.
///
/// If the struct's memory layout is known (``StructLayout``), cells are read and written in its memory;
/// otherwise the struct encodes and decodes itself. Both give the same cells.
final class RowCodec<Row: ViewRow> {
    /// The columns of the struct's properties. None of them is marked as a key yet.
    let columns: [ColumnSchema]
    let fields: [EventField]
    private let layout: StructLayout?
    /// Whether its cells are those of its fields, in their order.
    var isFlat: Bool { layout != nil }
    /// Whether a struct may come back from the store changed; see ``settled(_:)``.
    let changesWhenStored: Bool
    private let cursor = PackedCursor()

    /// - Parameter spread: Whether the fields of nested structs become columns of their own, if they can,
    ///   instead of one column of JSON: for tables that only kappa reads.
    init(spread: Bool = false) throws(KappaError) {
        try Unordered.check(row: Row.self)
        let shape = try EventShape(of: Row.self)
        let isSpread = spread && Self.canSpread(shape)
        let fields = isSpread ? shape.fields : shape.outerFields
        let isFlat = isSpread || shape.fields.allSatisfy { $0.path.count == 1 }
        if let hidden = fields.first(where: \.isHidden) {
            throw KappaError(
                .usage, "\(Row.self) hides \(hidden.columnName)", at: "\(Row.self)",
                because: "only the rows of a fold keep what they do not show",
                advice: "Declare it without @Hidden, or leave it out")
        }
        self.fields = fields
        changesWhenStored = fields.contains { $0.kind == .double && $0.isOptional }
        columns = fields.map { ColumnSchema($0.columnName, $0.kind) }
        let found =
            isFlat && !EventReaderOptions.forbidLayouts
            ? StructLayout(shape, FieldTracer<Row>(shape)) : nil
        layout = found.flatMap { found in
            found.slots.indices.allSatisfy { found.slots[$0].field == $0 } ? found : nil
        }
    }

    /// Whether each field can have a column with a unique name, and none is lost.
    private static func canSpread(_ shape: EventShape) -> Bool {
        !shape.root.hasOptionalObject && !shape.fields.contains(where: \.isHidden)
            && Set(shape.fields.map(\.columnName)).count == shape.fields.count
    }

    /// Binds the cells of a struct, the first of them at index `first`.
    func bind(_ row: UnsafePointer<Row>, to writer: any RowWriter, at first: Int) throws {
        if let layout {
            let base = UnsafeRawPointer(row)
            for (index, slot) in layout.slots.enumerated() {
                slot.bind(base + slot.offset, to: writer, at: first + index)
            }
            return
        }
        for (index, value) in try values(row.pointee).enumerated() {
            writer.bind(first + index, value)
        }
    }

    /// The cells of a struct, as the store keeps them: it has no NaN.
    func values(_ row: Row) throws -> [Value] {
        let encoded = try JSONValue(encoding: row)
        guard case .object(let members) = encoded else { return fields.map { _ in .null } }
        let outer = JSONValue.members(fields.map { $0.path.first ?? "" }, of: members)
        return zip(fields, outer).map { field, outer in
            let member = outer?.member(at: field.path.dropFirst())
            let cell = member.map { Value(encoded: $0, kind: field.kind) } ?? .null
            if case .double(let double) = cell, double.isNaN { return .null }
            return cell
        }
    }

    /// The struct as it will come back from the store. The store has no NaN: an optional one becomes nil
    /// here, so that the state in memory is the same before a restart and after it.
    func settled(_ row: Row) throws -> Row {
        guard changesWhenStored else { return row }
        guard let layout else {
            let members = try zip(fields, values(row)).map { field, value in
                (field.path[...], try JSONValue(value, field.kind, isOptional: field.isOptional))
            }
            return try Row(from: ValueDecoder(JSONValue(members), origin: .row))
        }
        var row = row
        withUnsafeMutablePointer(to: &row) { address in
            let base = UnsafeMutableRawPointer(address)
            for slot in layout.slots where slot.kind == .double && slot.isOptional {
                let place = (base + slot.offset).assumingMemoryBound(to: Double?.self)
                if place.pointee?.isNaN == true { place.pointee = nil }
            }
        }
        return row
    }

    // MARK: Packed rows

    /// Packs a struct's cells, the first of them at index `first`.
    func pack(_ row: UnsafePointer<Row>, into builder: PackedRowBuilder, at first: Int = 0) throws {
        if let layout {
            let base = UnsafeRawPointer(row)
            for index in layout.slots.indices {
                layout.slots[index].pack(base + layout.slots[index].offset, builder, first + index)
            }
            return
        }
        for (index, value) in try values(row.pointee).enumerated() {
            builder.bind(first + index, value)
        }
    }

    /// Makes the struct of a packed row's first cells; it is valid while `body` runs.
    func with(
        _ packed: PackedRow, of cells: Int, _ body: (UnsafePointer<Row>) throws -> Void
    ) throws {
        cursor.take(packed, of: cells)
        guard let layout, hasAll(packed, layout) else {
            let row = try decode(cursor, at: 0)
            return try withUnsafePointer(to: row, body)
        }
        // Calls may be nested, so each struct has its own memory.
        try withUnsafeTemporaryAllocation(
            byteCount: MemoryLayout<Row>.size, alignment: MemoryLayout<Row>.alignment
        ) { memory in
            guard let base = memory.baseAddress else { return }
            for index in layout.slots.indices {
                let slot = layout.slots[index]
                slot.put(packed, index, of: cells, cursor, at: base + slot.offset)
            }
            let row = base.assumingMemoryBound(to: Row.self)
            defer { row.deinitialize(count: 1) }
            try body(UnsafePointer(row))
        }
    }

    /// The struct that a stored row stands for; its cells begin at index `first`.
    func decode(_ cursor: any RowCursor, at first: Int) throws -> Row {
        if let layout, let row = decode(cursor, at: first, layout) { return row }
        var members: [(ArraySlice<String>, JSONValue)] = []
        for (index, field) in fields.enumerated() {
            let cell = try JSONValue(
                cursor, first + index, field.kind, isOptional: field.isOptional)
            members.append((field.path[...], cell))
        }
        return try Row(from: ValueDecoder(JSONValue(members), origin: .row))
    }

    private func hasAll(_ packed: PackedRow, _ layout: StructLayout) -> Bool {
        for index in layout.slots.indices where !layout.slots[index].isOptional {
            if packed.storage(index) == .null { return false }
            if layout.slots[index].kind == .decimal, DecimalCell.read(cursor, index) == nil {
                return false
            }
        }
        return true
    }

    /// Whether the row has every cell that the struct must have.
    private func hasAll(_ cursor: any RowCursor, at first: Int, _ layout: StructLayout) -> Bool {
        for (index, slot) in layout.slots.enumerated() where !slot.isOptional {
            if cursor.isNull(first + index) { return false }
            let isBad = slot.kind == .decimal && DecimalCell.read(cursor, first + index) == nil
            if isBad { return false }
        }
        return true
    }

    /// Nil if a cell that the struct must have is null; decoding then says what is wrong.
    private func decode(_ cursor: any RowCursor, at first: Int, _ layout: StructLayout) -> Row? {
        guard hasAll(cursor, at: first, layout) else { return nil }
        return withUnsafeTemporaryAllocation(of: Row.self, capacity: 1) { memory in
            guard let address = memory.baseAddress else { return nil }
            let base = UnsafeMutableRawPointer(address)
            for (index, slot) in layout.slots.enumerated() {
                slot.put(cursor, first + index, at: base + slot.offset)
            }
            return address.move()
        }
    }
}

extension JSONValue {
    /// The value at a path of keys.
    fileprivate func member(at path: ArraySlice<String>) -> JSONValue? {
        guard let key = path.first else { return self }
        guard case .object(let members) = self,
            let member = Self.members([key], of: members)[0]
        else { return nil }
        return member.member(at: path.dropFirst())
    }
}

extension JSONValue {
    /// An object of the values at some paths; the values of one inner object must be adjacent.
    fileprivate init(_ values: [(path: ArraySlice<String>, value: JSONValue)]) {
        var members: [(key: String, value: JSONValue)] = []
        var index = 0
        while index < values.count {
            guard let key = values[index].path.first else { break }
            if values[index].path.count == 1 {
                members.append((key, values[index].value))
                index += 1
                continue
            }
            let inside = values[index...].prefix { $0.path.count > 1 && $0.path.first == key }
            members.append((key, JSONValue(inside.map { ($0.path.dropFirst(), $0.value) })))
            index += inside.count
        }
        self = .object(members)
    }
}

/// A row: a struct whose properties are the table's columns.
///
/// Strings, numbers, booleans, ``Timestamp``, ``ExactDecimal``, enums with raw values and optionals of
/// these are columns of their kind; anything else is kept as JSON.
public typealias ViewRow = Codable & Equatable & Sendable

// Converts the properties of a struct whose memory layout is known to cells and back.

extension StructLayout.Slot {
    /// Binds the value in a slot.
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

    /// Writes a stored cell into a struct that is being made.
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
    /// Packs the value in a slot. A double that is not optional may be NaN until the row is stored. An
    /// optional one that is NaN is missing already, as it will be after a restart.
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

    /// Writes a packed cell into a struct that is being made.
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

    /// The value in a slot.
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
