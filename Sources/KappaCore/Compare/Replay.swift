/// How a replay aside is carried out. None of these settings may change a row.
package struct ReplayWay: Equatable, Sendable {
    /// The most events of a batch; nil for the size of the log's blocks.
    package var batchEvents: Int?
    /// How long rows wait for a commit on the way. By default for ever: nobody reads them before the end, and
    /// nobody resumes the replay after a kill.
    package var commitMilliseconds = Int.max
    /// How much memory its rows may take.
    package var memoryBytes = 1 << 29

    package init() {}
}

/// Advances a scratch file of a version to an offset, from zero or from the file's position.
package struct Replay: Equatable, Sendable {
    /// The version that it replays.
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

    /// Replays. An error that `progress` throws ends it.
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
