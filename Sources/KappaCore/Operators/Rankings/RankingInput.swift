import CKappaJSON

/// The elements of a ranking's groups, without their type.
package protocol RankingInput: AnyObject {
    /// Takes the elements of the events in `range` in.
    /// - Parameters:
    ///   - groups: Finds the groups of rows of key columns, making those that are new.
    ///   - changed: Told the groups whose rankings have changed, some of them more than once.
    ///   - outcome: Told what became of events, of some more than once.
    func take(
        _ batch: EventBatch, _ range: Range<Int>,
        groups: (_ rows: ArraySlice<Int32>, _ keys: [kj_column]) -> [UInt32],
        changed: (UInt32) -> Void, _ outcome: (_ events: [Int32], EventOutcome) -> Void)
    func count(in group: Int) -> Int
    /// Asks memory for a group that is written soon.
    func prefetch(_ group: Int)
    /// Asks memory for the rows of a group that was asked for before.
    func prefetchRows(_ group: Int)
    /// Binds the element's own cells of a row, and its rank.
    func bind(_ rank: Int, of group: Int, to writer: any RowWriter) throws
    /// The same as values.
    func values(_ rank: Int, of group: Int) throws -> [Value]
    /// Appends a stored row to a group's ranking; rows come in the order of their ranks.
    func load(_ cursor: any RowCursor, into group: Int) throws
    /// All that has changed was bound and committed.
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

/// Where the cells of a ranking's row stand: keys that are not the element's own, the element, the rank.
struct RankingLayout: Sendable {
    let firstElementColumn: Int
    let showsRank: Bool
}
