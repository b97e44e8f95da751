extension TableStep {
    /// The rows as structs, for a further step. A property takes the column of its name; there must
    /// be one for each, of its kind.
    public func rows<Row: ViewRow>(as type: Row.Type) -> TableRows<Row> {
        TableRows(upstream: self, signature: "rows") { table throws(KappaError) in
            let codec = try RowCodec<Row>()
            var mapping: [Int] = []
            for wanted in codec.columns {
                guard
                    let index = table.columns.firstIndex(where: {
                        $0.name == wanted.name && $0.kind == wanted.kind
                    })
                else {
                    let there = table.columns.map { "\($0.name) (\($0.kind.rawValue))" }
                    throw KappaError(
                        .usage,
                        "\(Row.self) has \(wanted.name) (\(wanted.kind.rawValue)), "
                            + "which the step before does not make",
                        at: "\(Row.self)",
                        because: "its columns are " + there.joined(separator: ", "),
                        advice: "Give the property the name and the type of one of them")
                }
                mapping.append(index)
            }
            let cursor = MappedCursor(mapping)
            return RowMaker(columns: mapping) { row in
                cursor.row = row
                return try codec.decode(cursor, at: 0)
            }
        }
    }
}

extension TableRows {
    /// Only the rows for which `isIncluded` is true.
    public func filter(
        _ isIncluded: @escaping @Sendable (Element) throws -> Bool
    ) -> TableRows {
        let open = open
        return TableRows(upstream: upstream, signature: "\(signature).filter") {
            table throws(KappaError) in
            let maker = try open(table)
            return RowMaker(columns: maker.columns, isFiltered: true) { row in
                guard let element = try maker.make(row) else { return nil }
                return try isIncluded(element) ? element : nil
            }
        }
    }

    /// One new element for each row.
    public func map<New>(
        _ transform: @escaping @Sendable (Element) throws -> New
    ) -> TableRows<New> {
        let open = open
        return TableRows<New>(upstream: upstream, signature: "\(signature).map") {
            table throws(KappaError) in
            let maker = try open(table)
            return RowMaker { row in try maker.make(row).map(transform) }
        }
    }

    /// One row over all rows as they are now: the total. Its key is the column `scope`, which holds `all`;
    /// there is no row where there are no rows.
    public func aggregate(_ aggregates: Aggregate<Element>...) -> Derived {
        Derived(TableGroups(rows: self, keys: [.all]), aggregates)
    }

    /// Groups by the value of a property, or of several.
    public func grouped<A: KeyValue, each B: KeyValue>(
        by first: KeyPath<Element, A> & Sendable,
        _ next: repeat KeyPath<Element, each B> & Sendable
    ) -> TableGroups<Element> {
        TableGroups(rows: self, keys: GroupKey.properties(first, repeat each next))
    }

    /// Groups by the values of properties and then by a computed key, with the name of its column.
    public func grouped<A: KeyValue, each B: KeyValue, C: KeyValue>(
        by first: KeyPath<Element, A> & Sendable,
        _ next: repeat KeyPath<Element, each B> & Sendable,
        as name: String, by key: @escaping @Sendable (Element) throws -> C
    ) -> TableGroups<Element> {
        let computed = GroupKey(name: name, expression: Expression(key))
        return TableGroups(
            rows: self, keys: GroupKey.properties(first, repeat each next) + [computed])
    }

    /// Groups by a computed key, with the name of its column.
    public func grouped<A: KeyValue>(
        as name: String, by key: @escaping @Sendable (Element) throws -> A
    ) -> TableGroups<Element> {
        TableGroups(rows: self, keys: [GroupKey(name: name, expression: Expression(key))])
    }
}

/// Some columns of a row, in an order of their own.
private final class MappedCursor: RowCursor {
    private let mapping: [Int]
    var row: (any RowCursor)?

    init(_ mapping: [Int]) { self.mapping = mapping }

    func isNull(_ index: Int) -> Bool { row?.isNull(mapping[index]) ?? true }
    func integer(_ index: Int) -> Int64 { row?.integer(mapping[index]) ?? 0 }
    func double(_ index: Int) -> Double { row?.double(mapping[index]) ?? 0 }
    func text(_ index: Int) -> UnsafeRawBufferPointer {
        row?.text(mapping[index]) ?? UnsafeRawBufferPointer(start: nil, count: 0)
    }
    func blob(_ index: Int) -> UnsafeRawBufferPointer {
        row?.blob(mapping[index]) ?? UnsafeRawBufferPointer(start: nil, count: 0)
    }
    func storage(_ index: Int) -> CellStorage { row?.storage(mapping[index]) ?? .null }
}
