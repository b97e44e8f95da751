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

/// The aggregates, without their input.
package enum AggregateFunction: String, Sendable {
    case count, countValues, sum, average, wholeAverage, min, max, first, last
    case countDistinct, approximateDistinct
    case populationVariance, sampleVariance, populationDeviation, sampleDeviation
    case argMin, argMax, collect, top, bottom, quantile, approximateQuantile

    /// What the aggregate's column holds.
    func resultKind(of input: ColumnKind?) -> ColumnKind {
        switch self {
        case .count, .countValues, .countDistinct, .approximateDistinct, .wholeAverage: .integer
        case .average, .populationVariance, .sampleVariance, .populationDeviation,
            .sampleDeviation, .approximateQuantile:
            .double
        case .collect, .top, .bottom: .json
        case .sum, .min, .max, .first, .last, .argMin, .argMax, .quantile: input ?? .integer
        }
    }

    /// How an aggregate's state is laid out in a record.
    enum StateForm: Sendable {
        /// An integer.
        case counter
        /// A ``StoredCell``.
        case sum, extreme
        /// A sum and a count.
        case mean
        /// A ``StoredCell`` and the offset that it comes from.
        case end
        /// ``Moments``.
        case spread
        /// An ``ArgExtreme``.
        case argument
        /// A reference to a ``StateObject``.
        case object
    }

    var form: StateForm {
        switch self {
        case .count, .countValues: .counter
        case .sum: .sum
        case .average, .wholeAverage: .mean
        case .min, .max: .extreme
        case .first, .last: .end
        case .populationVariance, .sampleVariance, .populationDeviation, .sampleDeviation: .spread
        case .argMin, .argMax: .argument
        case .countDistinct, .approximateDistinct, .collect, .top, .bottom, .quantile,
            .approximateQuantile:
            .object
        }
    }

    /// Whether the column alone tells the aggregate's state. Where it does not, the state is kept
    /// in the row's hidden blob.
    var needsState: Bool {
        switch form {
        case .counter, .sum, .extreme, .end: false
        case .mean, .spread, .argument, .object: true
        }
    }
}

/// What an aggregate does, without its element's type.
package struct AggregateShape: Sendable {
    let function: AggregateFunction
    /// The kind of the aggregate's input; nil for a count.
    let input: ColumnKind?
    /// The kind of the value that decides, for `argMin`, and for `top` by another property.
    let order: ColumnKind?
    let settings: AggregateSettings
    /// Whether no element may have been taken yet, which the column cannot tell from a nil taken.
    let mayLackFirst: Bool

    init<Element>(_ aggregate: Aggregate<Element>) {
        function = aggregate.function
        input = aggregate.input.value?.kind
        order = aggregate.input.order?.kind
        settings = aggregate.settings
        mayLackFirst = aggregate.mayLackFirst
    }
}

extension Aggregate {
    /// Whether a group may have a first or last element that is none: with a condition only.
    var mayLackFirst: Bool { input.condition != nil && function.form == .end }

    var needsState: Bool { function.needsState || mayLackFirst }

    /// A part of a view's digest.
    var signature: String {
        let told: String =
            switch function {
            case .collect, .top, .bottom: " \(settings.limit)"
            case .quantile, .approximateQuantile: " \(settings.fraction)"
            case .wholeAverage: " \(settings.rounding)"
            default: ""
            }
        return function.rawValue + told + (input.order.map { " by \($0.kind.rawValue)" } ?? "")
            + (input.condition == nil ? "" : " where")
    }
}
