/// The aggregates, without their input.
package enum AggregateFunction: String, Sendable {
    case count, countValues, sum, average, min, max, first, last, countDistinct
    case populationVariance, sampleVariance, populationDeviation, sampleDeviation
    case argMin, argMax, collect, approximateDistinct

    /// What the aggregate's column holds.
    func resultKind(of input: ColumnKind?) -> ColumnKind {
        switch self {
        case .count, .countValues, .countDistinct, .approximateDistinct: .integer
        case .average, .populationVariance, .sampleVariance, .populationDeviation,
            .sampleDeviation:
            .double
        case .collect: .json
        case .sum, .min, .max, .first, .last, .argMin, .argMax: input ?? .integer
        }
    }

    /// Whether the column alone tells the aggregate's state. Where it does not, the state is kept
    /// in the row's hidden blob.
    var needsState: Bool {
        switch self {
        case .count, .countValues, .sum, .min, .max, .first, .last: false
        case .average, .countDistinct, .populationVariance, .sampleVariance,
            .populationDeviation, .sampleDeviation, .argMin, .argMax, .collect,
            .approximateDistinct:
            true
        }
    }
}

/// What an aggregate does, without its element's type.
package struct AggregateShape: Sendable {
    let function: AggregateFunction
    /// The kind of the aggregate's input; nil for a count.
    let input: ColumnKind?
    /// The kind of the value that decides, for ``AggregateFunction/argMin`` and its sister.
    let order: ColumnKind?
    /// How many values are kept at most, for ``AggregateFunction/collect``.
    let limit: Int
    /// Whether no element may have been taken yet, which the column cannot tell from a nil taken.
    let mayLackFirst: Bool

    init<Element>(_ aggregate: Aggregate<Element>) {
        function = aggregate.function
        input = aggregate.input.value?.kind
        order = aggregate.input.order?.kind
        limit = aggregate.limit
        mayLackFirst = aggregate.mayLackFirst
    }
}

extension Aggregate {
    /// Whether a group may have a first or last element that is none: with a condition only.
    var mayLackFirst: Bool {
        input.condition != nil && (function == .first || function == .last)
    }

    var needsState: Bool { function.needsState || mayLackFirst }

    /// A part of a view's digest.
    var signature: String {
        let kept = function == .collect ? " \(limit)" : ""
        return function.rawValue + kept + (input.condition == nil ? "" : " where")
    }
}
