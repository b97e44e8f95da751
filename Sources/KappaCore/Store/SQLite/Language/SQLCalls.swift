/// Calls of functions.
extension SQLRewriter {
    func call(
        _ call: SQLCallSyntax, _ range: Range<Int>, _ scope: SQLScope
    ) throws(SQLMistake) -> SQLTyped {
        guard !call.name.hasPrefix("_kappa_") else {
            throw SQLMistake(call.nameRange, "no such function: \(call.name)")
        }
        var arguments: [SQLTyped] = []
        for argument in call.arguments { arguments.append(try typed(argument, scope)) }
        var others = try order(of: call.order, scope)
        if let filter = call.filter { others.append(try typed(filter, scope)) }
        if case .defined(let window) = call.window { others += try self.window(window, scope) }
        let place = Place(call: call, range: range, others: others)
        switch call.name {
        case "coalesce", "ifnull": return try alternatives(arguments, place)
        case "iif", "if":
            return try alternatives(arguments, place, from: 1)
        case "nullif" where arguments.count == 2:
            return try nullif(arguments, place)
        case "min" where !arguments.isEmpty, "max" where !arguments.isEmpty:
            return try extreme(arguments, place)
        case "sum", "avg", "total": return try sum(arguments, place)
        case "round", "abs", "sign", "ceil", "ceiling", "floor", "trunc", "mod":
            return try number(arguments, place)
        case "lag", "lead": return try neighbour(arguments, place)
        case "first_value", "last_value", "nth_value", "likely", "unlikely", "likelihood":
            return written(place, arguments, arguments.first?.type ?? .unknown)
        case "ts" where arguments.count == 1:
            var time = try asTime(arguments[0])
            time.type = .time
            time.range = range
            time.text = "(\(time.text))"
            return time
        default: return try ruled(arguments, place)
        }
    }

    /// A call and its place in the text, with everything but its arguments.
    private struct Place {
        var call: SQLCallSyntax
        var range: Range<Int>
        /// The expressions of ORDER BY, FILTER and OVER.
        var others: [SQLTyped]
    }

    /// The call with these arguments, optionally under another name.
    private func written(
        _ place: Place, _ arguments: [SQLTyped], _ type: SQLType, as name: String? = nil
    ) -> SQLTyped {
        var parts = (arguments + place.others).map { (range: $0.range, text: $0.text) }
        if let name { parts.append((place.call.nameRange, name)) }
        return SQLTyped(type, splice(place.range, parts), place.range)
    }

    private func ruled(
        _ arguments: [SQLTyped], _ place: Place
    ) throws(SQLMistake) -> SQLTyped {
        let name = place.call.name
        let rule = SQLFunctionRule.all[name] ?? SQLKappaFunctions.rules[name]
        var taken: [SQLTyped] = []
        for (index, argument) in arguments.enumerated() {
            var take = rule?.take(index) ?? .plain
            // In an object, and in json_set, labels and paths are texts.
            if name == "json_object" || name == "json_group_object" {
                take = index.isMultiple(of: 2) ? .text : .json
            } else if name == "json_set" || name == "json_insert" || name == "json_replace" {
                take = index > 0 && index.isMultiple(of: 2) ? .json : .plain
            }
            taken.append(try self.taken(argument, take, name, isKnown: rule != nil))
        }
        if rule?.takes.first == .moment { try checkModifiers(arguments) }
        if name == "printf" || name == "format" { try checkFormat(arguments) }
        let isObject = name == "json_object" || name == "json_group_object"
        return written(place, taken, rule?.gives ?? (isObject ? .json : .unknown))
    }

    private func taken(
        _ argument: SQLTyped, _ take: SQLFunctionRule.Take, _ function: String, isKnown: Bool
    ) throws(SQLMistake) -> SQLTyped {
        switch take {
        case .any: return argument
        case .text: return asText(argument)
        case .json: return asJSON(argument)
        case .decimal: return try asDecimal(argument)
        case .time: return try asTime(argument)
        case .moment where argument.type == .time: return asText(argument)
        case .plain where argument.type == .time:
            throw mistake(
                argument, "is a time, which \(function)() does not take",
                "rfc3339(x) makes a text of it, unixepoch(x) a number of seconds")
        case .plain, .moment:
            if argument.type == .decimal, argument.literal == nil, !isKnown {
                throw mistake(
                    argument, "is a decimal, which \(function)() does not take",
                    "CAST(x AS REAL) makes a double of it, with about 15 digits")
            }
            return argument.literal == nil ? asDouble(argument) : argument
        }
    }

    /// `'unixepoch'` and the like turn a number into a time; a time already is one.
    private func checkModifiers(_ arguments: [SQLTyped]) throws(SQLMistake) {
        guard arguments.contains(where: { $0.type == .time }) else { return }
        for argument in arguments {
            guard case .text(let text) = argument.literal,
                ["unixepoch", "auto", "julianday"].contains(text.lowercased())
            else { continue }
            throw SQLMistake(
                argument.range, "'\(text)' is for numbers, and a time is given",
                "Leave it out: times are taken as they are")
        }
    }

