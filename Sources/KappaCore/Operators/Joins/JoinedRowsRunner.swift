/// An outer join with its types.
struct OuterJoin<Left: ViewRow, Right: ViewRow, New: ViewRow>: Sendable {
    let left: JoinInput<Left>
    let right: JoinInput<Right>
    let bound: JoinBound
    /// Whether an element without a match makes a row.
    let showsLeft: Bool
    let showsRight: Bool
    let isJoined: (@Sendable (Left, Right) throws -> Bool)?
    /// Makes the row of a pair, in which either element may be missing; nil only if both are.
    let combine: @Sendable (Left?, Right?) throws -> New?
}

/// The table of an outer join without its types: what the materializer needs to run it.
package struct JoinedRowsDefinition: Sendable {
    package let table: TableSchema
    package let stateTables: [TableSchema]
    let signature: String
    let eventTypes: [String]
    package let open: @Sendable (any StreamContext) throws(KappaError) -> any JoinedRowsInput

    init<Left: ViewRow, Right: ViewRow, New: ViewRow>(
        table name: String, _ join: OuterJoin<Left, Right, New>
    ) throws(KappaError) {
        let (left, right) = (join.left.source, join.right.source)
        let problem =
            join.left.problem ?? join.right.problem ?? join.bound.problem(join.left, join.right)
        if let problem { throw problem }
        let keys = [
            ("left_offset", true), ("left_part", left.fansOut), ("right_offset", true),
            ("right_part", right.fansOut),
        ].filter(\.1).map { ColumnSchema($0.0, .integer, isKey: true) }
        table = TableSchema(name: name, columns: keys + (try RowCodec<New>().columns))
        stateTables = left.states() + right.states() + join.left.joinTables(with: join.right)
        eventTypes = left.eventTypes + right.eventTypes
        signature =
            "(\(join.left.signature)).outer \(join.showsLeft) \(join.showsRight) "
            + "(\(join.right.signature)) \(join.bound.signature) "
            + table.columns.map { "\($0.name):\($0.kind.rawValue)" }.joined(separator: ",")
        open = { context throws(KappaError) in try OuterJoinRows(join, context) }
    }
}

/// Runs the table of an outer join: rows are inserted, and replaced when their elements find a match.
final class JoinedRowsRunner: StepRunner {
    private let input: any JoinedRowsInput
    private let tableIndex: Int

    init(input: any JoinedRowsInput, table: Int) {
        self.input = input
        tableIndex = table
    }

    func apply(_ batch: EventBatch, _ range: Range<Int>, _ pass: BatchPass) throws {
        input.take(batch, range) { pass.note($0, $1) }
    }

    func write(to transaction: any StoreTransaction) throws {
        let writer = transaction.upsert(into: tableIndex)
        let deleter = transaction.delete(from: tableIndex)
        try input.forEachChange { row, key in
            let target = row == nil ? deleter : writer
            for (index, cell) in (row ?? key).enumerated() { target.bind(index, cell) }
            try target.execute()
        }
    }

    func committed(mayEvict: Bool) { input.clear() }

    var memoryBytes: Int { input.changes * input.bytesPerChange }
    var dirtyRows: Int { input.changes }
}
