/// Locates the row of a key: its table, and the step that makes it.
struct KeyPlace {
    let schema: TableSchema
    let step: Int
    /// The index of the table in the view, and in its step.
    let table: Int
    let tableOfStep: Int
    private let kind: StepDefinition.Kind

    /// - Parameter name: The table's name; nil for the view's first table.
    init(of name: String?, in definition: ViewDefinition) throws(KappaError) {
        var table = 0
        for (index, step) in definition.steps.enumerated() {
            for (own, schema) in step.tables.enumerated() {
                if schema.name == name ?? schema.name {
                    self.schema = schema
                    self.step = index
                    self.table = table
                    tableOfStep = own
                    kind = step.kind
                    return
                }
                table += 1
            }
        }
        let tables = definition.tables.filter { !$0.isInternal }.map(\.name)
        throw KappaError(
            .notFound, "view \(definition.name) has no table \(name ?? "")",
            because: "its tables are " + tables.joined(separator: ", "),
            advice: "Name one of them with --table")
    }

    var isSession: Bool {
        if case .aggregation(let aggregation) = kind, case .session? = aggregation.window {
            return true
        }
        return false
    }

    /// The finder of candidates by the key's columns; nil if the kind of step allows none.
    func finder(
        _ key: [KeyPart], _ plan: ExtractionPlan
    ) throws(KappaError) -> (any KeyFinder)? {
        switch kind {
        case .aggregation(let aggregation):
            return try GroupFinder(aggregation, key: key, plan: plan)
        case .fold(let fold):
            return try HandlerFinder(fold, table: tableOfStep, key: key, plan: plan)
        case .rows, .joinedRows, .ranking, .derived: return nil
        }
    }

    // MARK: In an index

    /// Whether an index of the table keeps the stream time before each event.
    var indexKeepsTimes: Bool {
        if case .aggregation(let aggregation) = kind { aggregation.judgesLateness } else { false }
    }

    /// The hashes under which an index of the table has the events of a key. A window has a hash for each of
    /// its panes; a session has that of the key without the window. Nil if there are very many.
    func hashes(_ key: [KeyPart]) -> [UInt32]? {
        guard case .aggregation(let aggregation) = kind else { return [Self.hash(key)] }
        let start = aggregation.table.keyColumns.firstIndex {
            if case .windowStart = aggregation.origins[$0] { true } else { false }
        }
        guard let start else { return [Self.hash(key)] }
        var key = key
        guard let cut = WindowCut(aggregation) else {
            key.remove(at: start)
            return [Self.hash(key)]
        }
        guard case .integer(var time) = key[start] else { return [] }
        let end = cut.end(ofStart: time)
        var hashes: [UInt32] = []
        while time < end {
            if hashes.count == Self.mostPanes { return nil }
            let pane = cut.pane(at: time)
            key[start] = .integer(pane.start)
            hashes.append(Self.hash(key))
            time = max(pane.end, time + 1)
        }
        return hashes
    }

    /// For more panes than this, reading the log costs less.
    private static let mostPanes = 4_096

    private static func hash(_ key: [KeyPart]) -> UInt32 {
        var hash: UInt32 = 0
        for part in key {
            switch part {
            case .integer(let integer): hash = GroupTable.hash(hash, integer: integer)
            case .text(let bytes):
                bytes.withUnsafeBytes { hash = GroupTable.hash(hash, text: $0) }
            }
        }
        return hash
    }
}
