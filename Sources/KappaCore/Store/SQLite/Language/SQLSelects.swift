/// The columns of a select, and the text that SQLite gets for it.
struct SQLTypedSelect {
    var columns: [SQLColumn] = []
    var text = ""
}

/// SELECT, with its arms, its WITH and its ORDER BY.
extension SQLRewriter {
    /// One arm. Its results can still be converted to the types of the other arms.
    struct Arm {
        struct Result {
            var column: SQLColumn
            /// Nil for a column of `*`, and for VALUES.
            var typed: SQLTyped?
            var hasAlias = false
        }
        var range: Range<Int>
        var results: [Result]
        /// All parts but the results.
        var parts: [SQLTyped] = []
        var scope: SQLScope
        /// For VALUES: the values in each column.
        var values: [[SQLTyped]] = []
    }

    func select(
        _ select: SQLSelect, _ outer: SQLScope?, ofEntry entry: SQLCommonEntry? = nil
    ) throws(SQLMistake) -> SQLTypedSelect {
        let scope = SQLScope(outer)
        scope.commonTables = select.with.map { SQLCommonEntry($0) }
        var arms: [Arm] = []
        for syntax in select.arms {
            arms.append(try arm(syntax, scope))
            if let entry, arms.count == 1, case .reading(nil) = entry.state, select.arms.count > 1 {
                entry.state = .reading(named(arms[0].results.map(\.column), entry))
            }
        }
        for entry in scope.commonTables { _ = try read(entry, in: scope) }
        let types = try commonTypes(arms, select)
        var parts: [(range: Range<Int>, text: String)] = []
        for entry in scope.commonTables { parts.append((entry.syntax.select.range, entry.text)) }
        for arm in arms { parts.append((arm.range, try text(of: arm, as: types))) }
        var columns = arms[0].results.map(\.column)
        for index in columns.indices where index < types.count {
            columns[index].type = types[index]
        }
        let limits = try select.limits.map { limit throws(SQLMistake) in
            try compared(
                [
                    try typed(limit, SQLScope(scope)), SQLTyped(.integer, "", limit.range),
                ], isOrder: false)[0]
        }
        let tail: [SQLTyped]
        if arms.count == 1 {
            tail = try order(of: select.order, arms[0])
        } else {
            let positions = try positions(select.order, arms)
            if positions.contains(where: { columns[$0.index].type == .decimal }) {
                if entry?.isRecursive == true {
                    throw SQLMistake(
                        select.tailRange, "a recursive table cannot be ordered by a decimal",
                        "Order by it outside of the WITH")
                }
                let body = splice(select.bodyRange, parts)
                let text = try reordered(select, body, columns, positions, limits)
                return SQLTypedSelect(columns: columns, text: text)
            }
            tail = positions.compactMap(\.verbatim)
        }
        parts += (tail + limits).map { ($0.range, $0.text) }
        return SQLTypedSelect(columns: columns, text: splice(select.range, parts))
    }

    // MARK: Arms

    private func arm(_ syntax: SQLArm, _ outer: SQLScope) throws(SQLMistake) -> Arm {
        let scope = SQLScope(outer)
        switch syntax {
        case .values(let rows, let range):
            var values: [[SQLTyped]] = []
            for row in rows {
                if row.count != rows[0].count {
                    throw SQLMistake(range, "all VALUES must have the same number of terms")
                }
                for (index, value) in row.enumerated() {
                    if values.count <= index { values.append([]) }
                    values[index].append(try typed(value, scope))
                }
            }
            var results: [Arm.Result] = []
            for (index, column) in values.enumerated() {
                let type = try common(column)
                results.append(
                    Arm.Result(column: SQLColumn(name: "column\(index + 1)", type: type)))
            }
            return Arm(range: range, results: results, scope: scope, values: values)
        case .core(let core): return try self.core(core, scope)
        }
    }

