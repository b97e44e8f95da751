/// Groups of a table's rows; `aggregate`, `top` or `reduce` makes them a table again.
public struct TableGroups<Element>: Sendable {
    let rows: TableRows<Element>
    let keys: [GroupKey<Element>]
}

/// The rows of a table inside of a view, as structs: where a second step begins.
///
/// ```swift
/// Events(Bid.self, at: \.time)
///     .window(.tumbling(.seconds(10))).grouped(by: \.auction)
///     .aggregate(.count(as: "bids"))
///     .rows(as: AuctionBids.self)           // a struct with windowStart, auction, bids
///     .grouped(by: \.windowStart)
///     .top(1, by: .descending(\.bids))
/// ```
/// A row that changes counts with what it is now: what it was before is taken back. The results
/// depend on what is in the table alone, not on how it came about. The first table is kept with the
/// view, and readers do not see it.
public struct TableRows<Element>: Sendable {
    let upstream: any TableStep
    let signature: String
    /// How elements are made of the table's rows.
    let open: @Sendable (TableSchema) throws(KappaError) -> RowMaker<Element>
}

/// Makes an element of a row, or none.
struct RowMaker<Element> {
    /// The table's column of each of the element's properties, where elements are nothing but these.
    var columns: [Int]?
    /// Whether some rows make none.
    var isFiltered = false
    let make: (any RowCursor) throws -> Element?

    /// The table's column in which a value stands as it is.
    func column(_ expression: Expression<Element>) -> Int? {
        guard let columns, let fields = StructFields.of(Element.self),
            fields.fields.count == columns.count,
            let field = expression.keyPath.flatMap({ fields.field($0) })
        else { return nil }
        return columns[field]
    }
}
