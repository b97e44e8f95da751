import CSQLite

/// The functions that ``SQLRewriter`` writes around values to convert them to another type. NULL stays
/// NULL.
extension SQLFunctions {
    static func addConversions(to connection: SQLiteConnection) {
        define("_kappa_decimal", 1, on: connection) { call throws(SQLFailure) in
            // A double beyond the decimals equals none of them: it stays what it is.
            if call.type(0) == SQLITE_FLOAT, DecimalCell.decimal(of: call.double(0)) == nil {
                return call.give(call.double(0))
            }
            call.give(try call.decimal(0))
        }
        define("_kappa_double", 1, on: connection) { call throws(SQLFailure) in
            if call.type(0) == SQLITE_FLOAT { return call.give(call.double(0)) }
            guard let decimal = try call.decimal(0) else { return call.giveNull() }
            call.give(decimal.doubleValue)
        }
        define("_kappa_integer", 1, on: connection) { call throws(SQLFailure) in
            guard let decimal = try call.decimal(0) else { return call.giveNull() }
            let whole = decimal.exactlyRounded(scale: 0, rounding: .towardZero)
            guard let integer = whole.flatMap({ Int64(exactly: $0.mantissa) }) else {
                throw SQLFailure("\(decimal) is beyond the integers of 64 bits.")
            }
            call.give(integer)
        }
        define("_kappa_bool_text", 1, on: connection) { call throws(SQLFailure) in
            if call.isNull(0) { return call.giveNull() }
            call.give(call.integer(0) != 0 ? "true" : "false")
        }
        addWholes(to: connection)
    }

    private static func addWholes(to connection: SQLiteConnection) {
        let rules: [(String, FloatingPointRoundingRule)] = [
            ("_kappa_floor", .down), ("_kappa_ceil", .up), ("_kappa_trunc", .towardZero),
        ]
        for (name, rule) in rules {
            define(name, 1, on: connection) { call throws(SQLFailure) in
                call.give(try call.decimal(0)?.exactlyRounded(scale: 0, rounding: rule))
            }
        }
    }
}
