/// FROM: tables, subqueries and joins.
extension SQLRewriter {
    /// Adds the sources of a FROM to a scope, and returns the parts that are rewritten.
    func from(_ joined: [SQLJoined], _ scope: SQLScope) throws(SQLMistake) -> [SQLTyped] {
        var parts = try sources(joined, scope)
        // The condition of one join may name the sources of all joins.
        for condition in Self.conditions(joined) { parts.append(try typed(condition, scope)) }
        for argument in Self.arguments(joined) {
            let typed = try typed(argument, scope)
            guard typed.type != .time, typed.type != .decimal else {
                throw mistake(typed, "is \(typed.type.noun) and not JSON")
            }
            parts.append(typed)
        }
        return parts
    }

    private static func conditions(_ joined: [SQLJoined]) -> [SQLExpression] {
        joined.flatMap { one -> [SQLExpression] in
            var conditions = one.on.map { [$0] } ?? []
            if case .joined(let inner) = one.source.kind { conditions += Self.conditions(inner) }
            return conditions
        }
    }

    /// The arguments of `json_each(…)` and the like.
    private static func arguments(_ joined: [SQLJoined]) -> [SQLExpression] {
        joined.flatMap { one -> [SQLExpression] in
            switch one.source.kind {
            case .joined(let inner): Self.arguments(inner)
            case .table(_, _, let arguments): arguments ?? []
            case .select: []
            }
        }
    }

    private func sources(
        _ joined: [SQLJoined], _ scope: SQLScope
    ) throws(SQLMistake) -> [SQLTyped] {
        var parts: [SQLTyped] = []
        let start = scope.sources.count
        for one in joined {
            let before = scope.sources.count
            switch one.source.kind {
            case .joined(let inner): parts += try sources(inner, scope)
            default:
                let (columns, text) = try source(one.source, scope, isSet: false)
                var source = SQLScope.Source(name: one.source.alias ?? "", columns: columns)
                if case .table(let database, let name, _) = one.source.kind {
                    if one.source.alias == nil {
                        source.name = name
                        source.database = database
                    }
                } else {
                    parts.append(SQLTyped(.unknown, text, one.source.range))
                }
                scope.sources.append(source)
            }
            try merge(one, scope, left: start..<before, right: before..<scope.sources.count)
        }
        return parts
    }

    /// Columns of the same name on both sides of USING or NATURAL are one column. SQLite compares them as
    /// they are stored, so their types must compare correctly.
    private func merge(
        _ joined: SQLJoined, _ scope: SQLScope, left: Range<Int>, right: Range<Int>
    ) throws(SQLMistake) {
        guard joined.isNatural || !joined.using.isEmpty else { return }
        func columns(_ range: Range<Int>) -> [SQLColumn] {
            scope.sources[range].flatMap { source in
                source.columns.filter {
                    !$0.isHidden && !source.merged.contains($0.name.lowercased())
                }
            }
        }
        let before = columns(left)
        for column in columns(right) {
            let name = column.name.lowercased()
            let isWanted =
                joined.isNatural || joined.using.contains { $0.lowercased() == name }
            guard isWanted, let other = before.first(where: { $0.name.lowercased() == name })
            else { continue }
            guard Self.compareAlike(other.type, column.type) else {
                throw SQLMistake(
                    joined.source.range,
                    "\(column.name) is \(other.type.noun) on one side and \(column.type.noun) on "
                        + "the other", "Join ON a condition that converts one to the other's type")
            }
            for index in right { scope.sources[index].merged.insert(name) }
        }
    }

    private static func compareAlike(_ one: SQLType, _ other: SQLType) -> Bool {
        if one == other || one == .null || other == .null { return true }
        let both = [one, other]
        if both.allSatisfy({ $0.isNumber || $0 == .bool }) { return true }
        return both.allSatisfy { $0.isText || $0 == .unknown }
            || both.allSatisfy { $0.isNumber || $0 == .unknown }
    }

    /// The columns of one source, and what SQLite gets for it.
    /// - Parameter isSet: Whether it is the right side of IN.
    func source(
        _ source: SQLSource, _ scope: SQLScope, isSet: Bool
    ) throws(SQLMistake) -> ([SQLColumn], String) {
        // A source in a FROM does not see its neighbours, only what encloses the select.
        let around = isSet ? scope : scope.parent ?? scope
        switch source.kind {
        case .select(let syntax):
            let inner = try select(syntax, around)
            return (inner.columns, splice(source.range, [(syntax.range, inner.text)]))
        case .joined(let inner):
            let own = SQLScope(around)
            let parts = try from(inner, own)
            return (own.all(of: nil), splice(source.range, parts))
        case .table(let database, let name, let arguments):
            let text = self.source(source.range)
            if database == nil, arguments == nil, let (entry, owner) = scope.commonTable(name) {
                return (try read(entry, in: owner), text)
            }
            if database == nil, let columns = SQLKappaFunctions.tables[name.lowercased()] {
                return (columns, text)
            }
            guard arguments == nil, let table = table(name, database) else {
                let shown = database.map { "\($0).\(name)" } ?? name
                throw SQLMistake(source.range, "no such table: \(shown)")
            }
            let columns = table.schema.columns.map {
                SQLColumn(name: $0.name, type: SQLType($0.kind))
            }
            return (columns, text)
        }
    }

    private func table(_ name: String, _ database: String?) -> SQLTable? {
        let wanted = name.lowercased()
        if let database = database?.lowercased(), database != "temp" {
            return tables.first {
                $0.database.lowercased() == database && $0.schema.name.lowercased() == wanted
            }
        }
        return tables.first { $0.name.lowercased() == wanted }
            ?? tables.first { $0.schema.name.lowercased() == wanted }
    }
}
