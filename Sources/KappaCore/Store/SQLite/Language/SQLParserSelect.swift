/// `SELECT`, `VALUES` and `WITH`.
extension SQLParser {
    func select() throws(SQLMistake) -> SQLSelect {
        try nested { () throws(SQLMistake) in
            let outer = tallest
            tallest = 0
            var select = SQLSelect()
            let start = token.range.lowerBound
            if take("WITH") {
                _ = take("RECURSIVE")
                repeat { select.with.append(try commonTable()) } while take(",")
            }
            select.arms.append(try arm())
            while peek("UNION") || peek("INTERSECT") || peek("EXCEPT") {
                if advance().key == "UNION" { _ = take("ALL") }
                select.arms.append(try arm())
            }
            select.bodyRange = start..<end
            let tail = token.range.lowerBound
            if peek("ORDER") { select.order = try order() }
            if take("LIMIT") {
                select.limits.append(try expression())
                if take("OFFSET") || take(",") { select.limits.append(try expression()) }
            }
            select.range = start..<end
            select.tailRange = min(tail, end)..<end
            select.height = tallest + 1
            tallest = max(outer, select.height)
            return select
        }
    }

    private func commonTable() throws(SQLMistake) -> SQLCommonTable {
        let name = try name()
        var columns: [String]?
        if take("(") {
            var names = [try self.name()]
            while take(",") { names.append(try self.name()) }
            try expect(")")
            columns = names
        }
        try expect("AS")
        if take("NOT") { try expect("MATERIALIZED") } else { _ = take("MATERIALIZED") }
        try expect("(")
        let select = try select()
        try expect(")")
        return SQLCommonTable(name: name, columns: columns, select: select)
    }

    private func arm() throws(SQLMistake) -> SQLArm {
        let start = token.range.lowerBound
        if take("VALUES") {
            var rows: [[SQLExpression]] = []
            repeat {
                try expect("(")
                rows.append(try expressions())
                try expect(")")
            } while take(",")
            return .values(rows, start..<end)
        }
        try expect("SELECT")
        var core = SQLCore()
        if !take("DISTINCT") { _ = take("ALL") }
        repeat { core.results.append(try result()) } while take(",")
        if take("FROM") { core.from = try from() }
        if take("WHERE") { core.condition = try expression() }
        if take("GROUP") {
            try expect("BY")
            core.groups = try expressions()
        }
        if take("HAVING") { core.having = try expression() }
        if isWindowClause {
            advance()
            repeat {
                _ = try name()
                try expect("AS")
                core.windows.append(try window())
            } while take(",")
        }
        core.range = start..<end
        return .core(core)
    }

    private func result() throws(SQLMistake) -> SQLResult {
        let start = token.range.lowerBound
        if take("*") { return .all(table: nil, start..<end) }
        if token.isName, peek(".", 1), peek("*", 2) {
            let table = advance().text
            advance()
            advance()
            return .all(table: table, start..<end)
        }
        let expression = try expression()
        return .expression(expression, alias: try alias())
    }

    // MARK: FROM

    private static let joinWords: Set<String> = [
        "NATURAL", "LEFT", "RIGHT", "FULL", "INNER", "CROSS", "OUTER",
    ]

    func from() throws(SQLMistake) -> [SQLJoined] {
        try nested { () throws(SQLMistake) in
            var joined = [SQLJoined(source: try source())]
            try condition(&joined[0])
            while true {
                var isNatural = false
                if !take(",") {
                    guard peek("JOIN") || Self.joinWords.contains(token.key) else { return joined }
                    while Self.joinWords.contains(token.key) {
                        if advance().key == "NATURAL" { isNatural = true }
                    }
                    try expect("JOIN")
                }
                var next = SQLJoined(source: try source(), isNatural: isNatural)
                try condition(&next)
                joined.append(next)
            }
        }
    }

    private func condition(_ joined: inout SQLJoined) throws(SQLMistake) {
        if take("ON") { joined.on = try expression() }
        if take("USING") {
            try expect("(")
            joined.using = [try name()]
            while take(",") { joined.using.append(try name()) }
            try expect(")")
        }
    }

    func source(takesAlias: Bool = true) throws(SQLMistake) -> SQLSource {
        let start = token.range.lowerBound
        let kind: SQLSource.Kind
        if take("(") {
            kind = isSelect ? .select(try select()) : .joined(try from())
            try expect(")")
        } else {
            var name = try tableName()
            var database: String?
            if take(".") {
                database = name
                name = try tableName()
            }
            var arguments: [SQLExpression]?
            if take("(") {
                arguments = peek(")") ? [] : try expressions()
                try expect(")")
            }
            kind = .table(database: database, name: name, arguments: arguments)
        }
        let alias = takesAlias ? try alias() : nil
        if takesAlias, take("INDEXED") {
            try expect("BY")
            _ = try name()
        } else if takesAlias, peek("NOT"), peek("INDEXED", 1) {
            advance()
            advance()
        }
        return SQLSource(kind: kind, alias: alias, range: start..<end)
    }

    private func tableName() throws(SQLMistake) -> String {
        if token.kind == .string { return advance().text }
        return try name()
    }
}
