/// What a step does, without the types of its events and rows. Opaque.
public struct StepDefinition: Sendable {
    package indirect enum Kind: Sendable {
        case aggregation(AggregationDefinition)
        case fold(FoldDefinition)
        case rows(RowsDefinition)
        case joinedRows(JoinedRowsDefinition)
        case ranking(RankingDefinition)
        case derived(DerivedDefinition)
    }
    package let kind: Kind

    init(_ kind: Kind) { self.kind = kind }

    package var tables: [TableSchema] {
        switch kind {
        case .aggregation(let aggregation): [aggregation.table]
        case .fold(let fold): fold.tables.map(\.schema)
        case .rows(let rows): [rows.table]
        case .joinedRows(let rows): [rows.table]
        case .ranking(let ranking): [ranking.table]
        case .derived(let derived): [derived.table]
        }
    }

    /// The tables for the step's own state, which readers do not see.
    package var stateTables: [TableSchema] {
        switch kind {
        case .aggregation(let aggregation): aggregation.stateTables
        case .fold: []
        case .rows(let rows): rows.stateTables
        case .joinedRows(let rows): rows.stateTables
        case .ranking(let ranking): ranking.stateTables
        case .derived(let derived): derived.stateTables
        }
    }

    /// Whether a row depends on the events of its own key alone.
    var readsOwnKeyOnly: Bool {
        switch kind {
        case .aggregation(let aggregation): aggregation.readsOwnKeyOnly
        case .fold(let fold): fold.readsOwnKeyOnly
        case .rows, .joinedRows, .ranking, .derived: false
        }
    }

    var signature: String {
        switch kind {
        case .aggregation(let aggregation): aggregation.signature
        case .fold(let fold): fold.signature
        case .rows(let rows): rows.signature
        case .joinedRows(let rows): rows.signature
        case .ranking(let ranking): ranking.signature
        case .derived(let derived): derived.signature
        }
    }

    var eventTypes: [String] {
        switch kind {
        case .aggregation(let aggregation): aggregation.eventTypes
        case .fold(let fold): fold.handlers.map(\.handler.eventType)
        case .rows(let rows): rows.eventTypes
        case .joinedRows(let rows): rows.eventTypes
        case .ranking(let ranking): ranking.eventTypes
        case .derived(let derived): derived.upstream.eventTypes
        }
    }
}

/// One part of a view: something that turns events into rows of a table.
public protocol ViewStep: Sendable {
    /// Returns what the step does, for the view of that name. For kappa's own use.
    func define(view: String) throws(KappaError) -> StepDefinition
}

/// A step of a view that makes one table.
public protocol TableStep: ViewStep {
    /// What the table's rows are read as.
    associatedtype Row: Sendable
    /// The table's name; nil if it is the view's.
    var tableName: String? { get set }
}
