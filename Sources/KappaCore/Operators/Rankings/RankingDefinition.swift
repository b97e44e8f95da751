import CKappaJSON

/// A ranking without its element's type: what the materializer needs to run it.
package struct RankingDefinition: Sendable {
    package let table: TableSchema
    package let stateTables: [TableSchema]
    package let keyKinds: [ColumnKind]
    /// The column of each part of the group's key.
    package let keyColumns: [Int]
    /// How many parts of the key are not properties of the element: they are the first columns.
    package let addedKeys: Int
    let signature: String
    let eventTypes: [String]
    package let open: @Sendable (any StreamContext) throws(KappaError) -> any RankingInput

    init<Element: ViewRow>(
        table name: String, grouping: Grouping<Element>, rank: String?,
        rule: RankingRule<Element>
    ) throws(KappaError) {
        if grouping.window != nil {
            throw KappaError(
                .usage, "table \(name) ranks the elements of windows", at: "view \(name)",
                because: "rankings are kept for groups by key",
                advice: "Make the window's start a property of the element with map or flatMap, "
                    + "and group by it")
        }
        try grouping.check(ofTable: name)
        try RankingLimit.check(rule.limit, ofTable: name)
        try GroupKey.checkNames(grouping.keys, ofTable: name)
        var columns = try RowCodec<Element>().columns
        // A key that is a property of the element is a column already.
        var added: [ColumnSchema] = []
        for key in grouping.keys {
            let isProperty = key.name == nil && !key.expression.isNested
            if isProperty, let index = columns.firstIndex(where: { $0.name == key.columnName }) {
                columns[index].isKey = true
            } else {
                added.append(ColumnSchema(key.columnName, key.expression.kind, isKey: true))
            }
        }
        let ranks = rank.map { [ColumnSchema($0, .integer, isKey: true)] } ?? []
        let all = added + columns + ranks
        table = TableSchema(name: name, columns: all)
        // The parts of a group's key are in the order of the table's key.
        let parts = grouping.keys.map { key in
            (key: key, column: all.firstIndex { $0.name == key.columnName } ?? 0)
        }.sorted { $0.column < $1.column }
        keyColumns = parts.map(\.column)
        addedKeys = added.count
        keyKinds = parts.map(\.key.expression.kind)
        stateTables = grouping.source.states()
        eventTypes = grouping.source.eventTypes
        let described = all.map { "\($0.name):\($0.kind.rawValue):\($0.isKey)" }
        signature =
            "\(grouping.source.signature()) \(rule.keep == nil ? "top \(rule.limit) \(rule.ties)" : "keep") "
            + rule.orderings.map(\.signature).joined(separator: ",") + " "
            + described.joined(separator: ",")
        let source = grouping.source
        let keys = parts.map(\.key.expression)
        let layout = RankingLayout(firstElementColumn: added.count, showsRank: rank != nil)
        open = { context throws(KappaError) in
            let reader = try source.open(context)
            if let keep = rule.keep { return try KeptElements(reader, keys: keys, keep, layout) }
            return try RankedElements(reader, keys: keys, rule, layout)
        }
    }
}

/// What happens to elements that tie at the end of a ranking.
public enum Ties: Sendable {
    /// The one that came first in the log ranks higher, so there are never more than n rows.
    case earliest
    /// All of them are kept, so there may be more than n rows.
    case all
}

/// Which of two elements that tie is kept.
enum TieRule: Sendable { case earliest, latest, all }

/// How the elements of a group are ranked.
struct RankingRule<Element>: Sendable {
    let limit: Int
    let orderings: [Ordering<Element>]
    let ties: TieRule
    /// The view's own choice of what to keep; nil for a ranking by orderings.
    var keep: KeepRule<Element>?
}

/// A closure that chooses what a group keeps, and a loop that calls it for many elements.
struct KeepRule<Element>: Sendable {
    let choose: @Sendable (inout [Element], Element) throws -> Void
    let loop: KeepingLoop<Element>
}

