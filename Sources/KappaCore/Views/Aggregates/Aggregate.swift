/// A column of a table of aggregates: what it holds, and its name.
///
/// ```swift
/// .aggregate(.count().as("orders"), .sum(\.amount).where(\.coupon != nil).as("discounted"))
/// ```
/// `Row` is the struct whose properties name the columns, or ``Columns`` where texts name them.
public struct Aggregate<Element, Row>: Sendable {
    /// A property of the elements, such as `\.price`.
    public typealias Property<V> = KeyPath<Element, V> & Sendable
    /// Computes a value of an element.
    public typealias Computation<V> = @Sendable (Element) throws -> V

    fileprivate enum Name: Sendable {
        case text(String)
        case property(PartialKeyPath<Row> & Sendable)
    }
    fileprivate let name: Name
    fileprivate let function: AggregateFunction
    fileprivate let input: AggregateInput<Element>
    fileprivate let settings: AggregateSettings

    func named(_ name: String) -> AggregateColumn<Element> {
        AggregateColumn(name: name, function: function, input: input, settings: settings)
    }
}

/// An aggregate that has no name yet, such as `.sum(\.amount)`.
///
/// Each takes its value from a property, or computes it: `.sum { $0.price * $0.count }`. All except `first` and
/// `last` ignore nil and doubles that are not a number; `first` and `last` take both as null.
///
/// `Output` is the type of the column. `Filtered` is its type if the aggregate takes only some elements, so that
/// a group may have none: optional, except for counts and sums, which are zero then.
public struct AggregateValue<Element, Output, Filtered>: Sendable {
    private let function: AggregateFunction
    private var input: AggregateInput<Element>
    private let settings: AggregateSettings

    init(
        _ function: AggregateFunction, _ value: Expression<Element>? = nil,
        order: Expression<Element>? = nil, settings: AggregateSettings = AggregateSettings()
    ) {
        self.init(function, AggregateInput(value: value, order: order), settings)
    }

    private init(
        _ function: AggregateFunction, _ input: AggregateInput<Element>,
        _ settings: AggregateSettings
    ) {
        self.function = function
        self.input = input
        self.settings = settings
    }

    /// Takes only the elements for which a condition holds. Conditions on properties can be read from columns,
    /// and are faster than closures.
    public func `where`(
        _ condition: Condition<Element>
    ) -> AggregateValue<Element, Filtered, Filtered> {
        var input = input
        input.condition = input.condition.map { $0 && condition } ?? condition
        return AggregateValue<Element, Filtered, Filtered>(function, input, settings)
    }

    /// Takes only the elements for which a closure returns true.
    public func `where`(
        _ isIncluded: @escaping @Sendable (Element) throws -> Bool
    ) -> AggregateValue<Element, Filtered, Filtered> {
        self.where(Condition(closure: isIncluded))
    }

    /// Names the column.
    public func `as`(_ name: String) -> Aggregate<Element, Columns> {
        Aggregate(name: .text(name), function: function, input: input, settings: settings)
    }

    /// Names the column after a property, which holds it where rows are read as structs.
    public func `as`<Row: ViewRow>(
        _ property: KeyPath<Row, Output> & Sendable
    ) -> Aggregate<Element, Row> {
        Aggregate(name: .property(property), function: function, input: input, settings: settings)
    }
}

/// The aggregates of a table, whose names are known once the view is worked out.
struct NamedAggregates<Element, Row>: Sendable {
    /// - Throws: `.usage` if a property cannot name a column.
    let named: @Sendable () throws(KappaError) -> [AggregateColumn<Element>]
    /// Checks that each property of the row has a column.
    let check: @Sendable (TableSchema) throws(KappaError) -> Void

    init(_ aggregates: [Aggregate<Element, Row>]) where Row == Columns {
        named = { () throws(KappaError) in
            aggregates.compactMap { aggregate in
                // A property of `Columns` is no column: `as` takes only those of a ``ViewRow``.
                guard case .text(let name) = aggregate.name else { return nil }
                return aggregate.named(name)
            }
        }
        check = { _ throws(KappaError) in }
    }

    init(_ aggregates: [Aggregate<Element, Row>], as type: Row.Type) where Row: ViewRow {
        let properties = Learned { () throws(KappaError) in try RowProperties<Row>() }
        named = { () throws(KappaError) in
            var columns: [AggregateColumn<Element>] = []
            for aggregate in aggregates {
                switch aggregate.name {
                case .text(let name): columns.append(aggregate.named(name))
                case .property(let property):
                    columns.append(aggregate.named(try properties.get().column(of: property)))
                }
            }
            return columns
        }
        check = { table throws(KappaError) in try properties.get().check(table) }
    }
}
