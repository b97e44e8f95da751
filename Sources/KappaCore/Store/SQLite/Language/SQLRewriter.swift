/// Infers the type of each expression of a statement, and rewrites what SQLite would compute wrongly.
///
/// SQLite knows neither times nor exact decimals nor booleans, and its operators cannot be overloaded:
/// `last_seen < '1999-01-01'` would compare a number of microseconds with a text, and every number is less
/// than every text. So a text beside a time becomes the number that the column holds, decimals are compared
/// and ordered through functions that keep all digits, and what cannot be rewritten correctly is refused.
/// Everything else stays as it was written, byte for byte, so SQLite can still use keys.
///
/// Rewriting replaces ranges of bytes. Each method returns the text that SQLite gets for the range that the
/// method read.
final class SQLRewriter {
    let bytes: [UInt8]
    let tables: [SQLTable]
    /// The values of the parameters. They are written into the statement as literals, and so, like
    /// literals, take the type of what they are compared with.
    let parameters: [Value]
    /// How many expressions were read.
    private var work = 0

    private static let mostWork = 500_000
    /// How long a rewritten text may be.
    static let mostBytes = 1_000_000

    init(_ bytes: [UInt8], _ tables: [SQLTable], _ parameters: [Value] = []) {
        self.bytes = bytes
        self.tables = tables
        self.parameters = parameters
    }

    // MARK: Texts

    func source(_ range: Range<Int>) -> String {
        String(decoding: bytes[range], as: UTF8.self)
    }

    /// What was written, on one line and shortened, for messages.
    func snippet(_ range: Range<Int>) -> String {
        let words = source(range).split(whereSeparator: \.isWhitespace).joined(separator: " ")
        return words.count > 60 ? words.prefix(59) + "…" : words
    }

    /// The text of a range in which parts are replaced.
    func splice(_ range: Range<Int>, _ parts: [(range: Range<Int>, text: String)]) -> String {
        var result: [UInt8] = []
        var at = range.lowerBound
        for part in parts.sorted(by: { $0.range.lowerBound < $1.range.lowerBound }) {
            result += bytes[at..<part.range.lowerBound]
            result += Array(part.text.utf8)
            at = part.range.upperBound
        }
        result += bytes[at..<range.upperBound]
        return String(decoding: result, as: UTF8.self)
    }

    func splice(_ range: Range<Int>, _ parts: [SQLTyped]) -> String {
        splice(range, parts.map { ($0.range, $0.text) })
    }

    func mistake(_ typed: SQLTyped, _ what: String, _ advice: String? = nil) -> SQLMistake {
        SQLMistake(typed.range, "\(name(typed)) \(what)", advice)
    }

    func name(_ typed: SQLTyped) -> String { snippet(typed.range) }

    // MARK: Expressions

    func typed(_ expression: SQLExpression, _ scope: SQLScope) throws(SQLMistake) -> SQLTyped {
        work += 1
        let result = try read(expression, scope)
        // Some rewriting repeats an expression: nested, the text would grow without end.
        guard work <= Self.mostWork, result.text.utf8.count <= Self.mostBytes else {
            throw SQLMistake(
                expression.range, "it is too large, or nested too deep", "Ask for less")
        }
        return result
    }

