import CSQLite
import Glibc

/// Lets hostile SQL do nothing but read the tables that it may: an authorizer that denies by default,
/// and a deadline.
final class SQLGuard {
    private let connection: SQLiteConnection
    private let box: Unmanaged<Rules>

    final class Rules {
        let tables: Set<String>
        var deadline: Int
        init(tables: Set<String>, deadline: Int) {
            self.tables = tables
            self.deadline = deadline
        }
    }

    /// From now until this guard goes away, the connection only reads `tables`.
    init(_ connection: SQLiteConnection, tables: Set<String>, seconds: Int = 60) {
        self.connection = connection
        let rules = Rules(tables: tables, deadline: Self.now() + seconds)
        box = Unmanaged.passRetained(rules)
        let handle = connection.handle
        // SQLite makes these tables when they are first named, with rights that are denied below.
        for table in SQLKappaFunctions.tables.keys {
            _ = try? connection.prepare("SELECT 1 FROM \(table)('[]')")
        }
        sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, 100_000_000)
        // What was written has stricter limits (`SQLParser`): rewriting makes it longer and deeper.
        sqlite3_limit(handle, SQLITE_LIMIT_SQL_LENGTH, Int32(SQLRewriter.mostBytes) + 100_000)
        sqlite3_limit(handle, SQLITE_LIMIT_EXPR_DEPTH, 1_000)
        sqlite3_progress_handler(
            handle, 10_000,
            { context in
                guard let context else { return 0 }
                let rules = Unmanaged<Rules>.fromOpaque(context).takeUnretainedValue()
                return SQLGuard.now() > rules.deadline ? 1 : 0
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
        box.release()
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
            if column == "_kappa_state" { return SQLITE_DENY }
            if rules.tables.contains(table) { return SQLITE_OK }
            if SQLKappaFunctions.tables[table] != nil { return SQLITE_OK }
            // A count(*) reads no column; SQLite then asks with an empty column, and with the name of a
            // WITH as the table's.
            let isOwn = ["sqlite_", "_kappa_", "pragma_"].contains { table.hasPrefix($0) }
            return column.isEmpty && !isOwn ? SQLITE_OK : SQLITE_DENY
        case SQLITE_FUNCTION:
            let name = second.map { String(cString: $0) } ?? ""
            let isDenied = ["load_extension", "fts3_tokenizer"].contains(name)
            return isDenied ? SQLITE_DENY : SQLITE_OK
        default: return SQLITE_DENY
        }
    }

    private static func now() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return time.tv_sec
    }
}
