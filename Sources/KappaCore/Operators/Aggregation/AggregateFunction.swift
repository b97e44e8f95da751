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
