/// Where the row of a key is: its table, and the step that makes it.
struct KeyPlace {
    let schema: TableSchema
    let step: Int
    /// The table among those of the view, and among those of its step.
    let table: Int
    let tableOfStep: Int
    private let kind: StepDefinition.Kind

    /// - Parameter name: The table's; nil for the view's first.
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

    /// What finds candidates by the key's column; nil where the kind of step tells nothing of it.
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

    /// The hashes under which an index of the table has the events of a key: of a window those of each of
    /// its panes, of a session that of the key without the window. Nil where these are very many.
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

    /// Reading the log costs less than to ask for more panes of a window.
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
