import Glibc

/// What a run would do for each view, and what it would cost.
package struct Plan {
    package struct Step: Sendable {
        package var view: String
        /// `build`, `resume`, `keep`, or `orphaned`: live, but not defined in this build.
        package var action: String
        package var version: VersionID?
        package var seconds: Double?
        package var rows: Int?
        package var bytes: Int?
    }

    /// How many events are tried, from the log's beginning.
    private static let sampleEvents = 200_000

    /// The steps for all views of a build, and for those that only the folder knows.
    package static func steps(_ folder: DataFolder, _ views: ViewSet) throws -> [Step] {
        let catalog = try Catalog(folder)
        let end = try LogReader(folder.log).durableEnd()
        var steps: [Step] = []
        let definitions = try views.definitions()
        for definition in definitions {
            guard let (id, action) = try VersionAction.known(definition, catalog) else {
                steps.append(try estimate(definition, folder, end))
                continue
            }
            let reader = try? VersionReader(folder.file(id))
            let position = try reader?.checkpoint().offset ?? .zero
            let sample = position == end ? nil : try estimate(definition, folder, end)
            let share = end == .zero ? 0 : Double(end - position) / Double(end.rawValue)
            steps.append(
                Step(
                    view: definition.name, action: action.rawValue, version: id,
                    seconds: sample?.seconds.map { rounded($0 * share) } ?? 0,
                    rows: try reader?.rowCount(table: 0), bytes: nil))
        }
        for entry in try catalog.entries() where entry.isLive {
            if definitions.contains(where: { $0.name == entry.id.view }) { continue }
            steps.append(Step(view: entry.id.view, action: "orphaned", version: entry.id))
        }
        return steps
    }

    /// Builds a view aside from a sample of the log and scales up what that took.
    ///
    /// Rows are scaled by how many were still new in the second half of the sample: a view of few
    /// keys is full early, one of many grows on.
    private static func estimate(
        _ definition: ViewDefinition, _ folder: DataFolder, _ end: Offset
    ) throws -> Step {
        let sample = min(Int(end.rawValue), sampleEvents)
        var step = Step(view: definition.name, action: "build")
        guard sample > 1 else { return step }
        let scratch = try ScratchFolder(folder)
        let path = scratch.path + "/aside.db"
        let store = try VersionStore(
            at: path, view: definition.name, number: 1, digest: definition.digest,
            tables: definition.tables)
        let plan = ExtractionPlan()
        let version = try VersionMaterializer(
            definition, store: store, plan: plan, budgetBytes: 1 << 29)
        let start = seconds()
        try scan(version, plan, folder, Offset(UInt64(sample / 2)))
        let reader = try VersionReader(path)
        let half = try reader.tables.indices.map { try reader.rowCount(table: $0) }.reduce(0, +)
        try scan(version, plan, folder, Offset(UInt64(sample)))
        let took = seconds() - start
        let all = try reader.tables.indices.map { try reader.rowCount(table: $0) }.reduce(0, +)
        let times = Double(end.rawValue) / Double(sample)
        let rows = Double(all) + Double(all - half) * 2 * (times - 1)
        var status = stat()
        try store.finish()
        let bytes = stat(path, &status) == 0 ? Double(status.st_size) : 0
        step.seconds = rounded(took * times)
        step.rows = Int(rows)
        step.bytes = Int(all == 0 ? bytes : bytes * max(1, rows / Double(all)))
        withExtendedLifetime(scratch) {}
        return step
    }

    private static func scan(
        _ version: VersionMaterializer, _ plan: ExtractionPlan, _ folder: DataFolder, _ end: Offset
    ) throws {
        try Scan(folder.log, [version], plan: plan, options: .init(end: end)).run()
    }

    private static func rounded(_ seconds: Double) -> Double { (seconds * 100).rounded() / 100 }

    private static func seconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
