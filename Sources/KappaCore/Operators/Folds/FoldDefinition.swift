/// A fold without the types of its events: what the materializer needs to run it.
package struct FoldDefinition: Sendable {
    package let tables: [FoldTable]
    package let handlers: [(handlerTable: Int, handler: FoldHandler)]
    let signature: String
    /// Whether no handler reads rows other than the one of its key.
    var readsOwnKeyOnly: Bool { !handlers.contains(where: \.handler.seesTables) }

    init(
        view: String, handlers: [(table: String, handler: FoldHandler)],
        initial: [String: any ViewRow]
    ) throws(KappaError) {
        var tables: [FoldTable] = []
        var placed: [(Int, FoldHandler)] = []
        // The view's own table comes first, no matter which handler is written first.
        for (name, handler) in handlers.sorted(by: { $0.table == view && $1.table != view }) {
            if let known = tables.first(where: { $0.schema.name == name }) {
                guard known.keyKind == handler.keyKind, known.rowType == handler.rowType else {
                    throw KappaError(
                        .usage, "the handlers of table \(name) do not agree", at: "view \(view)",
                        because: "their rows or the kinds of their keys differ",
                        advice: "Give each table one type of row and one type of key")
                }
            } else {
                tables.append(
                    try FoldTable(name: name, handler: handler, initial: initial[name]))
            }
        }
        for (name, handler) in handlers {
            guard let index = tables.firstIndex(where: { $0.schema.name == name }) else { continue }
            placed.append((index, handler))
        }
        guard !tables.isEmpty else {
            throw KappaError(
                .usage, "view \(view) has no handlers", at: "view \(view)",
                because: "a fold's handlers make its rows",
                advice: "Add one: On(SomeEvent.self, key: \\.id) { event, row in … }")
        }
        // Opens each handler once, so that a type that cannot be read fails now, before any event is read.
        for (table, handler) in placed {
            _ = try handler.open(ExtractionPlan(), tables[table].initial)
        }
        self.tables = tables
        self.handlers = placed
        signature =
            tables.map(\.signature).joined(separator: ";")
            + handlers.map(\.handler.timesSignature).joined()
    }
}

/// One table of a fold.
package struct FoldTable: Sendable {
    package let schema: TableSchema
    package let keyKind: ColumnKind
    package let rowType: any ViewRow.Type
    package let initial: (any ViewRow)?
    /// The column that holds each field of the row, in the order of the row's shape; the key's
    /// column may be one of them.
    package let rowColumns: [Int]
    package let rowFields: [EventField]
    /// Fields that are stored with the row but not shown as columns.
    package let hiddenFields: [EventField]
    /// The column of the key.
    package let keyColumn: Int

    init(name: String, handler: FoldHandler, initial: (any ViewRow)?) throws(KappaError) {
        try Unordered.check(row: handler.rowType)
        let shape = try EventShape(of: handler.rowType)
        var columns: [ColumnSchema] = []
        var rowColumns: [Int] = []
        var fields: [EventField] = []
        var hidden: [EventField] = []
        guard let keyName = handler.keyName else {
            throw KappaError(
                .usage, "the key of table \(name) has no name",
                at: "table \(name), events \(handler.eventType)",
                because: "it is a computed property, and Swift does not tell its name",
                advice: "Name its column: key: \\.property, as: \"name\"")
        }
        if !shape.fields.contains(where: { $0.columnName == keyName && $0.path.count == 1 }) {
            columns.append(ColumnSchema(keyName, handler.keyKind, isKey: true))
        }
        for field in shape.outerFields {
            if field.isHidden {
                hidden.append(field)
                continue
            }
            fields.append(field)
            rowColumns.append(columns.count)
            columns.append(
                ColumnSchema(
                    field.columnName, field.kind, isKey: field.columnName == keyName))
        }
        schema = TableSchema(name: name, columns: columns, hasState: !hidden.isEmpty)
        keyColumn = columns.firstIndex(where: \.isKey) ?? 0
        keyKind = handler.keyKind
        rowType = handler.rowType
        self.initial = initial
        self.rowColumns = rowColumns
        rowFields = fields
        hiddenFields = hidden
        guard columns[keyColumn].kind == handler.keyKind else {
            throw KappaError(
                .usage, "table \(name) has two kinds of key", at: "column \(keyName)",
                because: "the events' key and the row's property of that name differ in type",
                advice: "Give both the same type")
        }
    }

    var signature: String {
        let shown = schema.columns.map { "\($0.name):\($0.kind.rawValue):\($0.isKey)" }
        return (shown + hiddenFields.map(\.columnName)).joined(separator: ",")
    }
}
