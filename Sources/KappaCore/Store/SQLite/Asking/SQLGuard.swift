import CSQLite
import Glibc

/// Restricts hostile SQL to reading the tables that it may, at a bounded cost: an authorizer that denies by
/// default, limits on sizes, and a deadline.
///
/// SQLite checks a deadline between two steps of its virtual machine, never inside a function. So
/// ``SQLLimits`` bounds what one step can cost, and ``SQLFunctions`` replaces functions of SQLite that take
/// the product of their arguments' lengths.
final class SQLGuard {
    private let connection: SQLiteConnection
    private let box: Unmanaged<Rules>
    /// The limits as they were, to be restored.
    private var limits: [(Int32, Int32)] = []

    final class Rules {
        let tables: Set<String>
        let readsState: Bool
        let deadline: ContinuousClock.Instant
        init(tables: Set<String>, readsState: Bool, deadline: ContinuousClock.Instant) {
            self.tables = tables
            self.readsState = readsState
            self.deadline = deadline
        }
    }

    /// For as long as this guard lives, the connection only reads `tables`.
    /// - Parameters:
    ///   - readsState: Whether the hidden state may be read. What a person writes cannot name it: a condition
    ///     knows only the table's columns.
    ///   - valueBytes: How large a value or a row may be; nil where no values are computed.
    init(
        _ connection: SQLiteConnection, tables: Set<String>, readsState: Bool = false,
        seconds: Int = 60, valueBytes: Int? = SQLLimits.valueBytes
    ) {
        self.connection = connection
        let rules = Rules(
            tables: tables, readsState: readsState, deadline: .now + .seconds(seconds))
        box = Unmanaged.passRetained(rules)
        let handle = connection.handle
        // SQLite creates these tables when they are first named, which takes rights that are denied below.
        for table in SQLKappaFunctions.tables.keys {
            _ = try? connection.prepare("SELECT 1 FROM \(table)('[]')")
        }
        if let valueBytes { limit(SQLITE_LIMIT_LENGTH, valueBytes) }
        // `SQLParser` sets stricter limits for what a person writes; rewriting makes it longer and deeper.
        limit(SQLITE_LIMIT_SQL_LENGTH, SQLRewriter.mostBytes + 100_000)
        limit(SQLITE_LIMIT_EXPR_DEPTH, 1_000)
        limit(SQLITE_LIMIT_LIKE_PATTERN_LENGTH, SQLLimits.patternBytes)
        connection.guardedValueBytes = valueBytes
        sqlite3_progress_handler(
            handle, SQLLimits.stepsPerLook,
            { context in
                guard let context else { return 0 }
                let rules = Unmanaged<Rules>.fromOpaque(context).takeUnretainedValue()
                return ContinuousClock.now > rules.deadline ? 1 : 0
            }, box.toOpaque())
        sqlite3_set_authorizer(
            handle,
            { context, action, first, second, _, _ in
                guard let context else { return SQLITE_DENY }
                let rules = Unmanaged<Rules>.fromOpaque(context).takeUnretainedValue()
                return SQLGuard.judge(rules, action, first, second)
            }, box.toOpaque())
    }

    deinit {
        sqlite3_set_authorizer(connection.handle, nil, nil)
        sqlite3_progress_handler(connection.handle, 0, nil, nil)
        for (which, value) in limits { sqlite3_limit(connection.handle, which, value) }
        connection.guardedValueBytes = nil
        box.release()
    }

    private func limit(_ which: Int32, _ value: Int) {
        limits.append((which, sqlite3_limit(connection.handle, which, Int32(value))))
    }

    /// Lowers the limit on values for a statement that makes many at once, so that all that it holds stays
    /// below ``SQLLimits/statementBytes``.
    func share(_ statement: String, columns: Int) {
        guard let most = connection.guardedValueBytes else { return }
        let bytes = max(
            SQLLimits.leastValueBytes,
            min(most, SQLLimits.statementBytes / (SQLLimits.values(in: statement) + columns + 1)))
        sqlite3_limit(connection.handle, SQLITE_LIMIT_LENGTH, Int32(bytes))
        // SQLite may try all patterns of a condition between two checks of the deadline.
        let pattern = max(
            SQLLimits.leastPatternBytes,
            min(
                SQLLimits.patternBytes,
                SQLLimits.allPatternBytes / max(1, SQLLimits.patterns(in: statement))))
        sqlite3_limit(connection.handle, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, Int32(pattern))
        connection.guardedValueBytes = bytes
    }

