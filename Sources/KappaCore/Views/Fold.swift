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
    let handler: FoldHandler
}

extension On {
    /// Handles events of type `event`; `key` is the row's key.
    public init<E: Event, Key: KeyValue, Row: ViewRow>(
        _ event: E.Type, key: KeyPath<E, Key> & Sendable,
        _ handle: @escaping @Sendable (E, inout Row?) throws -> Void
    ) where State == Row? {
        self.init(E.self, key: key) { event, row, _ in try handle(event, &row) }
    }

    /// Handles events of type `event` with a look at the view's other tables.
    public init<E: Event, Key: KeyValue, Row: ViewRow>(
        _ event: E.Type, key: KeyPath<E, Key> & Sendable,
        _ handle: @escaping @Sendable (E, inout Row?, Tables) throws -> Void
    ) where State == Row? {
        handler = FoldHandler(eventType: E.eventType ?? "*", row: Row.self, keyKind: Key.columnKind)
        { plan, _ throws(KappaError) in
            try TypedFoldReader<E, Key, Row>(plan: plan, key: key, handle)
        } keyName: {
            Expression(key).propertyName ?? "key"
        }
    }
}

/// A handler without the types of its event and row.
package struct FoldHandler: Sendable {
    package let eventType: String
    let rowType: any ViewRow.Type
    let keyKind: ColumnKind
    let keyName: String
    /// Opens a reader; the second argument is the row that there is before the first event.
    package let open:
        @Sendable (ExtractionPlan, (any ViewRow)?) throws(KappaError) -> any FoldReader

    init(
        eventType: String, row: any ViewRow.Type, keyKind: ColumnKind,
        open:
            @escaping @Sendable (ExtractionPlan, (any ViewRow)?) throws(KappaError) ->
            any FoldReader,
        keyName: () -> String
    ) {
        self.eventType = eventType
        rowType = row
        self.keyKind = keyKind
        self.open = open
        self.keyName = keyName()
    }
}

/// Reads the events of one handler out of batches and applies them.
package protocol FoldReader: AnyObject {
    func load(_ batch: EventBatch)
    func select(_ range: Range<Int>, into selection: inout [Int32])
    /// Decodes a selected event and hands it to the handler with the row under its key.
    func apply(_ row: Int, to table: Int, _ state: any FoldState) throws
}

/// The rows of a fold's tables, as a handler changes them.
package protocol FoldState: AnyObject {
    func update<Row: ViewRow>(
        table: Int, key: FoldKey, as type: Row.Type, _ body: (inout Row?) throws -> Void) throws
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

private final class TypedFoldReader<E: Event, Key: KeyValue, Row: ViewRow>: FoldReader {
    private let reader: EventReader<E>
    private let key: KeyPath<E, Key> & Sendable
    private let handle: @Sendable (E, inout Row?, Tables) throws -> Void

    init(
        plan: ExtractionPlan, key: KeyPath<E, Key> & Sendable,
        _ handle: @escaping @Sendable (E, inout Row?, Tables) throws -> Void
    ) throws(KappaError) {
        reader = try EventReader(plan: plan)
        self.key = key
        self.handle = handle
    }

    func load(_ batch: EventBatch) { reader.load(batch) }
    func select(_ range: Range<Int>, into selection: inout [Int32]) {
        reader.select(range, into: &selection)
    }
    func apply(_ row: Int, to table: Int, _ state: any FoldState) throws {
        let event = try reader.decode(row)
        let key = FoldKey(event[keyPath: key].cell)
        try state.update(table: table, key: key, as: Row.self) { row in
            try handle(event, &row, Tables(state: state))
        }
    }
}
