import CSQLite

/// The functions that kappa adds to SQLite: decimals that are exact, times, and the calendars of time
/// zones. `docs/money-and-time.md` describes those that people call; kappa writes those that begin with
/// `_kappa_` into statements that it rewrites.
enum SQLFunctions {
    /// Adds all of them to a connection, once.
    static func add(to connection: SQLiteConnection) {
        if connection.hasFunctions { return }
        connection.hasFunctions = true
        addTimes(to: connection)
        addDecimals(to: connection)
        addAggregates(to: connection)
        addConversions(to: connection)
        addTexts(to: connection)
        addFormats(to: connection)
    }

    /// The functions are deterministic and have no side effects, so the planner may reuse results, and a
    /// view may call them.
    static let flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS

    typealias Body = (SQLCall) throws(SQLFailure) -> Void

    private final class Function {
        let name: String
        let body: Body
        init(_ name: String, _ body: @escaping Body) {
            self.name = name
            self.body = body
        }
    }

    /// Defines a function. `arguments` is the number of its arguments, -1 for any number.
    static func define(
        _ name: String, _ arguments: Int32, on connection: SQLiteConnection, _ body: @escaping Body
    ) {
        sqlite3_create_function_v2(
            connection.handle, name, arguments, flags,
            Unmanaged.passRetained(Function(name, body)).toOpaque(),
            { context, count, values in
                guard let context, let data = sqlite3_user_data(context) else { return }
                let function = Unmanaged<Function>.fromOpaque(data).takeUnretainedValue()
                let call = SQLCall(context, values, count: Int(count))
                do throws(SQLFailure) { try function.body(call) } catch {
                    call.fail("\(function.name)(): \(error.reason)")
                }
            }, nil, nil,
            { data in
                if let data { Unmanaged<Function>.fromOpaque(data).release() }
            })
    }
}

/// Why a function has no result, in a whole sentence.
struct SQLFailure: Error {
    let reason: String
    init(_ reason: String) { self.reason = reason }
}

/// One call of a function: its arguments, and where its result goes.
struct SQLCall {
    let context: OpaquePointer
    private let values: UnsafeMutablePointer<OpaquePointer?>?
    /// The number of arguments, where a function takes any number of them.
    let count: Int

    init(
        _ context: OpaquePointer, _ values: UnsafeMutablePointer<OpaquePointer?>?, count: Int = 0
    ) {
        self.context = context
        self.values = values
        self.count = count
    }

    private subscript(index: Int) -> OpaquePointer? { values?[index] }

    func value(_ index: Int) -> OpaquePointer? { self[index] }

    /// `SQLITE_INTEGER` and so on.
    func type(_ index: Int) -> Int32 { sqlite3_value_type(self[index]) }
    func isNull(_ index: Int) -> Bool { type(index) == SQLITE_NULL }
    func integer(_ index: Int) -> Int64 { sqlite3_value_int64(self[index]) }
    func double(_ index: Int) -> Double { sqlite3_value_double(self[index]) }
    func text(_ index: Int) -> String {
        String(decoding: bytes(index), as: UTF8.self)
    }
    /// The bytes of a text, valid until the next call for this argument.
    func bytes(_ index: Int) -> UnsafeRawBufferPointer {
        let start = sqlite3_value_text(self[index])
        return UnsafeRawBufferPointer(
            start: start, count: Int(sqlite3_value_bytes(self[index])))
    }
    func blob(_ index: Int) -> UnsafeRawBufferPointer {
        let start = sqlite3_value_blob(self[index])
        return UnsafeRawBufferPointer(
            start: start, count: Int(sqlite3_value_bytes(self[index])))
    }

    /// A decimal's cell, or a text that is a number; nil for NULL.
    func decimal(_ index: Int) throws(SQLFailure) -> ExactDecimal? {
        switch type(index) {
        case SQLITE_NULL: return nil
        case SQLITE_INTEGER: return ExactDecimal(integer(index))
        case SQLITE_FLOAT:
            if let decimal = DecimalCell.decimal(of: double(index)) { return decimal }
        case SQLITE_TEXT:
            if let decimal = ExactDecimal(bytes: bytes(index)) { return decimal }
        default: break
        }
        throw SQLFailure(
            "\(shown(index)) is not a decimal number of up to 38 digits. Write one such as 12.50.")
    }

    /// A whole number, such as a count of digits; nil for NULL.
    func whole(_ index: Int) throws(SQLFailure) -> Int? {
        guard let decimal = try decimal(index) else { return nil }
        guard decimal.scale == 0 else { throw SQLFailure("\(decimal) is not a whole number.") }
        return Int(clamping: decimal.mantissa)
    }

    /// An argument as an error shows it.
    func shown(_ index: Int) -> String {
        switch type(index) {
        case SQLITE_NULL: return "NULL"
        case SQLITE_INTEGER: return "\(integer(index))"
        case SQLITE_FLOAT: return "\(double(index))"
        case SQLITE_TEXT:
            let text = text(index)
            return "\"\(text.count > 40 ? text.prefix(40) + "…" : text)\""
        default: return "a blob"
        }
    }

    func giveNull() { sqlite3_result_null(context) }
    func give(_ value: Int64) { sqlite3_result_int64(context, value) }
    func give(_ value: Double) { sqlite3_result_double(context, value) }
    func give(_ text: String) {
        sqlite3_result_text64(
            context, text, UInt64(text.utf8.count), Self.copied, UInt8(SQLITE_UTF8))
    }
    func give(blob bytes: [UInt8]) {
        sqlite3_result_blob64(context, bytes, UInt64(bytes.count), Self.copied)
    }
    /// A decimal as its column stores it; NULL for nil.
    func give(_ decimal: ExactDecimal?) {
        guard let decimal else { return giveNull() }
        switch DecimalCell.cell(of: decimal) {
        case .integer(let integer): give(integer)
        case .double(let double): give(double)
        case .text: give(decimal.description)
        }
    }
    /// A result that must fit; nil means that it does not.
    func give(_ decimal: ExactDecimal?, orTooLong what: String) throws(SQLFailure) {
        guard let decimal else {
            throw SQLFailure("The \(what) needs more than 38 digits.")
        }
        give(decimal)
    }
    func fail(_ message: String) { sqlite3_result_error(context, message, -1) }

    /// `SQLITE_TRANSIENT`: SQLite copies the bytes.
    static let copied = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
}
