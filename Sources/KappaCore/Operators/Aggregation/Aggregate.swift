/// What is kept of a group of elements: a count, a sum, a largest value.
///
/// Each aggregate of one value takes it from a property, or computes it (`of:`). Values that are nil,
/// and doubles that are no number, are passed over by all aggregates but `first` and `last`, which
/// have both as null.
///
/// With `where:` an aggregate takes only the elements for which that holds: a ``Condition`` on
/// properties, such as `\.price < 100`, which can be read from columns, or a closure.
public struct Aggregate<Element>: Sendable {
    /// A property of the elements, such as `\.price`.
    public typealias Property<V> = KeyPath<Element, V> & Sendable
    /// Computes a value of an element.
    public typealias Computation<V> = @Sendable (Element) throws -> V
    /// Says which elements an aggregate takes.
    public typealias Inclusion = @Sendable (Element) throws -> Bool

    let name: String
    let function: AggregateFunction
    let input: AggregateInput<Element>
    let settings: AggregateSettings

    init(
        _ name: String, _ function: AggregateFunction, _ value: Expression<Element>?,
        order: Expression<Element>? = nil, settings: AggregateSettings = AggregateSettings(),
        where condition: Condition<Element>?
    ) {
        self.name = name
        self.function = function
        self.settings = settings
        input = AggregateInput(value: value, order: order, condition: condition)
    }
}

extension Aggregate {
    /// - Throws: `.usage` for an aggregate that makes no sense.
    static func check(_ all: [Aggregate], ofTable table: String) throws(KappaError) {
        for aggregate in all {
            if let fault = aggregate.fault {
                throw .senseless(fault, at: "table \(table), column \(aggregate.name)")
            }
        }
    }

    /// Why it makes no sense; nil where it does.
    private var fault: String? {
        switch function {
        case .collect, .top, .bottom:
            settings.limit > 0
                ? nil : "a list has room for at least one value, not \(settings.limit)"
        case .quantile, .approximateQuantile:
            settings.fraction >= 0 && settings.fraction <= 1
                ? nil : "a quantile's fraction is from 0 to 1, not \(settings.fraction)"
        default: nil
        }
    }
}

/// What an aggregate is told besides its input.
struct AggregateSettings: Sendable {
    /// How many values are kept at most, for a list.
    var limit = 0
    /// Which quantile is asked for.
    var fraction = 0.0
    /// What becomes of the fraction of a whole average.
    var rounding = WholeDivision.Rounding.towardZero

    static func limit(_ limit: Int) -> AggregateSettings { AggregateSettings(limit: limit) }
    static func fraction(_ fraction: Double) -> AggregateSettings {
        AggregateSettings(fraction: fraction)
    }
}
