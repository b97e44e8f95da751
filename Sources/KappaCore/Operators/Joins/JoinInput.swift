/// One of the streams of a join, with the key of its elements.
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

    /// Whether the join itself evaluates the stream's condition. An element that fails it is still the only
    /// one of its key, so no element of the other side need wait for that key any longer.
    var judges: Bool { isUnique && source.condition != nil }

    /// The table of the kept elements.
    var stateTable: TableSchema {
        .joinSide(key: key.kind, (try? RowCodec<Element>(spread: true).columns) ?? [])
    }

    /// The table of the keys whose only elements failed the stream's condition.
    var refusedTables: [TableSchema] { judges ? [.joinSide(key: key.kind, [])] : [] }

    /// The tables of both sides of a join.
    func joinTables<Other>(with right: JoinInput<Other>) -> [TableSchema] {
        [stateTable, right.stateTable] + refusedTables + right.refusedTables
    }

    /// The number of cells of a kept element.
    var cells: Int { stateTable.columns.count - TableSchema.joinSideColumns }

    func open(
        _ context: any StreamContext
    ) throws(KappaError) -> any ElementReader<Element> {
        judges ? try source.openAll(context) : try source.open(context)
    }

    /// A part of a view's digest.
    var signature: String { source.signature() + (judges ? " judged" : "") }

    /// Why the stream cannot be joined, for example because its elements cannot be stored as rows; nil if it
    /// can.
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

/// The inputs of an inner join, and its bound.
struct InnerJoin<Left: ViewRow, Right: ViewRow>: Sendable {
    let left: JoinInput<Left>
    let right: JoinInput<Right>
    let bound: JoinBound

    var hasTime: Bool { left.source.hasTime && right.source.hasTime }
}
