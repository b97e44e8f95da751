import CKappaJSON

/// A row of a fold: a struct whose properties are the table's columns.
///
/// Strings, numbers, booleans, ``Timestamp``, ``Decimal``, enums with raw values and optionals of
/// these are columns of their kind; anything else is kept as JSON.
public typealias ViewRow = Codable & Equatable & Sendable

/// What a handler may see of the view's other tables.
///
/// The log's order decides what is there: the same events always find the same rows.
public struct Tables {
    let state: any FoldState

    /// The row under a key, as of this event. Setting it inserts, replaces or (nil) deletes it;
    /// nothing is kept if the handler throws.
    public subscript<Key: KeyValue, Row: ViewRow>(table: Table<Key, Row>, key: Key) -> Row? {
        get throws { try state.row(ofTable: table.name, key: FoldKey(key.cell), as: Row.self) }
    }

    /// Inserts, replaces or (nil) deletes a row of another table. Nothing is kept if the handler
    /// throws.
    public func set<Key: KeyValue, Row: ViewRow>(
        _ table: Table<Key, Row>, _ key: Key, to row: Row?
    ) throws {
        try state.setRow(ofTable: table.name, key: FoldKey(key.cell), to: row)
    }
}

/// A further table of a view, for look-ups and enrichment.
///
/// ```swift
/// let customers = Table("customers", key: String.self, row: Customer.self)
/// customers.on(CustomerNamed.self, key: \.customerID) { event, row in
///     row = Customer(name: event.name)
/// }
/// ```
public struct Table<Key: KeyValue, Row: ViewRow>: Sendable {
    let name: String

    /// A table keyed by `Key`. Its name is a plain one: `[a-z][a-z0-9_]{0,62}`.
    public init(_ name: String, key: Key.Type, row: Row.Type) { self.name = name }

    /// What an event of one type does to the row under its key.
    public func on<E: Event>(
        _ event: E.Type, key: KeyPath<E, Key> & Sendable,
        _ handle: @escaping @Sendable (E, inout Row?) throws -> Void
    ) -> TableHandler {
        TableHandler(table: name, handler: On<Row?>(E.self, key: key, handle).handler)
    }
}

/// A handler of a further table; see ``Table/on(_:key:_:)``.
public struct TableHandler: Sendable {
    let table: String
    let handler: FoldHandler
}

/// What an event of one type does to the row under its key: a part of a fold.
///
/// `State` is `Row?` where rows come and go, and `Row` where the view says what a row is at first.
public struct On<State>: Sendable {
    var handler: FoldHandler
}

extension On {
    /// Handles events of type `event`; `key` is the row's key.
    public init<E: Event, Key: KeyValue, Row: ViewRow>(
        _ event: E.Type, key: KeyPath<E, Key> & Sendable,
        _ handle: @escaping @Sendable (E, inout Row?) throws -> Void
    ) where State == Row? {
        self.init(E.self, key: key) { event, row, _ in try handle(event, &row) }
        handler.seesTables = false
    }

    /// Handles events of type `event` with a look at the view's other tables.
    public init<E: Event, Key: KeyValue, Row: ViewRow>(
        _ event: E.Type, key: KeyPath<E, Key> & Sendable,
        _ handle: @escaping @Sendable (E, inout Row?, Tables) throws -> Void
    ) where State == Row? {
        handler = FoldHandler(eventType: E.eventType ?? "*", row: Row.self, key: key) {
            plan, _ throws(KappaError) in
            try OptionalRowReader(plan: plan, key: key, handle)
        }
    }
}

extension On where State: ViewRow {
    /// Handles events of type `event`; `key` is the row's key.
    public init<E: Event, Key: KeyValue>(
        _ event: E.Type, key: KeyPath<E, Key> & Sendable,
        _ handle: @escaping @Sendable (E, inout State) throws -> Void
    ) {
        handler = FoldHandler(eventType: E.eventType ?? "*", row: State.self, key: key) {
            plan, initial throws(KappaError) in
            guard let initial = initial as? State else {
                throw KappaError(.bug, "a fold lacks its initial row")
            }
            return try BeginningRowReader(plan: plan, key: key, initial: initial, handle)
        }
        handler.seesTables = false
    }
}

/// A handler without the types of its event and row.
package struct FoldHandler: Sendable {
    package let eventType: String
    let rowType: any ViewRow.Type
    let keyKind: ColumnKind
    let keyName: String
    /// Whether it may look at other rows than the one under its key.
    var seesTables = true
    /// Opens a reader; the second argument is the row that there is before the first event.
    package let open:
        @Sendable (ExtractionPlan, (any ViewRow)?) throws(KappaError) -> any FoldReader

    init<E: Event, Key: KeyValue>(
        eventType: String, row: any ViewRow.Type, key: KeyPath<E, Key> & Sendable,
        open:
            @escaping @Sendable (ExtractionPlan, (any ViewRow)?) throws(KappaError) ->
            any FoldReader
    ) {
        self.eventType = eventType
        rowType = row
        keyKind = Key.columnKind
        keyName = Expression(key).propertyName ?? "key"
        self.open = open
    }
}

/// Reads the events of one handler out of batches and applies them.
package protocol FoldReader: AnyObject {
    func load(_ batch: EventBatch)
    func select(_ range: Range<Int>, into selection: inout [Int32])
    /// The keys of selected events, in a column with a place for each event of the batch. Takes the
    /// events that cannot be decoded out of the selection, and tells of them.
    func keys(
        of selection: inout [Int32], _ batch: EventBatch, dead: (Int32, String) -> Void
    ) -> kj_column
    /// Decodes a selected event and hands it to the handler. `state` is the address of the row under
    /// its key, a `Row?`.
    func apply(_ event: Int, to state: UnsafeMutableRawPointer, _ tables: Tables) throws
}

/// The rows of a fold's tables, as a handler looks at them and changes them.
package protocol FoldState: AnyObject {
    func row<Row: ViewRow>(ofTable name: String, key: FoldKey, as type: Row.Type) throws -> Row?
    func setRow<Row: ViewRow>(ofTable name: String, key: FoldKey, to row: Row?) throws
}

/// The key of a fold's row. Texts are equal where their bytes are, as in the store.
package enum FoldKey: Hashable, Sendable {
    case integer(Int64)
    case text(String)

    package static func == (a: FoldKey, b: FoldKey) -> Bool {
        switch (a, b) {
        case (.integer(let x), .integer(let y)): x == y
        case (.text(let x), .text(let y)): x.utf8.elementsEqual(y.utf8)
        default: false
        }
    }

    package func hash(into hasher: inout Hasher) {
        switch self {
        case .integer(let integer): hasher.combine(integer)
        case .text(let text): text.hashBytes(into: &hasher)
        }
    }

    init(_ cell: Value) {
        switch cell {
        case .text(let text), .json(let text): self = .text(text)
        case .integer(let integer): self = .integer(integer)
        case .timestamp(let time): self = .integer(time.microseconds)
        case .bool(let bool): self = .integer(bool ? 1 : 0)
        case .null, .double, .decimal:
            preconditionFailure("KeyValue has only types that are text or integers")
        }
    }
}
