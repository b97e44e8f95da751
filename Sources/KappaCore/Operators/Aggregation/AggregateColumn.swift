/// A column of a table of aggregates, as it is computed.
///
/// All aggregates except `first` and `last` ignore nil values and doubles that are not a number; `first` and
/// `last` take both as null.
struct AggregateColumn<Element>: Sendable {
    let name: String
    let function: AggregateFunction
    let input: AggregateInput<Element>
    let settings: AggregateSettings
}

extension AggregateColumn {
    /// - Throws: `.usage` for an aggregate whose settings make no sense.
    static func check(_ all: [AggregateColumn], ofTable table: String) throws(KappaError) {
        for aggregate in all {
            if let fault = aggregate.fault {
                throw .senseless(fault, at: "table \(table), column \(aggregate.name)")
            }
        }
    }

    /// What is wrong with its settings; nil if nothing is.
    private var fault: String? {
        switch function {
        case .collect, .top, .bottom:
            settings.limit > 0
                ? nil : "a list must have room for at least one value, not \(settings.limit)"
        case .quantile, .approximateQuantile:
            settings.fraction >= 0 && settings.fraction <= 1
                ? nil : "a quantile's fraction must be from 0 to 1, not \(settings.fraction)"
        default: nil
        }
    }
}

/// The settings of an aggregate besides its input.
struct AggregateSettings: Sendable {
    /// The largest number of values in a list.
    var limit = 0
    /// Which quantile to compute, from 0 to 1.
    var fraction = 0.0
    /// How a whole average is rounded.
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

    /// The kind of the aggregate's column.
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
        /// A ``StoredCell`` and the offset of the event it comes from.
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

    /// Whether the state is more than the column holds. It is then kept in the row's hidden blob.
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
    /// The kind of the value that ranks elements, for `argMin`, and for `top` by another property.
    let order: ColumnKind?
    let settings: AggregateSettings
    /// Whether a group may have taken no element yet. The column is null then, as it is for an element whose
    /// value is nil.
    let mayLackFirst: Bool

    init<Element>(_ aggregate: AggregateColumn<Element>) {
        function = aggregate.function
        input = aggregate.input.value?.kind
        order = aggregate.input.order?.kind
        settings = aggregate.settings
        mayLackFirst = aggregate.mayLackFirst
    }
}

extension AggregateColumn {
    /// Whether a group may lack a first or last element: only if there is a condition.
    var mayLackFirst: Bool { input.condition != nil && function.form == .end }

    var needsState: Bool { function.needsState || mayLackFirst }

    /// A part of a view's digest.
    var signature: String {
        let parameters: String =
            switch function {
            case .collect, .top, .bottom: " \(settings.limit)"
            case .quantile, .approximateQuantile: " \(settings.fraction)"
            case .wholeAverage: " \(settings.rounding)"
            default: ""
            }
        return function.rawValue + parameters
            + (input.order.map { " by \($0.kind.rawValue)" } ?? "")
            + (input.condition == nil ? "" : " where")
    }
}