/// Calls a closure that chooses what groups keep, for many elements: moves the elements with the given
/// numbers out of their memory, one after another. `ids` holds the group of each number, and `groups` the
/// elements of each group. `changed` gets a group's id, its elements before, and how many it has now.
@usableFromInline
typealias KeepingLoop<Element> =
    @Sendable (
        _ elements: UnsafeMutablePointer<Element>, _ numbers: Range<Int>,
        _ groups: UnsafeMutablePointer<[Element]>, _ ids: UnsafePointer<UInt32>,
        _ changed: (_ id: UInt32, _ before: [Element], _ count: Int) -> Void,
        _ failed: () -> Void
    ) -> Void

/// The number of elements that a ranking keeps for each group.
enum RankingLimit {
    static func check(_ limit: Int, ofTable table: String) throws(KappaError) {
        if limit > 0 { return }
        throw .senseless(
            "a ranking must keep at least one element, not \(limit)", at: "table \(table)")
    }
}

/// An order of elements, best first.
public struct Ordering<Element>: Sendable {
    let value: Expression<Element>
    let isDescending: Bool
    let mayBeNull: Bool

    private init<V: OrderedValue>(
        _ property: KeyPath<Element, V> & Sendable, isDescending: Bool
    ) {
        value = Expression(property)
        self.isDescending = isDescending
        mayBeNull = V.self is any ExpressibleByNilLiteral.Type
    }

    /// The largest first. Nil is less than anything else.
    public static func descending<V: OrderedValue>(
        _ property: KeyPath<Element, V> & Sendable
    ) -> Ordering { Ordering(property, isDescending: true) }

    /// The smallest first. Nil is less than anything else.
    public static func ascending<V: OrderedValue>(
        _ property: KeyPath<Element, V> & Sendable
    ) -> Ordering { Ordering(property, isDescending: false) }

    /// A part of a view's digest.
    var signature: String {
        "\(value.propertyName ?? "computed") \(isDescending ? "desc" : "asc")"
    }

    /// Negative if the cell `a` ranks before the cell `b`.
    @inline(__always)
    func compare(_ a: Value, _ b: Value) -> Int {
        let order = Value.order(a, b)
        return isDescending ? -order : order
    }
}

/// The elements of a ranking's groups, without their type.
package protocol RankingInput: AnyObject {
    /// Takes the elements of the events in `range`.
    /// - Parameters:
    ///   - groups: Finds the groups of rows by their key columns, adding those that are new.
    ///   - changed: Called for each group whose ranking has changed, possibly more than once.
    ///   - outcome: Called with the outcome of events, possibly more than once for an event.
    func take(
        _ batch: EventBatch, _ range: Range<Int>,
        groups: (_ rows: ArraySlice<Int32>, _ keys: [kj_column]) -> [UInt32],
        changed: (UInt32) -> Void, _ outcome: (_ events: [Int32], EventOutcome) -> Void)
    func count(in group: Int) -> Int
    /// Prefetches a group that will be written soon.
    func prefetch(_ group: Int)
    /// Prefetches the rows of a group that has been prefetched.
    func prefetchRows(_ group: Int)
    /// Binds the element's own cells of a row, and its rank.
    func bind(_ rank: Int, of group: Int, to writer: any RowWriter) throws
    /// The same as values.
    func values(_ rank: Int, of group: Int) throws -> [Value]
    /// Appends a stored row to a group's ranking; rows come in the order of their ranks.
    func load(_ cursor: any RowCursor, into group: Int) throws
    /// All changes have been bound and committed.
    func committed()
    var memoryBytes: Int { get }
    /// Rows of all groups.
    var rowCount: Int { get }
}

extension RankingInput {
    package func prefetch(_ group: Int) {}
    package func prefetchRows(_ group: Int) {}
    package func committed() {}
}

/// The layout of a ranking's row: keys that are not the element's own, the element, the rank.
struct RankingLayout: Sendable {
    let firstElementColumn: Int
    let showsRank: Bool
}
