/// ORDER BY and windows: decimals are ordered by their values.
extension SQLRewriter {
    /// The terms inside a call or a window.
    func order(of terms: [SQLOrderTerm], _ scope: SQLScope) throws(SQLMistake) -> [SQLTyped] {
        var result: [SQLTyped] = []
        for term in terms {
            let typed = try typed(term.expression, scope)
            result.append(typed.type == .decimal ? try ordered(typed) : typed)
        }
        return result
    }

    func window(_ window: SQLWindow, _ scope: SQLScope) throws(SQLMistake) -> [SQLTyped] {
        var result: [SQLTyped] = []
        for part in window.partition + window.bounds { result.append(try typed(part, scope)) }
        let order = try order(of: window.order, scope)
        if window.isRange, !window.bounds.isEmpty,
            let decimal = order.first(where: { $0.text.hasPrefix("_kappa_order(") })
        {
            throw mistake(
                decimal, "is a decimal, and RANGE does not work with decimals",
                "Order by CAST(x AS REAL), or use ROWS")
        }
        return result + order
    }

    /// The terms of a select of one arm. A term may be a result by its name or number.
    func order(of terms: [SQLOrderTerm], _ arm: Arm) throws(SQLMistake) -> [SQLTyped] {
        var result: [SQLTyped] = []
        for term in terms {
            let expression = Self.withoutCollation(term.expression)
            guard let index = Self.position(expression, in: [arm]),
                arm.results.indices.contains(index)
            else {
                result += try order(of: [term], arm.scope)
                continue
            }
            let found = arm.results[index]
            guard found.column.type == .decimal else { continue }
            guard let typed = found.typed else {
                // A column of `*`, named by its number.
                let column = SQLTyped(
                    .decimal, VersionSchema.quoted(found.column.name), expression.range)
                result.append(try ordered(column))
                continue
            }
            let whole = SQLTyped(.decimal, typed.text, expression.range)
            result.append(try ordered(whole))
        }
        return result
    }

    private static func withoutCollation(_ expression: SQLExpression) -> SQLExpression {
        switch expression.kind {
        case .collate(let inner), .brackets(let inner): withoutCollation(inner)
        default: expression
        }
    }

    /// Which result a term names, by its number or by its name.
    private static func position(_ expression: SQLExpression, in arms: [Arm]) -> Int? {
        switch expression.kind {
        case .number(let text): return Int(text).map { $0 - 1 }
        case .column(let name) where name.table == nil:
            for arm in arms {
                let found = arm.results.firstIndex {
                    $0.column.name.lowercased() == name.name.lowercased()
                        && (arms.count > 1 || $0.hasAlias)
                }
                if let found { return found }
            }
            return nil
        default: return nil
        }
    }

    /// A term of a compound select's ORDER BY, which is one of its results.
    struct Position {
        var index: Int
        var range: Range<Int>
        /// What SQLite gets where no decimal is ordered; nil where that is what was written.
        var verbatim: SQLTyped?
    }

    func positions(_ terms: [SQLOrderTerm], _ arms: [Arm]) throws(SQLMistake) -> [Position] {
        var result: [Position] = []
        for term in terms {
            let expression = Self.withoutCollation(term.expression)
            let range = expression.range
            if let index = Self.position(expression, in: arms),
                arms[0].results.indices.contains(index)
            {
                result.append(Position(index: index, range: range))
                continue
            }
            let written = snippet(range)
            let index = arms.lazy.compactMap { arm in
                arm.results.firstIndex { result in
                    result.typed.map { self.snippet($0.range) == written } ?? false
                }
            }.first
            guard let index else {
                throw SQLMistake(
                    range, "\(written) is no column of the combined selects",
                    "Order them by a column's name or number")
            }
            let number = SQLTyped(.integer, "\(index + 1)", range)
            result.append(Position(index: index, range: range, verbatim: number))
        }
        return result
    }

    /// SQLite orders a compound select only by its columns. To order by something computed from them, this
    /// puts a select around it.
    func reordered(
        _ select: SQLSelect, _ body: String, _ columns: [SQLColumn], _ positions: [Position],
        _ limits: [SQLTyped]
    ) throws(SQLMistake) -> String {
        let names = columns.indices.map { "c\($0 + 1)" }
        let results = zip(names, columns).map { "\($0) AS \(VersionSchema.quoted($1.name))" }
        var parts: [SQLTyped] = limits
        for position in positions {
            let type = columns[position.index].type
            let column = SQLTyped(type, "\"kappa rows\".\(names[position.index])", position.range)
            parts.append(type == .decimal ? try ordered(column) : column)
        }
        let tail = splice(select.tailRange, parts)
        return "WITH \"kappa rows\"(\(names.joined(separator: ", "))) AS (\(body)) "
            + "SELECT \(results.joined(separator: ", ")) FROM \"kappa rows\" \(tail)"
    }
}
