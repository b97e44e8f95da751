/// Converts values from one type to another.
extension SQLRewriter {
    /// The common type of several alternatives, such as the results of a CASE.
    func common(_ operands: [SQLTyped]) throws(SQLMistake) -> SQLType {
        var type = SQLType.null
        // Literals adapt to the rest: beside a time, a text that can be read as one is a time.
        for operand in operands where operand.literal == nil {
            type = try common(type, operand, among: operands)
        }
        for operand in operands {
            switch (operand.literal, type) {
            case (nil, _): continue
            case (.text(let text), .time):
                if Timestamp(written: text) == nil { type = .text }
            case (.text(let text), .decimal):
                if SQLLiteral.number(text) == nil { type = .text }
            case (.number, .decimal): continue
            default: type = try common(type, operand, among: operands)
            }
        }
        return type
    }

    private func common(
        _ type: SQLType, _ operand: SQLTyped, among operands: [SQLTyped]
    ) throws(SQLMistake) -> SQLType {
        let both = [type, operand.type]
        if type == operand.type || operand.type == .null { return type }
        if type == .null { return operand.type }
        let other = { (one: SQLType) in type == one ? operand.type : type }
        if both.contains(.time) {
            if other(.time) == .unknown { return .time }
            if other(.time).isText { return .text }
            let first = operands.first { $0.type == type } ?? operand
            throw SQLMistake(
                operand.range,
                "\(name(first)) is \(first.type.noun), and \(name(operand)) is "
                    + operand.type.noun,
                "Make both times, with ts('2024-01-15'), or both texts, with rfc3339(…)")
        }
        if both.contains(.decimal) {
            if other(.decimal) == .double { return .double }
            return other(.decimal).isText ? .text : .decimal
        }
        if both.contains(.unknown) { return .unknown }
        if both.contains(.text) { return other(.text).isNumber ? .unknown : .text }
        if both.contains(.json) { return .unknown }
        return both.contains(.double) ? .double : .integer
    }

    /// The expression, converted to a type.
    func converted(_ typed: SQLTyped, to type: SQLType) throws(SQLMistake) -> SQLTyped {
        guard typed.type != type, typed.type != .null else { return typed }
        switch type {
        case .time: return try asTime(typed)
        case .decimal: return try asDecimal(typed)
        case .double: return asDouble(typed)
        case .text: return asText(typed)
        default: return typed
        }
    }

    func wrapped(_ typed: SQLTyped, _ function: String, _ type: SQLType) -> SQLTyped {
        SQLTyped(type, "\(function)(\(typed.text))", typed.range)
    }

    /// The expression as a time: a text is read as one, right here if it is a literal.
    func asTime(_ typed: SQLTyped) throws(SQLMistake) -> SQLTyped {
        if typed.type == .time || typed.type == .null { return typed }
        if case .text(let text) = typed.literal {
            guard let time = Timestamp(written: text) else {
                throw SQLMistake(
                    typed.range, "'\(text)' is not a time", SQLLiteral.howToWriteTimes)
            }
            return SQLTyped(.time, SQLLiteral.integer(time.microseconds), typed.range)
        }
        guard typed.type.isText || typed.type == .unknown else {
            throw mistake(
                typed, "is \(typed.type.noun) and not a time", SQLLiteral.howToWriteTimes)
        }
        return wrapped(typed, "ts", .time)
    }

    /// The expression as a decimal in its canonical form, in which equal decimals are equal cells.
    func asDecimal(_ typed: SQLTyped) throws(SQLMistake) -> SQLTyped {
        if typed.type == .null { return typed }
        switch typed.literal {
        case .number(let text), .text(let text):
            guard let number = SQLLiteral.number(text) else {
                throw SQLMistake(
                    typed.range, "'\(text)' is not a number", "Write a decimal as 12.50 or '12.50'")
            }
            guard let decimal = ExactDecimal(number) else {
                throw SQLMistake(typed.range, "\(text) has more than the 38 digits of a decimal")
            }
            if decimal.scale == 0, let integer = Int64(exactly: decimal.mantissa) {
                return SQLTyped(.decimal, SQLLiteral.integer(integer), typed.range)
            }
            return SQLTyped(.decimal, "_kappa_decimal('\(decimal)')", typed.range)
        case nil: break
        }
        switch typed.type {
        case .decimal: return typed
        // Without the sign, SQLite would apply a column's INTEGER affinity to what it is compared with.
        case .integer, .bool: return SQLTyped(.decimal, "+(\(typed.text))", typed.range)
        case .time: throw mistake(typed, "is a time and not a number")
        default: return wrapped(typed, "_kappa_decimal", .decimal)
        }
    }

    func asDouble(_ typed: SQLTyped) -> SQLTyped {
        typed.type == .decimal ? wrapped(typed, "_kappa_double", .double) : typed
    }

    /// The text that the library prints.
    func asText(_ typed: SQLTyped) -> SQLTyped {
        switch typed.type {
        case .time: wrapped(typed, "rfc3339", .text)
        case .decimal: wrapped(typed, "_kappa_text", .text)
        case .bool: wrapped(typed, "_kappa_bool_text", .text)
        default: typed
        }
    }

    /// The expression as a JSON value.
    func asJSON(_ typed: SQLTyped) -> SQLTyped {
        switch typed.type {
        case .decimal, .bool: wrapped(asText(typed), "json", .json)
        case .json: wrapped(typed, "json", .json)
        default: asText(typed)
        }
    }
}
