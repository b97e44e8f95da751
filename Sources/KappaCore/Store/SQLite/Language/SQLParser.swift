/// Parses SQLite's SELECT and its expressions. Errors name the place.
///
/// Nesting is limited, so that no text can exhaust the stack while it is parsed or rewritten.
final class SQLParser {
    let bytes: [UInt8]
    private let tokens: [SQLToken]
    private var at = 0
    private var depth = 0
    private var numbers: [String: Int] = [:]
    /// How many parameters the text has.
    private(set) var parameterCount = 0
    /// The levels of the tallest expression of the current select.
    var tallest = 0

    static let mostLevels = 100
    static let mostHeight = 200
    /// The limit that SQLite itself had before statements were rewritten.
    static let mostBytes = 100_000

    init(_ text: String) throws(SQLMistake) {
        bytes = Array(text.utf8)
        guard bytes.count <= Self.mostBytes else {
            throw SQLMistake(0..<0, "it has more than \(Self.mostBytes) bytes")
        }
        tokens = try SQLTokenizer.tokens(bytes)
    }

    // MARK: Whole texts

    /// What precedes a statement: nothing, `EXPLAIN` or `EXPLAIN QUERY PLAN`.
    func explanation() -> Bool {
        guard take("EXPLAIN") else { return false }
        if peek("QUERY"), peek("PLAN", 1) { at += 2 }
        return true
    }

    /// One statement, optionally followed by semicolons.
    func statement() throws(SQLMistake) -> SQLSelect {
        guard ["SELECT", "WITH", "VALUES"].contains(token.key) else {
            var mistake = SQLMistake(
                token.range, "views are made from the log",
                "Ask with SELECT; change rows by appending events")
            mistake.what = "only SELECT can be run"
            throw mistake
        }
        let select = try select()
        if take(";") {
            while take(";") {}
            if token.kind != .end {
                throw SQLMistake(
                    token.range, "this is more than one statement", "Run them one at a time")
            }
        }
        guard token.kind == .end else { throw unexpected() }
        return select
    }

    /// One whole expression.
    func condition() throws(SQLMistake) -> SQLExpression {
        if token.kind == .end { throw SQLMistake(token.range, "it is empty") }
        let condition = try expression()
        if peek(";") { throw SQLMistake(token.range, "a semicolon ends a statement") }
        if peek(")") {
            throw SQLMistake(token.range, "a closing bracket has no opening one")
        }
        guard token.kind == .end else { throw unexpected() }
        return condition
    }

    // MARK: Tokens

    var token: SQLToken { tokens[at] }

    func ahead(_ count: Int) -> SQLToken { tokens[min(at + count, tokens.count - 1)] }

    func peek(_ key: String, _ count: Int = 0) -> Bool { ahead(count).key == key }

    @discardableResult
    func advance() -> SQLToken {
        let token = tokens[at]
        if at < tokens.count - 1 { at += 1 }
        return token
    }

    func take(_ key: String) -> Bool {
        guard token.key == key else { return false }
        advance()
        return true
    }

    @discardableResult
    func expect(_ key: String) throws(SQLMistake) -> SQLToken {
        guard token.key == key else { throw unexpected("expected \(key)") }
        return advance()
    }

    /// The end of the token that was taken last.
    var end: Int { at > 0 ? tokens[at - 1].range.upperBound : 0 }

    func unexpected(_ wanted: String? = nil) -> SQLMistake {
        let place =
            token.kind == .end
            ? "it ends too early"
            : "syntax error near \"\(String(decoding: bytes[token.range], as: UTF8.self))\""
                + " at character \(character(token.range.lowerBound))"
        return SQLMistake(token.range, wanted.map { "\(place): \($0)" } ?? place)
    }

    private func character(_ byte: Int) -> Int {
        String(decoding: bytes[..<byte], as: UTF8.self).unicodeScalars.count + 1
    }

    /// Runs `body` one level of nesting deeper.
    func nested<R>(_ body: () throws(SQLMistake) -> R) throws(SQLMistake) -> R {
        depth += 1
        defer { depth -= 1 }
        if depth > Self.mostLevels {
            throw SQLMistake(token.range, "it is nested more than \(Self.mostLevels) levels deep")
        }
        return try body()
    }

    /// Words that are names in SQLite only if they are quoted.
    static let reserved: Set<String> = [
        "ADD", "ALL", "ALTER", "AND", "AS", "AUTOINCREMENT", "BETWEEN", "CASE", "CHECK", "COLLATE",
        "COMMIT", "CONSTRAINT", "CREATE", "DEFAULT", "DEFERRABLE", "DELETE", "DISTINCT", "DROP",
        "ELSE", "ESCAPE", "EXCEPT", "EXISTS", "FOREIGN", "FROM", "GROUP", "HAVING", "IN", "INDEX",
        "INSERT", "INTERSECT", "INTO", "IS", "ISNULL", "JOIN", "LIMIT", "NOT", "NOTHING", "NOTNULL",
        "NULL", "ON", "OR", "ORDER", "PRIMARY", "REFERENCES", "RETURNING", "SELECT", "SET", "TABLE",
        "THEN", "TO", "TRANSACTION", "UNION", "UNIQUE", "UPDATE", "USING", "VALUES", "WHEN",
        "WHERE",
    ]
    /// Words that may be names, but not an alias without AS.
    private static let notAliases: Set<String> = [
        "CROSS", "FULL", "INNER", "LEFT", "NATURAL", "OUTER", "RIGHT", "INDEXED", "LIKE", "GLOB",
        "REGEXP", "MATCH", "OVER", "FILTER",
    ]

    var isName: Bool { token.isName && !Self.reserved.contains(token.key) }

    func name() throws(SQLMistake) -> String {
        guard isName else { throw unexpected("expected a name") }
        return advance().text
    }

    /// An alias, with or without AS before it.
    func alias() throws(SQLMistake) -> String? {
        if take("AS") {
            guard isName || token.kind == .string else {
                throw unexpected("expected a name")
            }
            return advance().text
        }
        if token.kind == .string { return advance().text }
        guard isName, !Self.notAliases.contains(token.key), !isWindowClause else { return nil }
        return advance().text
    }

    /// `WINDOW name AS` begins a clause; the word alone is a name like any other.
    var isWindowClause: Bool { peek("WINDOW") && ahead(1).isName && peek("AS", 2) }

    /// The number of a parameter, counted as SQLite does.
    func number(of parameter: SQLToken) throws(SQLMistake) -> Int {
        let text = parameter.text
        let number: Int
        if text == "?" {
            number = parameterCount + 1
        } else if text.hasPrefix("?") {
            guard let written = Int(text.dropFirst()), (1...1_000).contains(written) else {
                throw SQLMistake(parameter.range, "parameters are numbered from ?1 to ?1000")
            }
            number = written
        } else if let known = numbers[text] {
            return known - 1
        } else {
            number = parameterCount + 1
            numbers[text] = number
        }
        parameterCount = max(parameterCount, number)
        return number - 1
    }
}
