/// How a replay aside goes about its work: none of this may show in a row.
package struct ReplayWay: Equatable, Sendable {
    /// The most events of a batch; nil for what the log's blocks hold.
    package var batchEvents: Int?
    /// How long rows wait for a commit on the way. For ever, as a rule: nobody reads them before the
    /// end, and nobody goes on with them after a kill.
    package var commitMilliseconds = Int.max
    /// How much memory its rows may take.
    package var memoryBytes = 1 << 29

    package init() {}
}

/// Brings a version's file aside up to an offset: from zero, or from where the file stands.
package struct Replay: Equatable, Sendable {
    /// Which version it stands for.
    package var id: VersionID
    package var file: String
    package var end: Offset
    package var way: ReplayWay

    package init(_ id: VersionID, file: String, end: Offset, way: ReplayWay = ReplayWay()) {
        self.id = id
        self.file = file
        self.end = end
        self.way = way
    }

    /// Replays; what `progress` throws ends it.
    package func run(
        _ definition: ViewDefinition, in folder: DataFolder,
        progress: @escaping ScratchVersion.Progress = { _, _ in }
    ) throws {
        let store = try VersionStore(
            at: file, view: id.view, number: id.number.rawValue, digest: definition.digest,
            tables: definition.tablesWithoutIndex)
        try ScratchVersion.advance(
            store, definition, to: end, in: folder, way: way, progress)
    }
}
