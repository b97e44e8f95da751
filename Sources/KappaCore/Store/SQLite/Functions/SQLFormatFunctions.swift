import CSQLite

/// `printf` and `format` as in SQLite, except for two things: SQLite counts up to a precision one by one,
/// however large it is, and nothing can interrupt that; and some versions of SQLite return NULL for a text
/// that is too long.
extension SQLFunctions {
    static func addFormats(to connection: SQLiteConnection) {
        let original = OriginalFormat()
        for name in ["printf", "format"] {
            define(name, -1, on: connection) { [unowned connection] call throws(SQLFailure) in
                guard call.count > 0, !call.isNull(0) else { return call.giveNull() }
                let most = Int(sqlite3_limit(connection.handle, SQLITE_LIMIT_LENGTH, -1))
                guard largestWidth(call) <= most else {
                    return sqlite3_result_error_toobig(call.context)
                }
                try original.give(call, most)
            }
        }
    }

    /// The largest width or precision in a format, whether written out or passed as the argument of a `*`.
    private static func largestWidth(_ call: SQLCall) -> Int {
        var largest = 0
        var next = 1
        var bytes = call.bytes(0)[...]
        while let percent = bytes.firstIndex(of: UInt8(ascii: "%")) {
            bytes = bytes[(percent + 1)...]
            var number = 0
            conversion: while let byte = bytes.first {
                bytes = bytes.dropFirst()
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"):
                    number = min(number * 10 + Int(byte - UInt8(ascii: "0")), 1 << 40)
                    largest = max(largest, number)
                case UInt8(ascii: "*"):
                    if next < call.count {
                        largest = max(largest, Int(clamping: call.integer(next).magnitude))
                    }
                    next += 1
                case UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: " "),
                    UInt8(ascii: "#"), UInt8(ascii: "!"), UInt8(ascii: ","), UInt8(ascii: "l"):
                    number = 0
                default:
                    if byte != UInt8(ascii: "%") { next += 1 }
                    break conversion
                }
            }
        }
        return largest
    }

    /// SQLite's own function, on a connection where nothing replaces it.
    private final class OriginalFormat {
        private var connection: SQLiteConnection?
        private var statements: [Int: SQLiteStatement] = [:]

        func give(_ call: SQLCall, _ most: Int) throws(SQLFailure) {
            let statement: SQLiteStatement
            do throws(KappaError) { statement = try self.statement(call.count) } catch {
                throw SQLFailure(error.reason ?? error.what)
            }
            sqlite3_limit(sqlite3_db_handle(statement.handle), SQLITE_LIMIT_LENGTH, Int32(most))
            call.bind(to: statement)
            defer { statement.reset() }
            guard (try? statement.step()) == true, !statement.isNull(0) else {
                return sqlite3_result_error_toobig(call.context)
            }
            call.give(utf8: statement.text(0))
        }

        private func statement(_ count: Int) throws(KappaError) -> SQLiteStatement {
            if let statement = statements[count] { return statement }
            if connection == nil { connection = try SQLiteConnection(":memory:", .create) }
            guard let connection else { throw KappaError(.bug, "a connection is not there") }
            let marks = Array(repeating: "?", count: count).joined(separator: ",")
            let statement = try connection.prepare("SELECT printf(\(marks))")
            statements[count] = statement
            return statement
        }
    }
}

extension SQLCall {
    /// Binds all arguments to a statement.
    fileprivate func bind(to statement: SQLiteStatement) {
        for index in 0..<count {
            sqlite3_bind_value(statement.handle, Int32(index + 1), value(index))
        }
    }
}
