/// Which rows of a table of windows are final: those whose window has closed, so that no event can
/// change them any more.
package struct FinalRows: Sendable {
    /// The table's index among those of its view.
    package let table: Int
    private let step: Int
    private let lateness: Int64

    /// - Parameters:
    ///   - view: The definition that the version was built from.
    ///   - table: The table; nil for the view's first.
    /// - Throws: `.usage` if the table's rows never become final, with the reason.
    package init(_ view: ViewDefinition, table: String?) throws(KappaError) {
        let name = table ?? view.tables[0].name
        var index = 0
        for (step, definition) in view.steps.enumerated() {
            let tables = definition.tables.map(\.name)
            if let place = tables.firstIndex(of: name) {
                self.table = index + place
                self.step = step
                lateness = try Self.lateness(definition, view, name)
                return
            }
            index += tables.count
        }
        throw KappaError(
            .notFound, "view \(view.name) has no table \(name)",
            because: "its tables are "
                + view.tables.filter { !$0.isInternal }.map(\.name).joined(separator: ", "))
    }

    /// The tables of a view whose rows become final.
    /// - Throws: `.usage` if there are none, with the reason for the first table.
    package static func all(_ view: ViewDefinition) throws(KappaError) -> [FinalRows] {
        var all: [FinalRows] = []
        for table in view.tables where !table.isInternal {
            if let rows = try? FinalRows(view, table: table.name) { all.append(rows) }
        }
        return all.isEmpty ? [try FinalRows(view, table: nil)] : all
    }

    private static func lateness(
        _ step: StepDefinition, _ view: ViewDefinition, _ table: String
    ) throws(KappaError) -> Int64 {
        var reason = "it has no windows: an event may change any of its rows at any time"
        if case .aggregation(let aggregation) = step.kind, aggregation.window != nil {
            if let lateness = aggregation.latenessMicroseconds { return lateness }
            reason = "its windows have no lateness, so they take in events however late they come"
        }
        throw KappaError(
            .usage, "no row of table \(table) is ever final", at: "view \(view.name)",
            because: reason,
            advice: "Leave --final-only out, or give the view windows with a lateness: "
                + ".window(.tumbling(.hours(1)), lateness: .minutes(5))")
    }

    /// The definition of the version that `reader` has open.
    /// - Throws: `.usage` if this build defines the view differently, since its rule may differ too.
    package static func definition(
        of reader: VersionReader, _ id: VersionID, among views: [ViewDefinition]
    ) throws(KappaError) -> ViewDefinition {
        let view = views.first { $0.name == id.view }
        if let view, view.digest == reader.digest { return view }
        throw KappaError(
            .usage, "cannot tell which rows of \(id) are final", at: "\(id)",
            because: view == nil
                ? "this build has no view of that name, and only the definition has the lateness"
                : "this build defines the view differently, perhaps with another lateness",
            advice: "Use the program that built the version, or rebuild the view")
    }

    /// The windows of a table whose rows are final in one version, for ``RowQuery/ended``.
    /// - Throws: `.usage` if its rows never become final, or if this build defines the view differently.
    package static func ended(
        _ reader: VersionReader, _ id: VersionID, _ table: String?, among views: [ViewDefinition]
    ) throws -> (after: Int64?, until: Int64) {
        let rows = try FinalRows(try definition(of: reader, id, among: views), table: table)
        return (nil, try rows.until(reader.checkpoint()) ?? .min)
    }

    /// Rows whose window has ended by this time are final; nil while no row is.
    package func until(_ checkpoint: Checkpoint) -> Int64? {
        let passed = checkpoint.streamTimes.least
        guard step < passed.count, passed[step] > .min else { return nil }
        let (until, overflow) = passed[step].subtractingReportingOverflow(lateness)
        return overflow ? nil : until
    }
}
