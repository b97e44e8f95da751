/// Signs, arithmetic and CAST.
extension SQLRewriter {
    func unary(
        _ sign: String, _ operand: SQLTyped, _ range: Range<Int>
    ) throws(SQLMistake) -> SQLTyped {
        let text = splice(range, [operand])
        switch (sign, operand.type) {
        case ("NOT", _): return SQLTyped(.bool, text, range)
        case ("+", _):
            return SQLTyped(operand.type, text, range, literal: operand.literal)
        case (_, .time):
            throw mistake(operand, "is a time: \(sign) of it has no meaning")
        case ("-", .decimal): return SQLTyped(.decimal, "dec_sub(0, \(operand.text))", range)
        case ("~", .decimal):
            throw mistake(operand, "is a decimal: ~ of it has no meaning")
        case ("~", _): return SQLTyped(.integer, text, range)
        default:
            var literal: SQLTyped.Literal?
            if case .number(let number) = operand.literal {
                literal = .number(
                    number.hasPrefix("-") ? String(number.dropFirst()) : "-" + number)
            }
            let type = operand.type == .bool ? .integer : operand.type
            return SQLTyped(type.isText ? .unknown : type, text, range, literal: literal)
        }
    }

    func arithmetic(
        _ sign: String, _ left: SQLTyped, _ right: SQLTyped, _ range: Range<Int>
    ) throws(SQLMistake) -> SQLTyped {
        switch sign {
        case "||":
            let parts = [asText(left), asText(right)]
            return SQLTyped(.text, splice(range, parts), range)
        case "->", "->>":
            for side in [left, right] where side.type == .time || side.type == .decimal {
                throw mistake(side, "is \(side.type.noun) and not JSON")
            }
            return SQLTyped(sign == "->" ? .json : .unknown, splice(range, [left, right]), range)
        default: break
        }
        if left.type == .time || right.type == .time { return try times(sign, left, right, range) }
        if left.type == .decimal || right.type == .decimal {
            return try decimals(sign, left, right, range)
        }
        let types = [left.type, right.type]
        let type: SQLType
        if ["&", "|", "<<", ">>"].contains(sign) {
            type = .integer
        } else if types.contains(.unknown) || types.contains(where: \.isText) {
            type = .unknown
        } else {
            type = types.contains(.double) ? .double : .integer
        }
        return SQLTyped(type, splice(range, [left, right]), range)
    }

    /// A time plus or minus a number of microseconds is a time; the difference of two times is a number of
    /// microseconds.
    private func times(
        _ sign: String, _ left: SQLTyped, _ right: SQLTyped, _ range: Range<Int>
    ) throws(SQLMistake) -> SQLTyped {
        let time = left.type == .time ? left : right
        guard sign == "+" || sign == "-" else {
            throw mistake(
                time, "is a time: \(sign) of it has no meaning",
                "A difference of times is a number of microseconds; date(…), strftime(…) and "
                    + "unixepoch(…) take times as they are")
        }
        func isNumber(_ typed: SQLTyped) -> Bool {
            if case .text = typed.literal { return false }
            return [.integer, .bool, .null].contains(typed.type)
        }
        if sign == "-", left.type == .time, !isNumber(right) {
            // Anything else that can be subtracted from a time is another time.
            guard right.type != .unknown, right.type != .double, right.type != .decimal else {
                throw uncertain(right)
            }
            return SQLTyped(.integer, splice(range, [left, try asTime(right)]), range)
        }
        if sign == "-", left.type != .time, case .text = left.literal {
            return SQLTyped(.integer, splice(range, [try asTime(left), right]), range)
        }
        let other = left.type == .time ? right : left
        guard isNumber(other), sign == "+" || left.type == .time else { throw uncertain(other) }
        return SQLTyped(.time, splice(range, [left, right]), range)
    }

    private func uncertain(_ typed: SQLTyped) -> SQLMistake {
        mistake(
            typed, "is \(typed.type.noun), where a time takes a number of microseconds or a time",
            "A day is 86400000000 microseconds; ts(…) makes a time, CAST(x AS INTEGER) a number")
    }

    private func decimals(
        _ sign: String, _ left: SQLTyped, _ right: SQLTyped, _ range: Range<Int>
    ) throws(SQLMistake) -> SQLTyped {
        let functions = ["+": "dec_add", "-": "dec_sub", "*": "dec_mul", "/": "dec_div"]
        let decimal = left.type == .decimal ? left : right
        guard let function = functions[sign] else {
            throw mistake(
                decimal, "is a decimal: \(sign) of it has no meaning",
                "CAST(x AS INTEGER) makes an integer of it")
        }
        let other = left.type == .decimal ? right : left
        if other.type == .double, other.literal == nil {
            return SQLTyped(.double, splice(range, [asDouble(left), asDouble(right)]), range)
        }
        let parts = [try asDecimal(left).text, try asDecimal(right).text]
        return SQLTyped(.decimal, "\(function)(\(parts.joined(separator: ", ")))", range)
    }

    // MARK: CAST

    func cast(
        _ operand: SQLTyped, _ type: String, _ range: Range<Int>
    ) throws(SQLMistake) -> SQLTyped {
        func replaced(_ typed: SQLTyped) -> SQLTyped { SQLTyped(typed.type, typed.text, range) }
        let words = type.split(separator: " ").map(String.init)
        switch words.first {
        case "TIMESTAMP", "DATETIME", "TIMESTAMPTZ":
            var time = replaced(try asTime(operand))
            time.text = "(\(time.text))"
            return time
        case "DATE", "TIME":
            throw SQLMistake(
                range, "SQLite has no type \(type)",
                "Write ts(x) for a time, date(x) for the text of its day")
        case "BOOL", "BOOLEAN":
            if operand.type == .bool { return replaced(operand) }
            return replaced(wrapped(operand, "_kappa_bool", .bool))
        case "DEC", "DECIMAL":
            var decimal = replaced(try asDecimal(operand))
            decimal.text = "(\(decimal.text))"
            return decimal
        default: break
        }
        if type.contains("INT") {
            if operand.type == .decimal {
                return replaced(wrapped(operand, "_kappa_integer", .integer))
            }
            return SQLTyped(.integer, splice(range, [operand]), range)
        }
        if ["CHAR", "CLOB", "TEXT"].contains(where: { type.contains($0) }) {
            return SQLTyped(.text, splice(range, [asText(operand)]), range)
        }
        if type.isEmpty || type.contains("BLOB") {
            return SQLTyped(.unknown, splice(range, [asText(operand)]), range)
        }
        if ["REAL", "FLOA", "DOUB"].contains(where: { type.contains($0) }) {
            return SQLTyped(.double, splice(range, [asDouble(operand)]), range)
        }
        // The remaining types are NUMERIC: numbers stay as they are.
        switch operand.type {
        case .decimal: return replaced(SQLTyped(.decimal, "(\(operand.text))", range))
        case .time: return SQLTyped(.integer, splice(range, [operand]), range)
        case .integer, .double, .bool:
            let result = operand.type == .bool ? .integer : operand.type
            return SQLTyped(result, splice(range, [operand]), range)
        default: return SQLTyped(.unknown, splice(range, [operand]), range)
        }
    }
}
