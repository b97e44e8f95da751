import CKappaJSON

/// A handler without the types of its event and row.
@usableFromInline
package struct FoldHandler: Sendable {
    /// Moves an event out of its memory and handles it. The other arguments are the address of the row of its
    /// key, a `Row?`, and the view's other tables.
    @usableFromInline
    package typealias Handle =
        @Sendable (UnsafeMutableRawPointer, UnsafeMutableRawPointer, Tables) throws -> Void

    package let eventType: String
    /// See ``Event/timesSignature``.
    let timesSignature: String
    let rowType: any ViewRow.Type
    let keyKind: ColumnKind
    /// The name of the key's column; nil if the property's name is unknown and the author gave no other.
    let keyName: String?
    /// Whether it may read rows other than the one of its key.
    let seesTables: Bool
    /// Opens a reader; the second argument is the row before its first event.
    package let open:
        @Sendable (ExtractionPlan, (any ViewRow)?) throws(KappaError) -> any FoldReader

    /// - Parameters:
    ///   - name: The name of the key's column; nil if it is the property's.
    ///   - handle: Returns the closure that handles events when rows begin as the given one; nil if that row
    ///     has the wrong type.
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
    /// The keys of selected events, in a column with a row for each event of the batch. Removes the events
    /// that cannot be decoded from the selection, and reports them to `dead`.
    func keys(
        of selection: inout [Int32], _ batch: EventBatch, dead: (Int32, String) -> Void
    ) -> kj_column
    /// Decodes a selected event and passes it to the handler. `row` is the address of the row of its key, a
    /// `Row?`.
    func apply(_ event: Int, to row: UnsafeMutableRawPointer, _ tables: Tables) throws
    /// Whether the handler may read rows other than the one of its event's key.
    var seesTables: Bool { get }
    /// Applies the events of a selection to the rows of their keys, if the handler sees no others.
    /// - Parameter failed: Called with the index in the selection at which the handler failed; the row is
    ///   unchanged.
    func apply(
        _ events: [Int32], _ ids: [UInt32], to rows: FoldStates, _ tables: Tables,
        failed: (Int, any Error) -> Void)
}

/// The key of a fold's row. Texts are equal if their bytes are, as in the store.
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

/// A handler's access to the view's other tables.
///
/// Handlers run in log order, so the same events always see the same rows.
public struct Tables {
    let state: FoldRunner
}
