import CKappaJSON

/// An additional table of a view, for lookups and enrichment.
///
/// ```swift
/// let customers = Table("customers", key: String.self, row: Customer.self)
/// customers.on(CustomerNamed.self, key: \.customerID) { event, row in
///     row = Customer(name: event.name)
/// }
/// ```
public struct Table<Key: KeyValue, Row: ViewRow>: Sendable {
    @usableFromInline
    let name: String

    /// A table keyed by `Key`. Its name must match `[a-z][a-z0-9_]{0,62}`.
    public init(_ name: String, key: Key.Type, row: Row.Type) { self.name = name }

    /// What an event of one type does to the row under its key. The key's column is named after the
    /// property unless `name` is given; a computed property needs a `name`.
    @inlinable
    public func on<E: Event>(
        _ event: E.Type, key: KeyPath<E, Key> & Sendable, as name: String? = nil,
        _ handle: @escaping @Sendable (E, inout Row?) throws -> Void
    ) -> TableHandler {
        TableHandler(
            table: self.name, handler: On<Row?>(E.self, key: key, as: name, handle).handler)
    }
}

/// A handler of an additional table; see ``Table/on(_:key:as:_:)``.
public struct TableHandler: Sendable {
    let table: String
    let handler: FoldHandler

    @usableFromInline
    init(table: String, handler: FoldHandler) {
        self.table = table
        self.handler = handler
    }
}

/// What an event of one type does to the row under its key: one handler of a fold.
///
/// `State` is `Row?` where handlers insert and delete rows, and `Row` where the view gives the initial row.
public struct On<State>: Sendable {
    @usableFromInline
    let handler: FoldHandler
}

// These initializers are inlinable, so the handlers are compiled in the view's own module. There the types of
// event and row are known, and the code that runs for each event is specialized for them.

extension On {
    /// Handles events of type `event`; `key` is the row's key. Its column is named after the property unless
    /// `name` is given; a computed property needs a `name`.
    @inlinable
    public init<E: Event, Key: KeyValue, Row: ViewRow>(
        _ event: E.Type, key: KeyPath<E, Key> & Sendable, as name: String? = nil,
        _ handle: @escaping @Sendable (E, inout Row?) throws -> Void
    ) where State == Row? {
        handler = FoldHandler(E.self, row: Row.self, key: key, named: name, seesTables: false) {
            _ in
            { event, row, _ in
                let event = event.assumingMemoryBound(to: E.self).move()
                try handle(event, &row.assumingMemoryBound(to: Row?.self).pointee)
            }
        }
    }

    /// Handles events of type `event` with access to the view's other tables. The key's column is named
    /// after the property unless `name` is given; a computed property needs a `name`.
    @inlinable
    public init<E: Event, Key: KeyValue, Row: ViewRow>(
        _ event: E.Type, key: KeyPath<E, Key> & Sendable, as name: String? = nil,
        _ handle: @escaping @Sendable (E, inout Row?, Tables) throws -> Void
    ) where State == Row? {
        handler = FoldHandler(E.self, row: Row.self, key: key, named: name, seesTables: true) { _ in
            { event, row, tables in
                let event = event.assumingMemoryBound(to: E.self).move()
                try handle(event, &row.assumingMemoryBound(to: Row?.self).pointee, tables)
            }
        }
    }
}

extension On where State: ViewRow {
    /// Handles events of type `event`; `key` is the row's key. Its column is named after the property unless
    /// `name` is given; a computed property needs a `name`.
    @inlinable
    public init<E: Event, Key: KeyValue>(
        _ event: E.Type, key: KeyPath<E, Key> & Sendable, as name: String? = nil,
        _ handle: @escaping @Sendable (E, inout State) throws -> Void
    ) {
        handler = FoldHandler(E.self, row: State.self, key: key, named: name, seesTables: false) {
            initial in
            guard let initial = initial as? State else { return nil }
            return { event, row, _ in
                let event = event.assumingMemoryBound(to: E.self).move()
                let optional = row.assumingMemoryBound(to: State?.self)
                if optional.pointee == nil { optional.initialize(to: initial) }
                // An optional stores its value at its own address.
                try handle(event, &row.assumingMemoryBound(to: State.self).pointee)
            }
        }
    }
}

extension Tables {
    /// The row under a key, as of this event. To change it, call ``set(_:_:to:)``.
    public subscript<Key: KeyValue, Row: ViewRow>(table: Table<Key, Row>, key: Key) -> Row? {
        get throws { try state.row(ofTable: table.name, key: FoldKey(key.cell), as: Row.self) }
    }

    /// Inserts, replaces or (with nil) deletes a row of another table. If the handler throws, the change is
    /// discarded.
    public func set<Key: KeyValue, Row: ViewRow>(
        _ table: Table<Key, Row>, _ key: Key, to row: Row?
    ) throws {
        try state.setRow(ofTable: table.name, key: FoldKey(key.cell), to: row)
    }
}

/// The handlers of a fold, as a step of a view.
struct Fold: ViewStep {
    let handlers: FoldHandlers
    let initial: (any ViewRow)?

    func define(view: String) throws(KappaError) -> StepDefinition {
        let placed = handlers.list.map { ($0.table ?? view, $0.handler) }
        return StepDefinition(
            .fold(
                try FoldDefinition(
                    view: view, handlers: placed, initial: initial.map { [view: $0] } ?? [:])))
    }
}

/// Collects the handlers of a fold.
@resultBuilder
public enum FoldBuilder<State> {
    /// A handler of the view's own table.
    public static func buildExpression(_ on: On<State>) -> FoldHandlers {
        FoldHandlers(list: [(nil, on.handler)])
    }
    /// A handler of an additional table.
    public static func buildExpression(_ handler: TableHandler) -> FoldHandlers {
        FoldHandlers(list: [(handler.table, handler.handler)])
    }
    /// All handlers, in the order in which they are written.
    public static func buildBlock(_ handlers: FoldHandlers...) -> FoldHandlers {
        FoldHandlers(list: handlers.flatMap(\.list))
    }
}

/// What ``FoldBuilder`` collects.
public struct FoldHandlers: Sendable {
    var list: [(table: String?, handler: FoldHandler)]
}
