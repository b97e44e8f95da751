/// Expressions, with the precedence of SQLite's grammar.
extension SQLParser {
    private enum Level {
        static let or = 1
        static let and = 2
        static let not = 3
        static let equality = 4
        static let order = 5
        static let bits = 7
        static let sum = 8
        static let product = 9
        static let concat = 10
        static let collate = 11
        static let unary = 12
    }

    private static let levels: [String: Int] = [
        "OR": Level.or, "AND": Level.and, "=": Level.equality, "==": Level.equality,
        "!=": Level.equality, "<>": Level.equality, "IS": Level.equality, "LIKE": Level.equality,
        "GLOB": Level.equality, "REGEXP": Level.equality, "MATCH": Level.equality,
        "BETWEEN": Level.equality, "IN": Level.equality, "ISNULL": Level.equality,
        "NOTNULL": Level.equality, "<": Level.order, "<=": Level.order, ">": Level.order,
        ">=": Level.order, "&": Level.bits, "|": Level.bits, "<<": Level.bits, ">>": Level.bits,
        "+": Level.sum, "-": Level.sum, "*": Level.product, "/": Level.product, "%": Level.product,
        "||": Level.concat, "->": Level.concat, "->>": Level.concat, "COLLATE": Level.collate,
    ]

    /// What may follow a NOT that follows an expression.
    private static let negated: Set<String> = [
        "LIKE", "GLOB", "REGEXP", "MATCH", "BETWEEN", "IN", "NULL",
    ]

    func expression(_ least: Int = 1) throws(SQLMistake) -> SQLExpression {
        try nested { () throws(SQLMistake) in
            var left = try prefix()
            while true {
                let isNegated = peek("NOT") && Self.negated.contains(ahead(1).key)
                let level = isNegated ? Level.equality : Self.levels[token.key]
                guard let level, level >= least else { return left }
                if isNegated { advance() }
                left = try infix(left, level)
            }
        }
    }

    func expressions() throws(SQLMistake) -> [SQLExpression] {
        var all = [try expression()]
        while take(",") { all.append(try expression()) }
        return all
    }

    private func node(
        _ kind: SQLExpression.Kind, _ start: Int, _ parts: [SQLExpression],
        _ inner: SQLSelect? = nil
    ) throws(SQLMistake) -> SQLExpression {
        let height = 1 + max(parts.map(\.height).max() ?? 0, inner?.height ?? 0)
        tallest = max(tallest, height)
        if height > Self.mostHeight {
            throw SQLMistake(
                start..<end, "an expression has more than \(Self.mostHeight) levels",
                "Write many alternatives as x IN (…)")
        }
        return SQLExpression(kind: kind, range: start..<end, height: height)
    }

    private func infix(
        _ left: SQLExpression, _ level: Int
    ) throws(SQLMistake) -> SQLExpression {
        let start = left.range.lowerBound
        let sign = advance()
        switch sign.key {
        case "AND", "OR":
            let right = try expression(level + 1)
            return try node(.logic(left, right), start, [left, right])
        case "ISNULL", "NOTNULL", "NULL": return try node(.isNull(left), start, [left])
        case "IS":
            var name = "IS"
            if take("NOT") { name = "IS NOT" }
            if peek("DISTINCT"), peek("FROM", 1) {
                advance()
                advance()
                name += " DISTINCT FROM"
            }
            let right = try expression(level + 1)
            return try node(.comparison(name, left, right), start, [left, right])
        case "=", "==", "!=", "<>", "<", "<=", ">", ">=":
            let right = try expression(level + 1)
            return try node(.comparison(sign.key, left, right), start, [left, right])
        case "LIKE", "GLOB", "REGEXP", "MATCH":
            let pattern = try expression(level + 1)
            let escape = take("ESCAPE") ? try expression(level + 1) : nil
            return try node(
                .like(left, pattern, escape: escape), start,
                [left, pattern] + (escape.map { [$0] } ?? []))
        case "BETWEEN":
            let low = try expression(Level.not)
            try expect("AND")
            let high = try expression(level + 1)
            return try node(.between(left, low, high), start, [left, low, high])
        case "IN":
            let set = try set()
            var parts = [left]
            var inner: SQLSelect?
            if case .list(let items) = set { parts += items }
            if case .select(let select, _) = set { inner = select }
            return try node(.among(left, set), start, parts, inner)
        case "COLLATE":
            guard isName || token.kind == .string else { throw unexpected() }
            advance()
            return try node(.collate(left), start, [left])
        default:
            let right = try expression(level + 1)
            return try node(.arithmetic(sign.key, left, right), start, [left, right])
        }
    }

