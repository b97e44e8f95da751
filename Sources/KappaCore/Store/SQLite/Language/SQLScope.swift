/// A table that a statement may read.
struct SQLTable {
    /// Its name in the statement.
    var name: String
    /// The database that it is in; `schema` has its name there.
    var database: String
    var schema: TableSchema
}

struct SQLColumn {
    var name: String
    var type: SQLType
    /// Not part of `*`.
    var isHidden = false
}

/// The names that an expression can use: the sources of one FROM, the tables of one WITH, and the names of
/// enclosing scopes.
final class SQLScope {
    struct Source {
        var name: String
        var database: String?
        var columns: [SQLColumn]
        /// Columns that USING or NATURAL merged with those of an earlier source.
        var merged: Set<String> = []
    }

    let parent: SQLScope?
    var sources: [Source] = []
    /// The result columns that have names of their own.
    var aliases: [(name: String, typed: SQLTyped)] = []
    var commonTables: [SQLCommonEntry] = []

    init(_ parent: SQLScope?) { self.parent = parent }

    /// The entry of a WITH in this scope or an enclosing one, with the scope that has it.
    func commonTable(_ name: String) -> (SQLCommonEntry, SQLScope)? {
        let wanted = name.lowercased()
        var scope: SQLScope? = self
        while let here = scope {
            if let found = here.commonTables.first(where: { $0.syntax.name.lowercased() == wanted })
            {
                return (found, here)
            }
            scope = here.parent
        }
        return nil
    }

    /// The type of a column; nil where there is none of that name.
    func column(_ name: SQLColumnName) -> SQLType? {
        var scope: SQLScope? = self
        while let here = scope {
            if let found = here.ownColumn(name) { return found }
            scope = here.parent
        }
        return nil
    }

    private func ownColumn(_ name: SQLColumnName) -> SQLType? {
        let wanted = name.name.lowercased()
        for source in sources {
            if let table = name.table, source.name.lowercased() != table.lowercased() { continue }
            if let database = name.database,
                source.database?.lowercased() != database.lowercased()
            {
                continue
            }
            if let column = source.columns.first(where: { $0.name.lowercased() == wanted }) {
                return column.type
            }
        }
        guard name.table == nil else { return nil }
        return aliases.first { $0.name.lowercased() == wanted }?.typed.type
    }

    /// What `*` or `table.*` stands for.
    func all(of table: String?) -> [SQLColumn] {
        sources.flatMap { source in
            if let table {
                guard source.name.lowercased() == table.lowercased() else { return [SQLColumn]() }
                return source.columns.filter { !$0.isHidden }
            }
            return source.columns.filter {
                !$0.isHidden && !source.merged.contains($0.name.lowercased())
            }
        }
    }

    /// All names of columns, for messages.
    var columnNames: [String] {
        var names: [String] = []
        var scope: SQLScope? = self
        while let here = scope {
            for column in here.sources.flatMap(\.columns) where !names.contains(column.name) {
                names.append(column.name)
            }
            scope = here.parent
        }
        return names
    }
}

/// A table of a WITH, which is read when it is first named.
final class SQLCommonEntry {
    enum State {
        case unread
        /// Its select is being read. A recursive table already has columns here: those of its first arm.
        case reading([SQLColumn]?)
        case read([SQLColumn])
    }

    let syntax: SQLCommonTable
    var state = State.unread
    var isRecursive = false
    /// What SQLite gets for its select.
    var text = ""

    init(_ syntax: SQLCommonTable) { self.syntax = syntax }
}
