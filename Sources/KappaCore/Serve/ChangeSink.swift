/// A place where a view's rows are published: a table of another database, a topic, a folder of files.
///
/// It holds the rows of one view, and a position that says of which change they are, and moves both in one
/// transaction. So whatever dies when, its rows are those of its position, and publishing goes on from there.
/// Its readers see whole transactions only.
///
/// One thread uses a sink at a time; its calls may block. `ChangeSinkConformance` of KappaTesting tests whether a
/// sink keeps what these methods promise. ``Kappa/publish(_:to:untilCaughtUp:observer:)`` calls them.
///
/// After an error the sink is closed. If it may pass, by its code, a new one is opened later and asked for its
/// position: `.unreachable`, `.inputOutput`, `.heldElsewhere`, `.cannotCreate`, `.notPermitted`, `.notFound`. Until
/// the place was opened once, only `.unreachable` and `.heldElsewhere` are tried again, as the others mean a
/// wrong place then. Other codes end the publication.
public protocol ChangeSink: AnyObject {
    /// Of which change its rows are, as last committed; nil if nothing ever was.
    func position() throws(KappaError) -> SinkPosition?

    /// Begins a transaction.
    /// - Parameter tables: If not nil, the transaction begins without rows, in tables of these columns. What the
    ///   sink had goes away when the transaction is committed, and no sooner. If nil, tables and rows stay.
    /// - Throws: ``KappaError``; `.heldElsewhere` if another process has moved the position meanwhile.
    func begin(anew tables: [TableSchema]?) throws(KappaError)

    /// Applies changes in the transaction, in their order. There may be any number of calls in a transaction,
    /// and several changes of one row.
    func apply(_ changes: [SinkChange]) throws(KappaError)

    /// Commits the transaction and its position, both or neither. When it returns, they are durable.
    func commit(_ position: SinkPosition) throws(KappaError)

    /// Ends the transaction without a trace, also after an error, and if the process dies. If there is none, it does
    /// nothing.
    func rollBack()

    /// Releases what it has open. Nothing is called after it.
    func close()
}

/// Of which change a sink's rows are.
public struct SinkPosition: Equatable, Sendable {
    /// The view's name.
    public var view: String
    /// The last change that the rows include.
    public var change: ChangeID
    /// The offset after the last event of the commit that made that change.
    public var offset: Offset
    /// The digest of the version's definition.
    public var digest: String

    /// A position.
    public init(view: String, change: ChangeID, offset: Offset, digest: String) {
        self.view = view
        self.change = change
        self.offset = offset
        self.digest = digest
    }
}

/// What a sink does to one row.
public struct SinkChange: Equatable, Sendable {
    /// The name of the table.
    public var table: String
    /// The cells of the key columns, in their order.
    public var key: [Value]
    /// The cells of all columns: written in the place of the row of that key, if there is one. Nil if that row is
    /// deleted; there may be none.
    public var row: [Value]?

    /// A change of one row.
    public init(table: String, key: [Value], row: [Value]?) {
        self.table = table
        self.key = key
        self.row = row
    }
}

/// A connector whose URLs can be published to.
public protocol SinkConnector: Connector {
    /// Opens the sink of one view.
    /// - Parameter url: The whole URL, with its scheme.
    /// - Throws: ``KappaError`` with `.usage` for a URL that it cannot understand.
    func sink(_ url: String, of view: String) throws(KappaError) -> any ChangeSink
}

extension SinkChange {
    /// A change of a row, with its cells.
    init(_ change: Change, in tables: [TableSchema]) throws {
        guard let table = tables.first(where: { $0.name == change.table }) else {
            throw KappaError(.bug, "a change is of an unknown table", at: change.table)
        }
        let key = try table.key(JSONValue(parsing: change.key))
        let row = try change.after.map { try table.cells(JSONValue(parsing: $0)) }
        self.init(table: table.name, key: key, row: row)
    }
}

extension TableSchema {
    /// The cells of a row that is written as a JSON object.
    fileprivate func cells(_ json: JSONValue) throws(KappaError) -> [Value] {
        guard case .object(let members) = json, members.count == columns.count else {
            throw KappaError(.bug, "a row has other columns than its table", at: name)
        }
        var cells: [Value] = []
        for (member, column) in zip(members, columns) {
            guard let cell = Value(stored: member.value, column.kind) else {
                throw KappaError(
                    .bug, "a row's \(column.name) is no \(column.kind.rawValue)", at: name,
                    because: member.value.json)
            }
            cells.append(cell)
        }
        return cells
    }
}

extension Value {
    /// The cell of a row that the store has written as JSON.
    fileprivate init?(stored json: JSONValue, _ kind: ColumnKind) {
        switch (json, kind) {
        case (.null, _): self = .null
        case (_, .json): self = .json(json.json)
        // A number that is not finite has its name.
        case (.string(let name), .double):
            guard let double = Double(name) else { return nil }
            self = .double(double)
        default: self.init(json, kind: kind)
        }
    }
}
