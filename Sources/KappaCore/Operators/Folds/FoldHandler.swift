import CKappaJSON

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

/// What a handler may see of the view's other tables.
///
/// The log's order decides what is there: the same events always find the same rows.
public struct Tables {
    let state: FoldRunner
}
