/// One stream that goes into a join, with what its elements are joined by.
struct JoinInput<Element: ViewRow>: Sendable {
    let source: StreamSource<Element>
    let key: Expression<Element>
    /// Whether no two elements have the same key.
    let isUnique: Bool

    init(_ source: StreamSource<Element>, key: Expression<Element>) {
        self.source = source
        self.key = key
        let property: PartialKeyPath<Element>? = key.keyPath
        isUnique = property != nil && source.uniqueBy == property
    }

    /// Whether the join itself asks which elements are in the stream. One that is not is the only one of
    /// its key, too: what waits for it need not wait any longer.
    var judges: Bool { isUnique && source.condition != nil }

    /// The table of the elements that wait.
    var stateTable: TableSchema {
        .joinSide(key: key.kind, (try? RowCodec<Element>(spread: true).columns) ?? [])
    }

    /// The table of the keys whose only elements are not in the stream.
    var refusedTables: [TableSchema] { judges ? [.joinSide(key: key.kind, [])] : [] }

    /// The tables of both sides of a join.
    func joinTables<Other>(with right: JoinInput<Other>) -> [TableSchema] {
        [stateTable, right.stateTable] + refusedTables + right.refusedTables
    }

    /// How many cells an element has that waits.
    var cells: Int { stateTable.columns.count - TableSchema.joinSideColumns }

    func open(
        _ context: any StreamContext
    ) throws(KappaError) -> any ElementReader<Element> {
        judges ? try source.openAll(context) : try source.open(context)
    }

    /// A part of a view's digest.
    var signature: String { source.signature() + (judges ? " judged" : "") }

    /// Why elements cannot be kept as rows.
    var problem: KappaError? {
        if let problem = source.problem() { return problem }
        do throws(KappaError) {
            _ = try RowCodec<Element>(spread: true)
            return nil
        } catch {
            return error
        }
    }
}

/// What goes into an inner join.
struct InnerJoin<Left: ViewRow, Right: ViewRow>: Sendable {
    let left: JoinInput<Left>
    let right: JoinInput<Right>
    let bound: JoinBound

    var hasTime: Bool { left.source.hasTime && right.source.hasTime }
}