    private func set() throws(SQLMistake) -> SQLSet {
        guard peek("(") else { return .table(try source(takesAlias: false)) }
        let start = advance().range.lowerBound
        if isSelect {
            let select = try select()
            try expect(")")
            return .select(select, start..<end)
        }
        if take(")") { return .list([]) }
        let items = try expressions()
        try expect(")")
        return .list(items)
    }

    var isSelect: Bool { peek("SELECT") || peek("VALUES") || peek("WITH") }

    private func prefix() throws(SQLMistake) -> SQLExpression {
        let token = token
        let start = token.range.lowerBound
        switch token.kind {
        case .number:
            advance()
            return try node(.number(token.text), start, [])
        case .string:
            advance()
            return try node(.text(token.text), start, [])
        case .blob:
            advance()
            return try node(.blob, start, [])
        case .parameter:
            advance()
            return try node(.parameter(try number(of: token)), start, [])
        case .symbol: return try sign(token, start)
        case .quotedName: return try named(start)
        case .word: return try word(token, start)
        case .end: throw unexpected()
        }
    }

    private func sign(_ token: SQLToken, _ start: Int) throws(SQLMistake) -> SQLExpression {
        switch token.key {
        case "-", "+", "~":
            advance()
            let operand = try expression(Level.unary)
            return try node(.unary(token.key, operand), start, [operand])
        case "(":
            advance()
            if isSelect {
                let select = try select()
                try expect(")")
                return try node(.subquery(select), start, [], select)
            }
            let parts = try expressions()
            try expect(")")
            return try node(
                parts.count == 1 ? .brackets(parts[0]) : .row(parts), start, parts)
        default: throw unexpected()
        }
    }

    private func word(_ token: SQLToken, _ start: Int) throws(SQLMistake) -> SQLExpression {
        switch token.key {
        case "NOT":
            advance()
            let operand = try expression(Level.not)
            return try node(.unary("NOT", operand), start, [operand])
        case "NULL":
            advance()
            return try node(.null, start, [])
        case "CASE": return try choice(start)
        case "EXISTS":
            advance()
            try expect("(")
            let select = try select()
            try expect(")")
            return try node(.exists(select), start, [], select)
        case "CAST" where peek("(", 1): return try cast(start)
        case "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP":
            advance()
            return try node(.now, start, [])
        default:
            guard isName else { throw unexpected() }
            return try named(start)
        }
    }

    /// A column or a call.
    private func named(_ start: Int) throws(SQLMistake) -> SQLExpression {
        if peek("(", 1) { return try call(start) }
        var parts = [advance()]
        while parts.count < 3, peek(".") {
            advance()
            guard token.isName else { throw unexpected("expected a column's name") }
            parts.append(advance())
        }
        let last = parts[parts.count - 1]
        let name = SQLColumnName(
            database: parts.count == 3 ? parts[0].text : nil,
            table: parts.count > 1 ? parts[parts.count - 2].text : nil, name: last.text,
            isDoubleQuoted: last.kind == .quotedName(isDouble: true), isBare: last.kind == .word)
        return try node(.column(name), start, [])
    }

