import CSQLite

/// Arithmetic and comparison of decimals. A NULL argument gives NULL; one that is not a number, or a result
/// of more than 38 digits, is an error.
extension SQLFunctions {
    static func addDecimals(to connection: SQLiteConnection) {
        addArithmetic(to: connection)
        addRounding(to: connection)
        addOrder(to: connection)
        define("dec", 1, on: connection) { call throws(SQLFailure) in
            call.give(try call.decimal(0))
        }
        define("_kappa_text", 1, on: connection) { call throws(SQLFailure) in
            guard let decimal = try call.decimal(0) else { return call.giveNull() }
            call.give(decimal.description)
        }
        define("_kappa_bool", 1, on: connection) { call throws(SQLFailure) in
            guard !call.isNull(0) else { return call.giveNull() }
            guard let isTrue = truth(call) else {
                throw SQLFailure("\(call.shown(0)) is neither true nor false. Write true or false.")
            }
            call.give(Int64(isTrue ? 1 : 0))
        }
    }

    private static func truth(_ call: SQLCall) -> Bool? {
        switch call.type(0) {
        case SQLITE_INTEGER, SQLITE_FLOAT:
            let number = call.double(0)
            return number == 1 ? true : number == 0 ? false : nil
        case SQLITE_TEXT:
            switch call.text(0).lowercased() {
            case "true", "1": return true
            case "false", "0": return false
            default: return nil
            }
        default: return nil
        }
    }

    private static func addArithmetic(to connection: SQLiteConnection) {
        define("dec_add", 2, on: connection) { call throws(SQLFailure) in
            guard let (a, b) = try operands(call) else { return call.giveNull() }
            try call.give(a.exactSum(b), orTooLong: "sum")
        }
        define("dec_sub", 2, on: connection) { call throws(SQLFailure) in
            guard let (a, b) = try operands(call) else { return call.giveNull() }
            try call.give(a.exactDifference(b), orTooLong: "difference")
        }
        define("dec_mul", 2, on: connection) { call throws(SQLFailure) in
            guard let (a, b) = try operands(call) else { return call.giveNull() }
            try call.give(a.exactProduct(b), orTooLong: "product")
        }
        define("dec_div", 2, on: connection) { call throws(SQLFailure) in
            guard let (a, b) = try operands(call), b.mantissa != 0 else { return call.giveNull() }
            try call.give(a.quotient(b), orTooLong: "quotient")
        }
        define("dec_div", 3, on: connection) { call throws(SQLFailure) in
            guard let (a, b) = try operands(call), let digits = try call.whole(2),
                b.mantissa != 0
            else { return call.giveNull() }
            guard (0...ExactDecimal.maximumScale).contains(digits) else {
                throw SQLFailure("A decimal has 0 to 38 digits after the point, and not \(digits).")
            }
            try call.give(
                a.quotient(b, scale: digits, rounding: .toNearestOrEven), orTooLong: "quotient")
        }
    }

    private static func operands(
        _ call: SQLCall
    ) throws(SQLFailure) -> (ExactDecimal, ExactDecimal)? {
        let (a, b) = (try call.decimal(0), try call.decimal(1))
        guard let a, let b else { return nil }
        return (a, b)
    }

    private static func addRounding(to connection: SQLiteConnection) {
        for name in ["dec_round", "_kappa_round"] {
            define(name, 1, on: connection) { call throws(SQLFailure) in
                let number = try call.decimal(0)
                call.give(number?.exactlyRounded(scale: 0, rounding: .toNearestOrAwayFromZero))
            }
            define(name, 2, on: connection) { call throws(SQLFailure) in
                guard let number = try call.decimal(0), let digits = try call.whole(1) else {
                    return call.giveNull()
                }
                // SQLite's round() treats a negative number of digits as 0.
                call.give(
                    number.exactlyRounded(
                        scale: max(0, digits), rounding: .toNearestOrAwayFromZero))
            }
        }
        define("_kappa_abs", 1, on: connection) { call throws(SQLFailure) in
            guard let number = try call.decimal(0) else { return call.giveNull() }
            if number.mantissa >= 0 { return call.give(number) }
            try call.give(ExactDecimal(0).exactDifference(number), orTooLong: "magnitude")
        }
        define("_kappa_sign", 1, on: connection) { call throws(SQLFailure) in
            guard let number = try call.decimal(0) else { return call.giveNull() }
            call.give(Int64(number.mantissa.signum()))
        }
    }

    private static func order(_ isEqual: Bool, _ isLess: Bool) -> Int64 {
        isEqual ? 0 : isLess ? -1 : 1
    }

    private static func addOrder(to connection: SQLiteConnection) {
        define("_kappa_compare", 2, on: connection) { call throws(SQLFailure) in
            guard !call.isNull(0), !call.isNull(1) else { return call.giveNull() }
            // A value that is no decimal may still be a number: a double beyond the decimals, or infinity.
            if let a = try? call.decimal(0), let b = try? call.decimal(1) {
                return call.give(order(a == b, a < b))
            }
            let (a, b) = (try call.orderKey(0), try call.orderKey(1))
            call.give(order(a == b, a.lexicographicallyPrecedes(b)))
        }
        define("_kappa_order", 1, on: connection) { call throws(SQLFailure) in
            if call.isNull(0) { return call.giveNull() }
            call.give(blob: try call.orderKey(0))
        }
        define("_kappa_unorder", 1, on: connection) { call throws(SQLFailure) in
            if call.isNull(0) { return call.giveNull() }
            guard call.type(0) == SQLITE_BLOB, let number = NumberOrder.number(call.blob(0)) else {
                throw SQLFailure("\(call.shown(0)) is no result of _kappa_order().")
            }
            switch number {
            case .decimal(let decimal): call.give(decimal)
            case .double(let double): call.give(double)
            }
        }
    }
}

extension SQLCall {
    /// The sort key that ``NumberOrder`` gives the argument, which is not NULL.
    fileprivate func orderKey(_ index: Int) throws(SQLFailure) -> [UInt8] {
        switch type(index) {
        case SQLITE_INTEGER: return NumberOrder.key(ExactDecimal(integer(index)))
        case SQLITE_FLOAT: return NumberOrder.key(double(index))
        case SQLITE_TEXT:
            if let decimal = ExactDecimal(bytes: bytes(index)) { return NumberOrder.key(decimal) }
            if let key = NumberOrder.key(bytes(index)) { return key }
        default: break
        }
        throw SQLFailure("\(shown(index)) is not a number. Write one such as 12.50.")
    }
}
