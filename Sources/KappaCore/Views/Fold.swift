import CKappaJSON

/// A row of a fold: a struct whose properties are the table's columns.
///
/// Strings, numbers, booleans, ``Timestamp``, ``ExactDecimal``, enums with raw values and optionals of
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
    @usableFromInline
    let name: String

    /// A table keyed by `Key`. Its name is a plain one: `[a-z][a-z0-9_]{0,62}`.
    public init(_ name: String, key: Key.Type, row: Row.Type) { self.name = name }

    /// What an event of one type does to the row under its key. The key's column has the name of the
    /// property, or `name`; a computed property needs one.
    @inlinable
    public func on<E: Event>(
        _ event: E.Type, key: KeyPath<E, Key> & Sendable, as name: String? = nil,
        _ handle: @escaping @Sendable (E, inout Row?) throws -> Void
    ) -> TableHandler {
        TableHandler(table: self.name, handler: On<Row?>(E.self, key: key, as: name, handle).handler)
    }
}

/// A handler of a further table; see ``Table/on(_:key:_:)``.
public struct TableHandler: Sendable {
    let table: String
    let handler: FoldHandler

    @usableFromInline
    init(table: String, handler: FoldHandler) {
        self.table = table
        self.handler = handler
    }
}

/// What an event of one type does to the row under its key: a part of a fold.
///
/// `State` is `Row?` where rows come and go, and `Row` where the view says what a row is at first.
public struct On<State>: Sendable {
    @usableFromInline
    let handler: FoldHandler
}

// The handlers are made here, in code that is compiled into the view's own module: there the types of
// event and row are known, and what runs for each event is compiled for them.

extension On {
    /// Handles events of type `event`; `key` is the row's key. Its column has the name of the property, or
    /// `name`; a computed property needs one.
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

    /// Handles events of type `event` with a look at the view's other tables. The key's column has the
    /// name of the property, or `name`; a computed property needs one.
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
    /// Handles events of type `event`; `key` is the row's key. Its column has the name of the property, or
    /// `name`; a computed property needs one.
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
                // An optional that is there has its value at its own address.
                try handle(event, &row.assumingMemoryBound(to: State.self).pointee)
            }
        }
    }
}

/// A handler without the types of its event and row.
@usableFromInline
package struct FoldHandler: Sendable {
    /// Takes an event out of its memory and handles it; then come the address of the row under its key,
    /// a `Row?`, and the view's other tables.
    @usableFromInline
    package typealias Handle =
        @Sendable (UnsafeMutableRawPointer, UnsafeMutableRawPointer, Tables) throws -> Void

    package let eventType: String
    /// See ``Event/timesSignature``.
    let timesSignature: String
    let rowType: any ViewRow.Type
    let keyKind: ColumnKind
    /// The name of the key's column; nil where Swift does not tell that of the property, and no other is
    /// given.
    let keyName: String?
    /// Whether it may look at other rows than the one under its key.
    let seesTables: Bool
    /// Opens a reader; the second argument is the row that there is before the first event.
    package let open:
        @Sendable (ExtractionPlan, (any ViewRow)?) throws(KappaError) -> any FoldReader

    /// - Parameters:
    ///   - name: The name of the key's column where it is not that of the property.
    ///   - handle: What handles events where rows begin as the given one; nil where that one is of the
    ///     wrong type.
    @usableFromInline
    init<E: Event, Key: KeyValue>(
        _ event: E.Type, row: any ViewRow.Type, key: KeyPath<E, Key> & Sendable,
        named name: String?,
        seesTables: Bool, _ handle: @escaping @Sendable ((any ViewRow)?) -> Handle?
    ) {
        eventType = E.eventType ?? "*"
        timesSignature = E.timesSignature
        rowType = row
        keyKind = Key.columnKind
        keyName = name ?? Expression(key).propertyName
        self.seesTables = seesTables
        open = { plan, initial throws(KappaError) in
            guard let handle = handle(initial) else {
                throw KappaError(.bug, "a fold lacks its initial row")
            }
            return try FoldEventReader(
                plan: plan, key: key, seesTables: seesTables, handle)
        }
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
    /// Decodes a selected event and hands it to the handler. `row` is the address of the row under its
    /// key, a `Row?`.
    func apply(_ event: Int, to row: UnsafeMutableRawPointer, _ tables: Tables) throws
    /// Whether the handler may look at other rows than the one under its event's key.
    var seesTables: Bool { get }
    /// Applies the events of a selection to the rows under their keys, where the handler sees no others.
    /// - Parameter failed: Told the place in the selection where the handler failed; the row is as it was.
    func apply(
        _ events: [Int32], _ ids: [UInt32], to rows: FoldStates, _ tables: Tables,
        failed: (Int, any Error) -> Void)
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
        case (.text(let x), .text(let y)): x.hasSameBytes(as: y)
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
