/// An aggregation without its element's type: what the materializer needs to run it.
package struct AggregationDefinition: Sendable {
    package let table: TableSchema
    package let window: Window.Kind?
    /// The time zone of calendar windows.
    let zone: TimeZoneRules
    package let latenessMicroseconds: Int64?
    let late: LateEvents
    /// How long rows are kept after their window has ended.
    let keepMicroseconds: Int64?
    package let keyKinds: [ColumnKind]
    package let functions: [AggregateShape]
    /// The origin of each of the table's columns.
    package let origins: [RowLayout.Origin]
    package let signature: String
    package let eventTypes: [String]
    package let stateTables: [TableSchema]
    /// The table in which a sliding window keeps each element, the last of ``stateTables``; nil for other
    /// windows.
    let elements: RowLayout?
    package let open: @Sendable (any StreamContext) throws(KappaError) -> any AggregationInput

    /// Whether the stream keeps no state from event to event.
    var readsOwnKeyOnly: Bool { stateTables.isEmpty }
    /// Whether the effect of an event depends on the stream time before it.
    var judgesLateness: Bool { latenessMicroseconds != nil }

    init<Element>(
        table name: String, grouping: Grouping<Element>, aggregates: [AggregateColumn<Element>]
    ) throws(KappaError) {
        try grouping.check(ofTable: name)
        try AggregateColumn.check(aggregates, ofTable: name)
        try GroupKey.checkNames(grouping.keys, ofTable: name)
        var columns: [ColumnSchema] = []
        var origins: [RowLayout.Origin] = []
        var zone = TimeZoneRules.utc
        var dateColumn: String?
        if case .calendar(let calendar) = grouping.window?.kind {
            zone = try Self.zone(calendar.zone, ofTable: name)
            dateColumn = calendar.dateColumn
        }
        func addWindow() {
            guard grouping.window != nil else { return }
            columns.append(ColumnSchema("window_start", .timestamp, isKey: true))
            columns.append(ColumnSchema("window_end", .timestamp))
            origins += [.windowStart, .windowEnd]
            guard let dateColumn else { return }
            columns.append(ColumnSchema(dateColumn, .text))
            origins.append(.windowDate(zone))
        }
        if grouping.windowComesFirst { addWindow() }
        for (index, key) in grouping.keys.enumerated() {
            columns.append(ColumnSchema(key.columnName, key.expression.kind, isKey: true))
            origins.append(.key(index))
        }
        if !grouping.windowComesFirst { addWindow() }
        for (index, aggregate) in aggregates.enumerated() {
            let kind = aggregate.function.resultKind(of: aggregate.input.value?.kind)
            columns.append(ColumnSchema(aggregate.name, kind))
            origins.append(.aggregate(index))
        }
        if grouping.window != nil, !grouping.source.hasTime {
            throw KappaError(
                .usage, "table \(name) has windows, but its events have no time",
                at: "view \(name)", because: "windows are cut by event time",
                advice: "Name the event time: Events(\(Element.self).self, at: \\.timestamp)")
        }
        let isSession = if case .session = grouping.window?.kind { true } else { false }
        let isSliding = if case .sliding = grouping.window?.kind { true } else { false }
        let needsOffsets =
            isSession
            && aggregates.contains { $0.function == .first || $0.function == .last }
        let needsState = aggregates.contains { $0.needsState }
        table = TableSchema(
            name: name, columns: columns, hasState: !isSliding && (needsOffsets || needsState))
        self.origins = origins
        window = grouping.window?.kind
        self.zone = zone
        // An event cannot change a row that has been deleted, so without a lateness `keep` serves as one.
        let lateness = grouping.latenessMicroseconds ?? grouping.keepMicroseconds
        // A sliding window includes its end, so it closes, and its row is deleted, a microsecond later.
        latenessMicroseconds = lateness.map { $0 + (isSliding ? 1 : 0) }
        late = grouping.late
        keepMicroseconds = grouping.keepMicroseconds.map { $0 + (isSliding ? 1 : 0) }
        if let keep = grouping.keepMicroseconds, let lateness = grouping.latenessMicroseconds,
            keep < lateness
        {
            throw KappaError(
                .usage, "table \(name) keeps its rows for a shorter time than events may be late",
                at: "view \(name)",
                because: "a late event would change a row that has been deleted",
                advice: "Keep rows for at least as long as the lateness")
        }
        keyKinds = grouping.keys.map(\.expression.kind)
        functions = aggregates.map { AggregateShape($0) }
        eventTypes = grouping.source.eventTypes
        let source = grouping.source
        let keys = grouping.keys.map(\.expression)
        let inputs = aggregates.map(\.input)
        elements =
            isSliding
            ? .elements(keyKinds, functions, hasState: needsState, of: columns, origins) : nil
        stateTables = source.states() + (elements.map { [$0.table] } ?? [])
        open = { context throws(KappaError) in
            try ExpressionInput(reader: source.open(context), keys: keys, inputs: inputs)
        }
        let described = columns.map { "\($0.name):\($0.kind.rawValue)" }.joined(separator: ",")
        let functionNames = aggregates.map(\.signature).joined(separator: ",")
        signature =
            "\(source.signature()) \(grouping.window.map { "\($0.kind)" } ?? "") "
            + "\(latenessMicroseconds.map(String.init) ?? "") \(described) \(functionNames)"
            + (zone.digest.isEmpty ? "" : " zone \(zone.digest)")
            + (late == .dropped ? "" : " late \(late)")
            + (keepMicroseconds.map { " keep \($0)" } ?? "")
    }

    /// How records become the table's rows.
    var layout: RowLayout {
        let isSession = if case .session = window { true } else { false }
        return RowLayout(
            table: table, origins: origins, keyKinds: keyKinds, functions: functions,
            groupsMerge: isSession)
    }

    private static func zone(
        _ name: String?, ofTable table: String
    ) throws(KappaError) -> TimeZoneRules {
        do {
            return try TimeZoneDatabase.rules(of: name)
        } catch {
            var error = error
            error.place = "table \(table), \(error.place ?? "")"
            throw error
        }
    }
}
