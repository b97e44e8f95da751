/// One part of a view: something that turns events into rows of a table.
public protocol ViewStep: Sendable {
    /// What the step does, for the view of that name; for kappa's own use.
    func define(view: String) throws(KappaError) -> StepDefinition
}

/// What a step does, without the types of its events and rows. Opaque.
public struct StepDefinition: Sendable {
    package enum Kind: Sendable {
        case aggregation(AggregationDefinition)
        case fold(FoldDefinition)
    }
    package let kind: Kind

    init(_ kind: Kind) { self.kind = kind }

    package var tables: [TableSchema] {
        switch kind {
        case .aggregation(let aggregation): [aggregation.table]
        case .fold(let fold): fold.tables.map(\.schema)
        }
    }

    var signature: String {
        switch kind {
        case .aggregation(let aggregation): aggregation.signature
        case .fold(let fold): fold.signature
        }
    }

    var eventTypes: [String] {
        switch kind {
        case .aggregation(let aggregation): aggregation.eventTypes
        case .fold(let fold): fold.handlers.map(\.handler.eventType)
        }
    }
}

/// Collects the steps of a declarative view.
@resultBuilder
public enum ViewBuilder {
    /// One step: a table.
    public static func buildExpression(_ step: some ViewStep) -> [any ViewStep] { [step] }
    /// All steps, in the order in which they stand.
    public static func buildBlock(_ steps: [any ViewStep]...) -> [any ViewStep] {
        steps.flatMap { $0 }
    }
}
