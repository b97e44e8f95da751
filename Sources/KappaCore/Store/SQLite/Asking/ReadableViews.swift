/// Beside each table that readers see, an SQL view in the same file, for people and other tools that do not
/// know how kappa stores cells.
///
/// - Times are RFC 3339 text, as kappa prints them.
/// - A decimal is the nearest REAL, with a column `…_millionths` beside it: an INTEGER that is exact, and
///   adds up exactly, if the decimal has up to six digits after the point and is less than 10^12. Otherwise
///   it is the REAL product, whose type says that it is not exact.
/// - Booleans are 0 and 1, SQL's own FALSE and TRUE: `WHERE flag` and `sum(flag)` work.
/// - JSON is its text, which `json_each` expands.
///
/// They use nothing but SQLite's own functions.
enum ReadableViews {
    /// Creates those that are missing.
    static func add(
        to connection: SQLiteConnection, of tables: [TableSchema]
    ) throws(KappaError) {
        var names = Set(tables.map { $0.name.lowercased() })
        for table in tables where !table.isInternal {
            let name = free("\(table.name)_readable", &names)
            try connection.execute(
                """
                CREATE VIEW IF NOT EXISTS \(VersionSchema.quoted(name)) AS
                \(select(table))
                """)
        }
    }

    /// A name that nothing else has; names in SQLite ignore case.
    private static func free(_ name: String, _ taken: inout Set<String>) -> String {
        var name = name
        while !taken.insert(name.lowercased()).inserted { name += "_" }
        return name
    }

    private static func select(_ table: TableSchema) -> String {
        var taken = Set(table.columns.map { $0.name.lowercased() })
        var columns: [String] = []
        for column in table.columns {
            let cell = VersionSchema.quoted(column.name)
            switch column.kind {
            case .timestamp: columns.append("\(text(ofTime: cell)) AS \(cell)")
            case .decimal:
                let exact = free("\(column.name)_millionths", &taken)
                columns.append("CAST(\(cell) AS REAL) AS \(cell)")
                columns.append("\(millionths(cell)) AS \(VersionSchema.quoted(exact))")
            case .bool, .integer, .double, .text, .json: columns.append(cell)
            }
        }
        return """
            SELECT \(columns.joined(separator: ",\n       "))
            FROM \(VersionSchema.quoted(table.name))
            """
    }

    /// A time that RFC 3339 cannot write stays a number of microseconds.
    private static func text(ofTime cell: String) -> String {
        // SQLite's % has the sign of the dividend.
        let micros = "((\(cell) % 1000000 + 1000000) % 1000000)"
        return """
            coalesce(strftime('%Y-%m-%dT%H:%M:%S', (\(cell) - \(micros)) / 1000000, 'unixepoch')
                || rtrim(rtrim(printf('.%06d', \(micros)), '0'), '.') || 'Z', CAST(\(cell) AS TEXT))
            """
    }

    /// See ``DecimalCell`` for how a decimal is stored.
    private static func millionths(_ cell: String) -> String {
        let text = "CAST(\(cell) AS TEXT)"
        let point = "instr(\(text), '.')"
        let fraction = "substr(\(text), \(point) + 1)"
        // SQLite itself turns an integer's product into a REAL where 64 bits cannot hold it. A double below
        // 10^9, times a million, is exact once it is rounded; a larger one has no exponent in its text. In
        // a text, up to twelve digits before the point and six after it are the digits of the product.
        return """
            CASE
              WHEN typeof(\(cell)) = 'integer' THEN \(cell) * 1000000
              WHEN typeof(\(cell)) = 'real' AND abs(\(cell)) < 1e9 THEN
                CASE WHEN round(\(cell) * 1e6) / 1e6 = \(cell)
                  THEN CAST(round(\(cell) * 1e6) AS INTEGER) ELSE \(cell) * 1e6 END
              WHEN \(point) BETWEEN 2 AND 13 + (\(text) LIKE '-%') AND length(\(fraction)) <= 6 THEN
                CAST(substr(\(text), 1, \(point) - 1) || substr(\(fraction) || '00000', 1, 6) AS INTEGER)
              ELSE CAST(\(cell) AS REAL) * 1e6 END
            """
    }
}
