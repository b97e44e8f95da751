/// Reads the rows of a fold's table from one version's file, as this build's row type.
///
/// Another build may have written the file: an old version stays live until its replacement is promoted, and
/// it is live again after a rollback. Columns are found by name, and each must have the kind that this
/// build's row type needs.
struct StoredRows {
    private let table: FoldTable
    let index: Int
    /// The stored column of each field of the row.
    private let columns: [Int]
    /// The stored column of the row's hidden fields.
    private let state: Int?
    private let isOwn: Bool
    private let version: String

    /// - Parameter digest: The digest of this build's definition.
    /// - Throws: `.refused`, with what differs, if the file lacks the columns that the row type needs.
    init(
        _ table: FoldTable, digest: String, in reader: VersionReader
    ) throws(KappaError) {
        self.table = table
        isOwn = reader.digest == digest
        version = "\(reader.view)@\(reader.number)"
        let name = table.schema.name
        guard let index = reader.tables.firstIndex(where: { $0.name == name }) else {
            throw Self.differs(version, table, ["it has no table \(name)"])
        }
        let stored = reader.tables[index]
        self.index = index
        state = table.schema.hasState && stored.hasState ? stored.columns.count : nil
        var differences: [String] = []
        let key = table.schema.columns[table.keyColumn]
        let keys = stored.keyColumns.map { stored.columns[$0] }
        if keys != [key] {
            differences.append(
                "its key is \(Self.text(keys)), and this build's is \(Self.text([key]))")
        }
        var columns: [Int] = []
        for own in table.rowColumns.map({ table.schema.columns[$0] }) where own.name != key.name {
            let place = stored.columns.firstIndex { $0.name == own.name }
            if let place, stored.columns[place].kind == own.kind { continue }
            differences.append(
                place.map { place in
                    "its column \(own.name) is \(stored.columns[place].kind.rawValue), and this "
                        + "build's is \(own.kind.rawValue)"
                } ?? "it has no column \(own.name)")
        }
        if table.schema.hasState, !stored.hasState {
            let hidden = table.hiddenFields.map(\.columnName).joined(separator: ", ")
            differences.append("it does not keep \(hidden)")
        }
        guard differences.isEmpty else { throw Self.differs(version, table, differences) }
        for column in table.rowColumns {
            let name = table.schema.columns[column].name
            columns.append(stored.columns.firstIndex { $0.name == name } ?? 0)
        }
        self.columns = columns
    }

    func decode<Row: ViewRow>(_ type: Row.Type, _ cursor: any RowCursor) throws -> Row {
        do {
            let row = try table.decode(
                type, cursor, columns: columns, state: state, isOwn: isOwn)
            if !isOwn { try check(row, cursor) }
            return row
        } catch {
            throw KappaError(
                isOwn ? .damaged : .refused, "a row of \(version) cannot be read as \(Row.self)",
                at: "\(version), table \(table.schema.name)", because: FieldFailure.reason(error),
                advice: isOwn
                    ? "`kappa verify \(version)` replays it; a row type that has changed without its "
                        + "view's file needs a new digest" : Self.advice)
        }
    }

    /// A column may have the right name and kind and still hold something that this build's type would lose,
    /// such as an object with other properties. So the decoded row must encode to exactly the stored cells.
    private func check(_ row: some ViewRow, _ cursor: any RowCursor) throws {
        guard case .object(let members) = try JSONValue(encoding: row) else { return }
        let values = JSONValue.members(table.rowFields.map { $0.path.first ?? "" }, of: members)
        for (index, field) in table.rowFields.enumerated() {
            let stored = field.kind.value(cursor, columns[index])
            let own = values[index] ?? .null
            if try !stored.isSame(as: Value(encoded: own, kind: field.kind)) {
                throw FieldFailure(
                    description:
                        "column \(field.columnName) holds \(stored.jsonText), of which this "
                        + "build's row would keep \(own.json)")
            }
        }
        guard let state else { return }
        let hidden = try JSONValue(parsing: cursor.blob(state))
        let hiddenNames = table.hiddenFields.map { $0.path.first ?? "" }
        let own = JSONValue.members(hiddenNames, of: members)
        for (field, own) in zip(table.hiddenFields, own) {
            let kept = try JSONValue(parsing: (own ?? .null).json).sorted
            guard hidden[field.path[0]]?.sorted == kept else {
                throw FieldFailure(
                    description: "the stored \(field.columnName) is not what this build would "
                        + "store")
            }
        }
    }

    private static func differs(
        _ version: String, _ table: FoldTable, _ differences: [String]
    ) -> KappaError {
        KappaError(
            .refused, "\(version) has other rows than this build's \(table.schema.name)",
            at: version,
            because: "another build has made it: " + differences.joined(separator: "; "),
            advice: advice)
    }

    private static let advice =
        "Wait until this build's version is promoted (`kappa status`), or read the cells by their names "
        + "with columns(of:)"

    private static func text(_ columns: [ColumnSchema]) -> String {
        columns.map { "\($0.name) (\($0.kind.rawValue))" }.joined(separator: ", ")
    }
}

extension Value {
    /// Whether two cells are equal. In JSON the order of an object's members does not matter.
    fileprivate func isSame(as other: Value) throws -> Bool {
        guard case .json(let a) = self, case .json(let b) = other else { return self == other }
        return try a == b || JSONValue(parsing: a).sorted == JSONValue(parsing: b).sorted
    }
}

extension JSONValue {
    /// The value with the members of all objects sorted by key.
    fileprivate var sorted: JSONValue {
        switch self {
        case .array(let elements): .array(elements.map(\.sorted))
        case .object(let members):
            .object(
                members.map { (key: $0.key, value: $0.value.sorted) }.sorted {
                    $0.key.hasBytesBefore($1.key)
                })
        case .null, .bool, .number, .integer, .unsigned, .double, .decimal, .time, .string: self
        }
    }
}
