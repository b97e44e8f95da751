/// A view: a name, and how events become keyed rows.
///
/// ```swift
/// public let userTotals = View("user_totals") {
///     Events(UserEvent.self, at: \.timestamp)
///         .grouped(by: \.userID)
///         .aggregate(.count().as("events"), .sum(\.amount).as("revenue"))
/// }
/// ```
/// A view is a function of the log alone: its closures must not use the clock, random numbers, or anything
/// else outside the events.
public struct View<Row: Sendable>: AnyView {
    /// The name that identifies the view; also the name of its first table.
    public let name: String
    /// The source file that defines the view, as `Module/File.swift`; used to look up its digest.
    public let file: String
    /// The steps that turn events into rows; for kappa's own use.
    public let steps: [any ViewStep]
    /// The digest that the author gave; nil if the build plugin makes it.
    public let explicitDigest: String?
    /// The gates that a version must pass before it is promoted.
    public private(set) var gates: [Gate] = []
    /// Whether versions keep an index from keys to the events that touched them.
    public private(set) var isIndexed = false

    /// A declarative view: each step makes one table. Its rows are those of the first one.
    /// - Parameters:
    ///   - name: `[a-z][a-z0-9_]{0,62}`; also the name of its first table.
    ///   - digest: Identifies the definition where the build plugin does not see it (a view made at run
    ///     time). A changed digest makes a new version.
    public init(
        _ name: String, digest: String? = nil, file: String = #fileID,
        @ViewBuilder _ steps: () -> ViewSteps<Row>
    ) {
        self.name = name
        self.file = file
        self.steps = steps().list
        explicitDigest = digest
    }

    /// A fold: its handlers insert, change and delete rows.
    public init(
        _ name: String, row: Row.Type, digest: String? = nil, file: String = #fileID,
        @FoldBuilder<Row?> _ handlers: () -> FoldHandlers
    ) where Row: ViewRow {
        self.name = name
        self.file = file
        steps = [Fold(handlers: handlers(), initial: nil)]
        explicitDigest = digest
    }

    /// A fold whose rows start as `initial` at the first event of their key.
    public init(
        _ name: String, initially initial: Row, digest: String? = nil, file: String = #fileID,
        @FoldBuilder<Row> _ handlers: () -> FoldHandlers
    ) where Row: ViewRow {
        self.name = name
        self.file = file
        steps = [Fold(handlers: handlers(), initial: initial)]
        explicitDigest = digest
    }

    /// Adds gates; a version of the view must pass all of them before it is promoted.
    ///
    /// They are judged while both versions are held at the same position. A version that is refused stays
    /// ready. Gates are not part of the view's digest.
    public func promote(when gates: Gate...) -> View {
        var copy = self
        copy.gates += gates
        return copy
    }

    /// Keeps an index beside the rows of each version, from each key to the offsets of the events that
    /// touched it. `kappa why` then reads those events instead of the whole log.
    ///
    /// The index serves tables whose rows depend only on the events of their own key: aggregations of
    /// events, and folds whose handlers read no other rows. It costs time in a replay and bytes for each
    /// event; see `docs/comparing.md`. It is not part of the view's digest: a version that was started
    /// without an index stays without one, and `kappa rebuild` makes a version that has it.
    public func indexed() -> View {
        var copy = self
        copy.isIndexed = true
        return copy
    }
}

/// A row of a declarative view: cells by column name.
public struct Columns: Equatable, Sendable {
    /// The row's cells with the names of their columns, in the order of the table's columns.
    public var cells: [(name: String, value: Value)]

    /// The cell of a column; nil if there is no such column.
    public subscript(name: String) -> Value? { cells.first { $0.name == name }?.value }

    /// Whether both have the same columns, in the same order, with the same cells.
    public static func == (a: Columns, b: Columns) -> Bool {
        a.cells.elementsEqual(b.cells, by: ==)
    }
}

/// A view of any row type.
public protocol AnyView: Sendable {
    /// The name that identifies the view.
    var name: String { get }
    /// The source file that defines the view, as `Module/File.swift`.
    var file: String { get }
    /// The steps that turn events into rows; for kappa's own use.
    var steps: [any ViewStep] { get }
    /// The digest that the author gave, if any.
    var explicitDigest: String? { get }
    /// The gates that a version must pass before it is promoted.
    var gates: [Gate] { get }
    /// Whether versions keep an index from keys to the events that touched them.
    var isIndexed: Bool { get }
}

extension AnyView {
    /// No gates: a version is promoted once it has caught up.
    public var gates: [Gate] { [] }
    /// No index: `kappa why` reads the whole log.
    public var isIndexed: Bool { false }
}

/// Collects the steps of a declarative view.
@resultBuilder
public enum ViewBuilder {
    /// One step: a table.
    public static func buildExpression<Step: TableStep>(_ step: Step) -> ViewSteps<Step.Row> {
        ViewSteps(list: [step])
    }
    /// All steps, in the order in which they are written.
    public static func buildBlock<Row, each Other>(
        _ first: ViewSteps<Row>, _ others: repeat ViewSteps<each Other>
    ) -> ViewSteps<Row> {
        var list = first.list
        for other in repeat each others { list += other.list }
        return ViewSteps(list: list)
    }
    /// No steps: an error once the view is worked out.
    public static func buildBlock() -> ViewSteps<Columns> { ViewSteps(list: []) }
}

/// What ``ViewBuilder`` collects. `Row` is what the first table's rows are read as.
public struct ViewSteps<Row: Sendable>: Sendable {
    let list: [any ViewStep]
}
