/// The rows that a ``RowQuery`` finds, all as of one commit.
public struct RowPage<Row: Sendable>: Sendable {
    /// The rows, in the order that the query asks for.
    public var rows: [Row] = []
    /// The version that was read; nil if none is live.
    public var version: VersionID?
    /// The version's position: the offset of the next event that it will apply.
    public var position = Offset.zero
    /// Where the next page begins: the key of the last row, for ``RowQuery/after``. Nil if no more rows follow, or if
    /// the rows are not in the order of their key.
    public var next: RowKey?

    /// No version is live.
    init() {}

    /// - Parameter final: The definitions of this build, if only final rows are wanted.
    init(
        _ query: RowQuery, on reader: VersionReader, _ rows: ViewRows<Row>,
        final definitions: [ViewDefinition]? = nil
    ) throws {
        let id = VersionID(reader.view, VersionNumber(reader.number))
        let decoder = try rows.decoder(in: reader)
        let schema = reader.tables[decoder.table]
        let checkpoint = try reader.checkpoint()
        version = id
        position = checkpoint.offset
        var query = query
        query.table = schema.name
        if let definitions {
            query.ended = try FinalRows.ended(reader, id, schema.name, among: definitions)
        }
        // One row more says whether others follow.
        let limit = query.limit
        if let limit, limit > 0, limit < .max { query.limit = limit + 1 }
        var last: RowKey?
        try query.run(on: reader, withState: true) { cursor in
            if let limit, self.rows.count == limit {
                if query.order.isEmpty { next = last }
                return
            }
            self.rows.append(try decoder.decode(cursor))
            if self.rows.count == limit {
                last = RowKey(
                    cells: schema.keyColumns.map { schema.columns[$0].kind.value(cursor, $0) })
            }
        }
    }
}

/// How a caller wants the rows of a version.
struct ViewRows<Row: Sendable>: Sendable {
    /// Decides it for the columns that one version's file has.
    let open: @Sendable (VersionReader) throws -> RowDecoder<Row>

    init(_ open: @escaping @Sendable (VersionReader) throws -> RowDecoder<Row>) { self.open = open }

    func decoder(in reader: VersionReader) throws -> RowDecoder<Row> { try open(reader) }
}

/// Makes rows from those of one table in one version's file.
struct RowDecoder<Row> {
    /// The table's index.
    let table: Int
    /// Makes a row from its cells: those of the table's columns, then the hidden state if it has any.
    let decode: (any RowCursor) throws -> Row
}

extension RowDecoder where Row == Columns {
    /// Rows as cells by column name.
    init(columnsOf reader: VersionReader, table: String?) throws {
        let index = try reader.table(table)
        let schema = reader.tables[index]
        let names = schema.columns.map(\.name)
        self.table = index
        decode = { Columns(cells: Array(zip(names, schema.values($0)))) }
    }
}

extension RowDecoder where Row: ViewRow {
    /// Rows of a fold, with what it hides.
    init(_ table: FoldTable, digest: String, in reader: VersionReader) throws {
        let rows = try StoredRows(table, digest: digest, in: reader)
        self.table = rows.index
        decode = { try rows.decode(Row.self, $0) }
    }
}

/// The fields of a struct that rows are read as.
struct RowFields<Row: Decodable>: Sendable {
    let fields: [EventField]

    /// - Throws: `.usage` if the struct's fields cannot be learned.
    init() throws(KappaError) { fields = try EventShape(of: Row.self).outerFields }
}

extension RowDecoder where Row: Decodable {
    /// Rows as a struct whose properties are found by their columns' names.
    /// - Parameter isRefused: Whether the struct is the view's own row type, so that other columns mean
    ///   another build's version.
    init(
        _ row: RowFields<Row>, in reader: VersionReader, table name: String?,
        isRefused: Bool = false
    ) throws {
        let index = try reader.table(name)
        let schema = reader.tables[index]
        let id = "\(reader.view)@\(reader.number)"
        var places: [(key: String, field: EventField, column: Int)] = []
        var differences: [String] = []
        for field in row.fields {
            let name = field.columnName
            let wanted = "\(name) (\(field.kind.rawValue))"
            guard let column = schema.columns.firstIndex(where: { $0.name == name }) else {
                if !field.isOptional { differences.append("it has no column \(wanted)") }
                continue
            }
            if schema.columns[column].kind == field.kind {
                places.append((field.path[0], field, column))
            } else {
                differences.append(
                    "its column \(name) is \(schema.columns[column].kind.rawValue), not "
                        + field.kind.rawValue)
            }
        }
        if !differences.isEmpty {
            throw KappaError(
                isRefused ? .refused : .usage, "\(id) has no rows like \(Row.self)",
                at: "\(id), table \(schema.name)",
                because: differences.joined(separator: "; "),
                advice: isRefused
                    ? "Another build made it. Wait until this build's version is promoted (`kappa "
                        + "status`), or read the cells by their names with columns(of:)"
                    : "Its columns are "
                        + schema.columns.map { "\($0.name) (\($0.kind.rawValue))" }
                        .joined(separator: ", "))
        }
        self.table = index
        decode = { cursor in
            do {
                let members = try places.map { place in
                    (
                        key: place.key,
                        value: try JSONValue(
                            cursor, place.column, place.field.kind,
                            isOptional: place.field.isOptional)
                    )
                }
                return try Row(from: ValueDecoder(.object(members), origin: .row))
            } catch {
                throw KappaError(
                    .refused, "a row of \(id) cannot be read as \(Row.self)",
                    at: "\(id), table \(schema.name)", because: FieldFailure.reason(error),
                    advice:
                        "Give the struct the types of the columns; one that may be null is optional"
                )
            }
        }
    }
}
