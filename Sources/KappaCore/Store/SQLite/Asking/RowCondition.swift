/// A condition in SQL over the columns of one table, as a person writes it.
struct RowCondition {
    private let statement: SQLStatement

    /// - Throws: `.usage` where it is not one whole expression, or compares what cannot be compared.
    init(
        _ condition: String, _ schema: TableSchema, _ connection: SQLiteConnection,
        parameters: [Value] = []
    ) throws(KappaError) {
        statement = try SQLStatement.condition(condition, schema, parameters: parameters)
        let table = VersionSchema.quoted(schema.name)
        do throws(KappaError) {
            _ = try connection.prepare("SELECT (\(statement.text)) FROM \(table)")
        } catch {
            throw statement.restated(
                error, "the condition cannot be used",
                advice: "Write an SQL expression over the columns "
                    + schema.columns.map(\.name).joined(separator: ", "))
        }
    }

    /// - Parameter table: One of the version's tables that readers see.
    /// - Throws: As the other initializer does.
    init(_ condition: String, _ table: TableSchema, of reader: VersionReader) throws(KappaError) {
        SQLFunctions.add(to: reader.connection)
        let guardian = SQLGuard(reader.connection, tables: [table.name])
        try self.init(condition, table, reader.connection)
        withExtendedLifetime(guardian) {}
    }

    /// What SQLite gets for it: one whole expression.
    var sql: String { statement.text }

    /// An error of SQLite in the terms of what the person wrote.
    func restated(_ error: KappaError) -> KappaError { statement.restated(error) }
}
