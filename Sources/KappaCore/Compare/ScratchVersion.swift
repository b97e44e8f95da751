/// A temporary version, built aside up to an offset. The catalog does not have it, and its file is removed
/// with it, also after an error.
///
/// The files that a killed process leaves are removed the next time the catalog is opened.
package final class ScratchVersion {
    /// Its rows, at the requested offset.
    package let reader: VersionReader
    /// Kept for as long as the rows are read.
    private let scratch: ScratchFolder

    /// Called between batches with the offset reached and the one to reach. An error that it throws ends the
    /// build, so that a person can interrupt it.
    package typealias Progress = (_ done: Offset, _ end: Offset) throws -> Void

    /// The number of a scratch version that represents no version of the catalog.
    package static let noNumber = 0

    /// Builds a definition from offset zero up to `end`.
    /// - Parameter number: The number of the version that it represents.
    package convenience init(
        _ definition: ViewDefinition, number: Int = noNumber, to end: Offset,
        in folder: DataFolder, progress: @escaping Progress = { _, _ in }
    ) throws {
        let scratch = try ScratchFolder(folder)
        let path = scratch.path + "/aside.db"
        let store = try VersionStore(
            at: path, view: definition.name, number: number, digest: definition.digest,
            tables: definition.tablesWithoutIndex)
        try self.init(scratch, path, store, definition, end, folder, progress)
    }

    /// Advances a copy of a version to `end`; the version itself stays as it is.
    /// - Parameter definition: The version's own definition.
    package convenience init(
        copyOf version: VersionReader, _ definition: ViewDefinition, to end: Offset,
        in folder: DataFolder, progress: @escaping Progress = { _, _ in }
    ) throws {
        let scratch = try ScratchFolder(folder)
        let path = try scratch.copy(version)
        let copied = try VersionReader(path).checkpoint().offset
        guard copied <= end else {
            throw KappaError(
                .heldElsewhere, "\(version.view)@\(version.number) moves too fast to be copied",
                because: "it has reached offset \(copied), past \(end)", advice: "Try again")
        }
        let store = try VersionStore(opening: path)
        try self.init(scratch, path, store, definition, end, folder, progress)
    }

    /// Advances a copy of a file that nobody changes, such as a snapshot, to `end`.
    convenience init(
        copyOfFile path: String, _ definition: ViewDefinition, to end: Offset,
        in folder: DataFolder, progress: @escaping Progress = { _, _ in }
    ) throws {
        let scratch = try ScratchFolder(folder)
        let copy = scratch.path + "/copy.db"
        try FileCopy.copy(path, to: copy)
        let store = try VersionStore(opening: copy)
        try self.init(scratch, copy, store, definition, end, folder, progress)
    }

    private init(
        _ scratch: ScratchFolder, _ path: String, _ store: VersionStore,
        _ definition: ViewDefinition, _ end: Offset, _ folder: DataFolder,
        _ progress: @escaping Progress
    ) throws {
        self.scratch = scratch
        try Self.advance(store, definition, to: end, in: folder, progress)
        reader = try VersionReader(path)
    }

    /// Advances a store to an offset.
    /// - Parameter id: The version that the store belongs to; nil for a scratch store.
    static func advance(
        _ store: VersionStore, _ definition: ViewDefinition, to end: Offset,
        in folder: DataFolder, of id: VersionID? = nil, way: ReplayWay = ReplayWay(),
        _ progress: @escaping Progress
    ) throws {
        try folder.requireLog(reaches: end)
        let crash = AsideCrash(of: definition, as: id, in: folder)
        try crash.check()
        let plan = ExtractionPlan()
        let version = try VersionMaterializer(
            definition, store: store, plan: plan, budgetBytes: way.memoryBytes,
            crashMark: crash.mark)
        try progress(version.offset, end)
        func scan(to end: Offset, batchEvents: Int?) throws {
            var options = Scan.Options(end: end, commitMilliseconds: way.commitMilliseconds)
            options.batchEvents = batchEvents
            let watch = ScratchWatch(end, progress)
            let scan = try Scan(
                folder.log, [version], plan: plan, options: options, observer: watch)
            watch.stop = scan.stopper
            try scan.run()
            if let failure = watch.failure { throw failure }
        }
        for stretch in crash.stretches(from: version.offset, to: end) {
            crash.mark.isAlone = stretch.isSuspect
            try scan(to: stretch.end, batchEvents: stretch.batchEvents ?? way.batchEvents)
        }
        guard version.offset == end, !version.isDirty else {
            throw KappaError(
                .bug, "a version built aside did not reach its end", at: definition.name,
                because: "it is at offset \(version.offset) of \(end)")
        }
    }
}

/// Reports how far a scratch version is, and ends its scan if the progress function throws.
private final class ScratchWatch: Scan.Observer {
    var stop: @Sendable () -> Void = {}
    private(set) var failure: (any Error)?
    private let end: Offset
    private let progress: ScratchVersion.Progress

    init(_ end: Offset, _ progress: @escaping ScratchVersion.Progress) {
        self.end = end
        self.progress = progress
    }

    func commit(_ version: VersionMaterializer, _ perform: () throws -> Void) throws -> Bool {
        // An interrupted replay commits nothing.
        guard failure == nil else { return false }
        try perform()
        return true
    }

    func didApply(to offset: Offset) {
        guard failure == nil else { return }
        do { try progress(offset, end) } catch {
            failure = error
            stop()
        }
    }

    func didCatchUp(at offset: Offset) {}

    func didFail(_ version: VersionMaterializer, _ error: any Error) { failure = failure ?? error }
}
