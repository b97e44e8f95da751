/// SQL that a person wrote, as SQLite gets it.
struct SQLStatement {
    /// What SQLite gets.
    let text: String
    /// The types of the result's columns; none for EXPLAIN.
    let types: [SQLType]
    /// What was written.
    let written: String

    /// One `SELECT`, optionally with `EXPLAIN` or `EXPLAIN QUERY PLAN` before it.
    /// - Parameter parameters: The values of `?`, in order. Texts take the type of what they are compared
    ///   with.
    /// - Throws: `.usage` where it is no such statement, cannot be rewritten correctly, or names something
    ///   that does not exist.
    static func select(
        _ sql: String, over tables: [SQLTable], parameters: [Value] = []
    ) throws(KappaError) -> SQLStatement {
        try reading(sql, "the query cannot be run", nil) { () throws(SQLMistake) in
            let parser = try SQLParser(sql)
            let isExplained = parser.explanation()
            let select = try parser.statement()
            try check(parameters, parser)
            let rewriter = SQLRewriter(parser.bytes, tables, parameters)
            let typed = try rewriter.select(select, nil)
            let before = rewriter.source(0..<select.range.lowerBound)
            return SQLStatement(
                text: before + typed.text, types: isExplained ? [] : typed.columns.map(\.type),
                written: sql)
        }
    }

    /// One whole expression over the columns of a table.
    static func condition(
        _ condition: String, _ schema: TableSchema, parameters: [Value] = []
    ) throws(KappaError) -> SQLStatement {
        let columns = schema.columns.map(\.name).joined(separator: ", ")
        let advice =
            "Write an SQL expression over the columns \(columns); times as '2024-01-15T14:30:00Z'"
        return try reading(
            condition, "the condition cannot be used", advice
        ) { () throws(SQLMistake) in
            let parser = try SQLParser(condition)
            let expression = try parser.condition()
            try check(parameters, parser)
            let table = SQLTable(name: schema.name, database: "main", schema: schema)
            let rewriter = SQLRewriter(parser.bytes, [table], parameters)
            let scope = SQLScope(nil)
            let columns = schema.columns.map { SQLColumn(name: $0.name, type: SQLType($0.kind)) }
            scope.sources = [SQLScope.Source(name: schema.name, columns: columns)]
            let typed = try rewriter.typed(expression, scope)
            return SQLStatement(text: typed.text, types: [typed.type], written: condition)
        }
    }

    private static func check(_ parameters: [Value], _ parser: SQLParser) throws(SQLMistake) {
        let (wanted, given) = (parser.parameterCount, parameters.count)
        guard wanted != given else { return }
        func count(_ number: Int, _ noun: String) -> String {
            number == 1 ? "1 \(noun)" : "\(number) \(noun)s"
        }
        throw SQLMistake(
            0..<0,
            "it has \(count(wanted, "parameter")), and \(count(given, "value")) "
                + "\(given == 1 ? "is" : "are") given", "Give one value for each ?, in their order")
    }

    private static func reading(
        _ sql: String, _ what: String, _ advice: String?,
        _ body: () throws(SQLMistake) -> SQLStatement
    ) throws(KappaError) -> SQLStatement {
        do throws(SQLMistake) { return try body() } catch {
            // For a condition, the general advice already lists the columns.
            let own = advice != nil && error.reason.hasPrefix("no such column") ? nil : error.advice
            throw KappaError(
                .usage, error.what ?? what, at: sql, because: error.reason, advice: own ?? advice)
        }
    }

    /// An error of SQLite in terms of what was written, without the names that rewriting has added.
    func restated(_ error: KappaError, _ what: String? = nil, advice: String? = nil) -> KappaError {
        guard error.code == .usage || error.code == .bug else { return error }
        var reason = error.reason?.replacing(text, with: written)
        // A function that rewriting added puts its name before what is wrong.
        if let text = reason, text.hasPrefix("_kappa_"), let end = text.firstRange(of: "(): ") {
            reason = String(text[end.upperBound...])
        }
        reason = reason?.replacing("_kappa_", with: "")
        return KappaError(
            error.code, what ?? error.what, at: written, because: reason,
            advice: error.advice ?? advice)
    }
}
