/// Cells as ``Value``s, on their way to and from the store: folds have their rows as these.
extension CellSink {
    mutating func append(_ value: Value) {
        switch value {
        case .null: null()
        case .bool(let bool): self.bool(bool)
        case .integer(let integer): self.integer(integer)
        case .double(let double): self.double(double)
        case .decimal(let decimal): self.decimal(decimal)
        case .timestamp(let time): timestamp(time.microseconds)
        case .text(var string): string.withUTF8 { text(UnsafeRawBufferPointer($0)) }
        case .json(var string): string.withUTF8 { json(UnsafeRawBufferPointer($0)) }
        }
    }
}

extension [Value] {
    func emit(to sink: inout some CellSink) {
        for value in self { sink.append(value) }
    }

    /// Visits the cells with all their texts at addresses that hold until `then` has returned, as a
    /// statement needs them.
    func withTexts(_ visit: (BoundCell) -> Void, then: () throws -> Void) rethrows {
        try visitRest(0, visit, then)
    }

    private func visitRest(
        _ index: Int, _ visit: (BoundCell) -> Void, _ then: () throws -> Void
    ) rethrows {
        guard index < count else { return try then() }
        switch self[index] {
        case .text(var string), .json(var string):
            try string.withUTF8 { bytes in
                visit(.text(UnsafeRawBufferPointer(bytes)))
                try visitRest(index + 1, visit, then)
            }
        default:
            visit(.scalar(self[index]))
            try visitRest(index + 1, visit, then)
        }
    }
}

/// A cell whose text, if it is one, stays where it is until it has been used.
enum BoundCell {
    case text(UnsafeRawBufferPointer)
    case scalar(Value)
}

extension StoreSink {
    mutating func append(_ cell: BoundCell) {
        switch cell {
        case .text(let bytes): text(bytes)
        case .scalar(let value): append(value)
        }
    }
}

extension Value {
    /// The cell that an encoded property makes in a column of a kind.
    init(encoded: JSONValue, kind: ColumnKind) {
        switch (encoded, kind) {
        case (.null, _): self = .null
        case (_, .json): self = .json(encoded.json)
        case (.bool(let bool), _): self = .bool(bool)
        case (.integer(let integer), .double): self = .double(Double(integer))
        case (.integer(let integer), _): self = .integer(integer)
        case (.double(let double), _): self = .double(double)
        case (.decimal(let decimal), _): self = .decimal(decimal)
        case (.time(let time), _): self = .timestamp(time)
        case (.string(let text), _): self = .text(text)
        case (.number, _), (.unsigned, _), (.array, _), (.object, _): self = .json(encoded.json)
        }
    }
}

extension JSONValue {
    /// A cell as JSON, to decode a row from.
    init(_ cell: Value, _ kind: ColumnKind, isOptional: Bool) throws {
        switch cell {
        // As the store keeps a double that is not a number.
        case .null: self = kind == .double && !isOptional ? .double(.nan) : .null
        case .bool(let bool): self = .bool(bool)
        case .integer(let integer): self = .integer(integer)
        case .double(let double): self = .double(double)
        case .decimal(let decimal): self = .decimal(decimal)
        case .timestamp(let time): self = .time(time)
        case .text(let text): self = .string(text)
        case .json(let text): self = try JSONValue(parsing: text)
        }
    }

    /// A stored cell as JSON, to decode a row from.
    init(_ cursor: any RowCursor, _ column: Int, _ kind: ColumnKind, isOptional: Bool) throws {
        guard !cursor.isNull(column) else {
            // SQLite keeps a null where a double is not a number.
            self = kind == .double && !isOptional ? .double(.nan) : .null
            return
        }
        switch kind {
        case .bool: self = .bool(cursor.integer(column) != 0)
        case .integer: self = .integer(cursor.integer(column))
        case .double: self = .double(cursor.double(column))
        case .decimal: self = .decimal(DecimalCell.read(cursor, column) ?? 0)
        case .timestamp: self = .time(Timestamp(microseconds: cursor.integer(column)))
        case .text: self = .string(String(decoding: cursor.text(column), as: UTF8.self))
        case .json: self = try JSONValue(parsing: cursor.text(column))
        }
    }
}