    /// `%d` would reduce a time to its year.
    private func checkFormat(_ arguments: [SQLTyped]) throws(SQLMistake) {
        guard case .text(let format) = arguments.first?.literal else {
            guard let time = arguments.first(where: { $0.type == .time }) else { return }
            throw mistake(
                time, "is a time, and the format is not known before the query runs",
                Self.howToFormat)
        }
        for (letter, argument) in zip(Self.conversions(format), arguments.dropFirst())
        where argument.type == .time && !"sqQwz".contains(letter) {
            throw mistake(argument, "is a time, and %\(letter) takes a number", Self.howToFormat)
        }
    }

    private static let howToFormat = "Format the result of strftime(…), or use %s"

    /// How a format takes each of its arguments: `d`, `s` and so on, and `*` for a width.
    private static func conversions(_ format: String) -> [Character] {
        var result: [Character] = []
        var isOpen = false
        for character in format {
            if !isOpen {
                isOpen = character == "%"
            } else if character == "*" {
                result.append(character)
            } else if character == "%" || character.isLetter && character != "l" {
                if character != "%" { result.append(character) }
                isOpen = false
            }
        }
        return result
    }

    // MARK: Choices

    private func alternatives(
        _ arguments: [SQLTyped], _ place: Place, from start: Int = 0
    ) throws(SQLMistake) -> SQLTyped {
        let type = try common(Array(arguments.dropFirst(start)))
        var result = Array(arguments.prefix(start))
        for argument in arguments.dropFirst(start) {
            result.append(try converted(argument, to: type))
        }
        return written(place, result, type)
    }

    private func nullif(
        _ arguments: [SQLTyped], _ place: Place
    ) throws(SQLMistake) -> SQLTyped {
        let pair = try compared(arguments, isOrder: false)
        let types = arguments.map(\.type)
        let type: SQLType =
            types.contains(.time) ? .time : types.contains(.decimal) ? .decimal : types[0]
        return written(place, pair, type)
    }

    private func neighbour(
        _ arguments: [SQLTyped], _ place: Place
    ) throws(SQLMistake) -> SQLTyped {
        guard arguments.count == 3 else {
            return written(place, arguments, arguments.first?.type ?? .unknown)
        }
        let type = try common([arguments[0], arguments[2]])
        return written(
            place,
            [
                try converted(arguments[0], to: type), arguments[1],
                try converted(arguments[2], to: type),
            ], type)
    }

    /// The smallest or largest, of rows or of several arguments.
    private func extreme(
        _ arguments: [SQLTyped], _ place: Place
    ) throws(SQLMistake) -> SQLTyped {
        // The arguments are compared with each other, so they must be of one type.
        let result = try compared(arguments, isOrder: true)
        if arguments.contains(where: { $0.type == .decimal }) {
            return wrapped(written(place, result, .unknown), "_kappa_unorder", .decimal)
        }
        return written(place, result, try common(result))
    }

    // MARK: Numbers

    private func sum(
        _ arguments: [SQLTyped], _ place: Place
    ) throws(SQLMistake) -> SQLTyped {
        let name = place.call.name
        guard let argument = arguments.first, arguments.count == 1 else {
            return written(place, arguments, .unknown)
        }
        switch argument.type {
        case .time:
            throw mistake(
                argument, "is a time: \(name)() of it has no meaning",
                "max(…) and min(…) give the last and the first")
        case .text, .json:
            throw mistake(
                argument, "is \(argument.type.noun), and \(name)() adds numbers",
                "CAST(x AS DECIMAL) reads a number exactly, CAST(x AS REAL) as a double")
        case .decimal: return written(place, arguments, .decimal, as: "_kappa_\(name)")
        case .integer, .bool:
            return written(place, arguments, name == "sum" ? .integer : .double)
        case .double: return written(place, arguments, .double)
        case .unknown, .null:
            return written(place, arguments, name == "sum" ? .unknown : .double)
        }
    }

    private func number(
        _ arguments: [SQLTyped], _ place: Place
    ) throws(SQLMistake) -> SQLTyped {
        let name = place.call.name
        guard let first = arguments.first, arguments.contains(where: { $0.type == .decimal }) else {
            let type: SQLType =
                switch (name, arguments.first?.type ?? .unknown) {
                case ("sign", _): .integer
                case ("round", _): .double
                case (_, let type) where type.isNumber: type
                default: .unknown
                }
            return written(
                place,
                try arguments.map { argument throws(SQLMistake) in
                    try taken(argument, .plain, name, isKnown: true)
                }, type)
        }
        switch name {
        case "mod":
            throw mistake(
                first, "is a decimal, and mod() would lose digits of it",
                "CAST(x AS INTEGER) makes an integer of it")
        case "sign": return written(place, arguments, .integer, as: "_kappa_sign")
        default:
            let plain = name == "ceiling" ? "ceil" : name
            return written(place, arguments, .decimal, as: "_kappa_\(plain)")
        }
    }
}