    private func core(_ core: SQLCore, _ scope: SQLScope) throws(SQLMistake) -> Arm {
        var arm = Arm(range: core.range, results: [], scope: scope)
        arm.parts += try from(core.from, scope)
        var aliases: [(name: String, typed: SQLTyped)] = []
        for result in core.results {
            switch result {
            case .all(let table, let range):
                let columns = scope.all(of: table)
                if columns.isEmpty {
                    throw SQLMistake(
                        range, table.map { "no such table: \($0)" } ?? "no tables specified")
                }
                arm.results += columns.map { Arm.Result(column: $0) }
            case .expression(let expression, let alias):
                let typed = try typed(expression, scope)
                var name = alias ?? source(expression.range)
                if alias == nil, case .column(let column) = expression.kind { name = column.name }
                let column = SQLColumn(name: name, type: typed.type)
                arm.results.append(
                    Arm.Result(column: column, typed: typed, hasAlias: alias != nil))
                if let alias { aliases.append((alias, typed)) }
            }
        }
        // Aliases are visible to everything that follows, but not to the results themselves.
        scope.aliases = aliases
        if let condition = core.condition { arm.parts.append(try typed(condition, scope)) }
        for group in core.groups { arm.parts.append(try typed(group, scope)) }
        if let having = core.having { arm.parts.append(try typed(having, scope)) }
        for window in core.windows { arm.parts += try self.window(window, scope) }
        return arm
    }

    private func commonTypes(_ arms: [Arm], _ select: SQLSelect) throws(SQLMistake) -> [SQLType] {
        let count = arms[0].results.count
        guard arms.allSatisfy({ $0.results.count == count }) else {
            throw SQLMistake(
                select.bodyRange, "the selects that are combined have different numbers of columns")
        }
        if arms.count == 1 { return arms[0].results.map(\.column.type) }
        var types: [SQLType] = []
        for index in 0..<count {
            types.append(
                try common(
                    arms.map { arm in
                        let result = arm.results[index]
                        return result.typed
                            ?? SQLTyped(result.column.type, result.column.name, arm.range)
                    }))
        }
        return types
    }

    private func text(of arm: Arm, as types: [SQLType]) throws(SQLMistake) -> String {
        var parts = arm.parts
        for (index, values) in arm.values.enumerated() {
            for value in values { parts.append(try converted(value, to: types[index])) }
        }
        for (index, result) in arm.results.enumerated() {
            guard let typed = result.typed else {
                try checkSame(result.column, types[index], arm)
                continue
            }
            var final = try converted(typed, to: types[index])
            // A column without an alias is named as it was written.
            let written = source(final.range)
            if !result.hasAlias, final.text != written {
                final.text += " AS " + VersionSchema.quoted(result.column.name)
            }
            parts.append(final)
        }
        return splice(arm.range, parts)
    }

    /// The columns of `*` are not written out, and so cannot be converted.
    private func checkSame(_ column: SQLColumn, _ type: SQLType, _ arm: Arm) throws(SQLMistake) {
        guard arm.values.isEmpty else { return }
        let typed = SQLTyped(column.type, column.name, arm.range)
        guard try converted(typed, to: type).text != column.name, type != .decimal else { return }
        throw SQLMistake(
            arm.range,
            "\(column.name) is \(column.type.noun), and another select gives "
                + "\(type.noun) in its place", "Name the columns instead of *, and CAST this one")
    }

    // MARK: WITH

    /// The columns of a WITH's table; its select is read when the table is first named.
    func read(_ entry: SQLCommonEntry, in scope: SQLScope) throws(SQLMistake) -> [SQLColumn] {
        switch entry.state {
        case .read(let columns): return columns
        case .reading(let columns):
            entry.isRecursive = true
            guard let columns else {
                throw SQLMistake(
                    entry.syntax.select.range, "circular reference: \(entry.syntax.name)")
            }
            return columns
        case .unread: break
        }
        entry.state = .reading(nil)
        var inner = try select(entry.syntax.select, scope, ofEntry: entry)
        var columns = named(inner.columns, entry)
        // A recursive table starts with the types of its first arm, which the other arms may widen.
        for _ in 0..<3 where entry.isRecursive {
            if case .reading(let before?) = entry.state,
                before.map(\.type) == columns.map(\.type)
            {
                break
            }
            entry.state = .reading(columns)
            inner = try select(entry.syntax.select, scope, ofEntry: entry)
            columns = named(inner.columns, entry)
        }
        entry.state = .read(columns)
        entry.text = inner.text
        return columns
    }

    private func named(_ columns: [SQLColumn], _ entry: SQLCommonEntry) -> [SQLColumn] {
        guard let names = entry.syntax.columns else { return columns }
        return zip(names, columns).map { SQLColumn(name: $0, type: $1.type) }
    }
}
