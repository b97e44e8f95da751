/// A version that is built aside for a moment, up to an offset: the catalog does not know it, and its
/// file goes away with it, also after an error.
///
/// What a killed process leaves behind is removed when the catalog is opened the next time.
package final class ScratchVersion {
    /// Its rows, at the offset that was asked for.
    package let reader: VersionReader
    /// Kept for as long as the rows are read.
    private let scratch: ScratchFolder

    /// Called between batches with the offset that is reached and the one to reach. What it throws ends
    /// the build: so a person can interrupt it.
    package typealias Progress = (_ done: Offset, _ end: Offset) throws -> Void

    /// The number of a scratch version that stands for no version of the catalog.
    package static let noNumber = 0

    /// Builds a definition from offset zero up to `end`.
    /// - Parameter number: Which version it stands for.
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

    /// Brings a copy of a version forward to `end`; the version itself stays as it is.
    /// - Parameter definition: The version's own.
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
                because: "it has come to offset \(copied), past \(end)", advice: "Try again")
        }
        let store = try VersionStore(opening: path)
        try self.init(scratch, path, store, definition, end, folder, progress)
    }

    /// Brings a copy of a file forward to `end`: one that nobody changes, such as a snapshot.
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

    /// Brings a store forward to an offset.
    /// - Parameter id: The version whose own store it is; nil for one aside.
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

/// Tells how far a scratch version is, and ends its scan where somebody wants it to.
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
        // What was given up is not written.
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