    private func choice(_ start: Int) throws(SQLMistake) -> SQLExpression {
        advance()
        let base = peek("WHEN") ? nil : try expression()
        var arms: [(when: SQLExpression, then: SQLExpression)] = []
        while take("WHEN") {
            let when = try expression()
            try expect("THEN")
            arms.append((when, try expression()))
        }
        if arms.isEmpty { throw unexpected("expected WHEN") }
        let otherwise = take("ELSE") ? try expression() : nil
        try expect("END")
        let parts = [base, otherwise].compactMap { $0 } + arms.flatMap { [$0.when, $0.then] }
        return try node(.choice(base: base, arms, otherwise), start, parts)
    }

    private func cast(_ start: Int) throws(SQLMistake) -> SQLExpression {
        advance()
        try expect("(")
        let operand = try expression()
        try expect("AS")
        var words: [String] = []
        while token.isName || token.kind == .string { words.append(advance().text.uppercased()) }
        if take("(") {
            repeat {
                if !take("-") { _ = take("+") }
                guard token.kind == .number else { throw unexpected() }
                advance()
            } while take(",")
            try expect(")")
        }
        try expect(")")
        return try node(
            .cast(operand, type: words.joined(separator: " ")), start, [operand])
    }

    private func call(_ start: Int) throws(SQLMistake) -> SQLExpression {
        let name = advance()
        var call = SQLCallSyntax(name: name.text.lowercased(), nameRange: name.range)
        try expect("(")
        if peek("*"), peek(")", 1) {
            advance()
            call.isStar = true
        } else if !peek(")") {
            if take("DISTINCT") { call.isDistinct = true } else { _ = take("ALL") }
            call.arguments = try expressions()
            if peek("ORDER") { call.order = try order() }
        }
        try expect(")")
        if peek("FILTER"), peek("(", 1) {
            advance()
            advance()
            try expect("WHERE")
            call.filter = try expression()
            try expect(")")
        }
        if peek("OVER"), peek("(", 1) || ahead(1).isName {
            advance()
            if peek("(") {
                call.window = .defined(try window())
            } else {
                _ = try self.name()
                call.window = .named
            }
        }
        let parts = call.arguments + call.order.map(\.expression) + [call.filter].compactMap { $0 }
        return try node(.call(call), start, parts)
    }

    // MARK: Windows and orders

    func order() throws(SQLMistake) -> [SQLOrderTerm] {
        try expect("ORDER")
        try expect("BY")
        var terms: [SQLOrderTerm] = []
        repeat {
            terms.append(SQLOrderTerm(expression: try expression()))
            if !take("ASC") { _ = take("DESC") }
            if take("NULLS"), !take("FIRST") { try expect("LAST") }
        } while take(",")
        return terms
    }

    func window() throws(SQLMistake) -> SQLWindow {
        try nested { () throws(SQLMistake) in
            var window = SQLWindow()
            try expect("(")
            let clauses = ["PARTITION", "ORDER", "RANGE", "ROWS", "GROUPS"]
            if isName, !clauses.contains(token.key) { advance() }
            if take("PARTITION") {
                try expect("BY")
                window.partition = try expressions()
            }
            if peek("ORDER") { window.order = try order() }
            if peek("RANGE") || peek("ROWS") || peek("GROUPS") {
                window.isRange = advance().key == "RANGE"
                if take("BETWEEN") {
                    try bound(&window)
                    try expect("AND")
                }
                try bound(&window)
                if take("EXCLUDE") {
                    if take("NO") {
                        try expect("OTHERS")
                    } else if take("CURRENT") {
                        try expect("ROW")
                    } else if !take("GROUP") {
                        try expect("TIES")
                    }
                }
            }
            try expect(")")
            return window
        }
    }

    private func bound(_ window: inout SQLWindow) throws(SQLMistake) {
        if take("CURRENT") {
            try expect("ROW")
            return
        }
        if !take("UNBOUNDED") { window.bounds.append(try expression()) }
        if !take("PRECEDING") { try expect("FOLLOWING") }
    }
}