    private static func judge(
        _ rules: Rules, _ action: Int32, _ first: UnsafePointer<CChar>?,
        _ second: UnsafePointer<CChar>?
    ) -> Int32 {
        switch action {
        case SQLITE_SELECT, SQLITE_RECURSIVE: return SQLITE_OK
        case SQLITE_READ:
            let table = first.map { String(cString: $0) } ?? ""
            let column = second.map { String(cString: $0) } ?? ""
            if column == "_kappa_state", !rules.readsState { return SQLITE_DENY }
            if rules.tables.contains(table) { return SQLITE_OK }
            if SQLKappaFunctions.tables[table] != nil { return SQLITE_OK }
            // A count(*) reads no column: SQLite then asks with an empty column, and the table may be one
            // of a WITH.
            let isOwn = ["sqlite_", "_kappa_", "pragma_"].contains { table.hasPrefix($0) }
            return column.isEmpty && !isOwn ? SQLITE_OK : SQLITE_DENY
        case SQLITE_FUNCTION:
            let name = second.map { String(cString: $0).lowercased() } ?? ""
            return SQLLimits.functions.contains(name) || name.hasPrefix("_kappa_")
                ? SQLITE_OK : SQLITE_DENY
        default: return SQLITE_DENY
        }
    }
}

/// How much one query may cost.
enum SQLLimits {
    /// Bytes of the largest text, blob or row that a statement may touch.
    static let valueBytes = 1 << 20
    /// Bytes of all values that a statement may hold at the same time.
    static let statementBytes = 256 << 20
    /// Bytes that a value may always have, however many values there are.
    static let leastValueBytes = 16 << 10
    /// Bytes of the longest pattern of LIKE or GLOB, which costs the product of its length and the text's.
    static let patternBytes = 1_000
    /// Bytes of all patterns of a statement together, and of what each may always have, however many there
    /// are.
    static let allPatternBytes = 5_000
    static let leastPatternBytes = 20
    /// How many steps of SQLite's virtual machine run between two checks of the deadline. A step is at most
    /// one call of a function: some milliseconds.
    static let stepsPerLook: Int32 = 100
    /// How large one temporary file may be, for sorting or for intermediate results.
    @TaskLocal static var temporaryBytes: Int64 = 1 << 30

    /// An upper bound on the values that a statement may hold at once: it counts each call, each argument
    /// and each operator that makes a text.
    static func values(in statement: String) -> Int {
        statement.utf8.count { $0 == 0x28 || $0 == 0x2C || $0 == 0x7C }
    }

    /// An upper bound on the patterns that a statement may try for one row.
    static func patterns(in statement: String) -> Int {
        let text = statement.lowercased()
        return text.split(separator: "like").count + text.split(separator: "glob").count - 2
    }

    /// The functions that a statement may call. A function whose time grows faster than the length of its
    /// arguments is left out, or replaced by one of kappa's own (``SQLFunctions``): `json_patch` compares
    /// each key with each.
    static let functions: Set<String> = {
        let names = """
            abs acos acosh asin asinh atan atan2 atanh avg ceil ceiling changes char coalesce concat \
            concat_ws cos cosh count cume_dist date datetime degrees dense_rank exp first_value floor \
            format glob group_concat hex if ifnull iif instr json json_array json_array_length \
            json_error_position json_extract json_group_array json_group_object json_insert \
            json_object json_quote json_remove json_replace json_set json_type json_valid jsonb \
            jsonb_array jsonb_extract jsonb_group_array jsonb_group_object jsonb_insert jsonb_object \
            jsonb_remove jsonb_replace jsonb_set julianday lag last_insert_rowid last_value lead length \
            like likelihood likely ln local_date local_datetime local_hour local_time local_weekday log \
            log10 log2 lower ltrim max min mod nth_value ntile nullif octet_length percent_rank pi pow \
            power printf quote radians random randomblob rank replace rfc3339 round row_number rtrim \
            sign sin sinh soundex sqlite_compileoption_get sqlite_compileoption_used sqlite_source_id \
            sqlite_version sqrt strftime string_agg substr substring subtype sum tan tanh time timediff \
            total total_changes trim trunc ts typeof unhex unicode unistr unistr_quote unixepoch \
            unlikely upper zeroblob -> ->> dec dec_add dec_sub dec_mul dec_div dec_round match regexp
            """
        return Set(names.split(separator: " ").map(String.init))
    }()
}