    private func read(_ expression: SQLExpression, _ scope: SQLScope) throws(SQLMistake) -> SQLTyped
    {
        let range = expression.range
        let verbatim = source(range)
        switch expression.kind {
        case .number(let text):
            let isDouble =
                text.contains(where: { ".eE".contains($0) }) && !text.lowercased().hasPrefix("0x")
            return SQLTyped(
                isDouble ? .double : .integer, verbatim, range, literal: .number(text))
        case .text(let text): return SQLTyped(.text, verbatim, range, literal: .text(text))
        case .blob: return SQLTyped(.unknown, verbatim, range)
        case .null: return SQLTyped(.null, verbatim, range)
        case .now: return SQLTyped(.text, verbatim, range)
        case .parameter(let number): return parameter(number, range)
        case .column(let name): return try column(name, range, scope)
        case .brackets(let inner):
            var result = try typed(inner, scope)
            result.text = splice(range, [result])
            result.range = range
            return result
        case .row(let parts):
            var typedParts: [SQLTyped] = []
            for part in parts { typedParts.append(try typed(part, scope)) }
            return SQLTyped(.unknown, splice(range, typedParts), range, parts: typedParts)
        case .unary(let sign, let operand):
            return try unary(sign, try typed(operand, scope), range)
        case .arithmetic(let sign, let left, let right):
            return try arithmetic(sign, try typed(left, scope), try typed(right, scope), range)
        case .logic(let left, let right):
            let parts = [try typed(left, scope), try typed(right, scope)]
            return SQLTyped(.bool, splice(range, parts), range)
        case .comparison(let sign, let left, let right):
            return try comparison(sign, left, right, range, scope)
        case .like(let left, let pattern, let escape):
            var parts = [
                asText(try typed(left, scope)), asText(try typed(pattern, scope)),
            ]
            if let escape { parts.append(try typed(escape, scope)) }
            return SQLTyped(.bool, splice(range, parts), range)
        case .between(let operand, let low, let high):
            let operands = [
                try typed(operand, scope), try typed(low, scope), try typed(high, scope),
            ]
            return SQLTyped(.bool, splice(range, try compared(operands, isOrder: true)), range)
        case .among(let operand, let set):
            return try among(try typed(operand, scope), set, range, scope)
        case .isNull(let operand):
            return SQLTyped(.bool, splice(range, [try typed(operand, scope)]), range)
        case .choice(let base, let arms, let otherwise):
            return try choice(base, arms, otherwise, range, scope)
        case .cast(let operand, let type):
            return try cast(try typed(operand, scope), type, range)
        case .collate(let operand):
            let inner = try typed(operand, scope)
            return SQLTyped(inner.type, splice(range, [inner]), range)
        case .call(let call): return try self.call(call, range, scope)
        case .exists(let select):
            let inner = try self.select(select, scope)
            return SQLTyped(.bool, splice(range, [(select.range, inner.text)]), range)
        case .subquery(let select):
            let inner = try self.select(select, scope)
            let text = splice(range, [(select.range, inner.text)])
            if inner.columns.count == 1 { return SQLTyped(inner.columns[0].type, text, range) }
            var result = SQLTyped(.unknown, text, range)
            result.columns = inner.columns
            return result
        }
    }

    private func parameter(_ number: Int, _ range: Range<Int>) -> SQLTyped {
        guard parameters.indices.contains(number) else { return SQLTyped(.null, "NULL", range) }
        switch parameters[number] {
        case .null: return SQLTyped(.null, "NULL", range)
        case .bool(let bool): return SQLTyped(.bool, bool ? "TRUE" : "FALSE", range)
        case .integer(let integer):
            return SQLTyped(
                .integer, SQLLiteral.integer(integer), range, literal: .number("\(integer)"))
        case .double(let double) where double.isFinite:
            return SQLTyped(.double, "(\(double))", range, literal: .number("\(double)"))
        case .double: return SQLTyped(.null, "NULL", range)
        case .decimal(let decimal):
            return SQLTyped(
                .decimal, "_kappa_decimal('\(decimal)')", range, literal: .number("\(decimal)"))
        case .text(let text), .json(let text):
            return SQLTyped(.text, SQLLiteral.quoted(text), range, literal: .text(text))
        case .timestamp(let time):
            return SQLTyped(.time, SQLLiteral.integer(time.microseconds), range)
        }
    }

    private func column(
        _ name: SQLColumnName, _ range: Range<Int>, _ scope: SQLScope
    ) throws(SQLMistake) -> SQLTyped {
        if let type = scope.column(name) { return SQLTyped(type, source(range), range) }
        let plain = name.name.lowercased()
        if name.isBare, name.table == nil, plain == "true" || plain == "false" {
            return SQLTyped(.bool, source(range), range)
        }
        if name.isDoubleQuoted, name.table == nil {
            throw SQLMistake(
                range, "there is no column \(source(range))",
                "Write a text in single quotes: \(SQLLiteral.quoted(name.name))")
        }
        let names = scope.columnNames
        throw SQLMistake(
            range, "no such column: \(snippet(range))",
            names.isEmpty ? nil : "There are \(names.joined(separator: ", "))")
    }

    private func choice(
        _ base: SQLExpression?, _ arms: [(when: SQLExpression, then: SQLExpression)],
        _ otherwise: SQLExpression?, _ range: Range<Int>, _ scope: SQLScope
    ) throws(SQLMistake) -> SQLTyped {
        var parts: [SQLTyped] = []
        var whens: [SQLTyped] = []
        var results: [SQLTyped] = []
        for arm in arms {
            whens.append(try typed(arm.when, scope))
            results.append(try typed(arm.then, scope))
        }
        if let otherwise { results.append(try typed(otherwise, scope)) }
        if let base {
            parts += try compared([try typed(base, scope)] + whens, isOrder: false)
        } else {
            parts += whens
        }
        let type = try common(results)
        for result in results { parts.append(try converted(result, to: type)) }
        return SQLTyped(type, splice(range, parts), range)
    }
}
