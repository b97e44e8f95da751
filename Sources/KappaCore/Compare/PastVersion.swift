/// A version's rows as they were at an offset.
///
/// If the state at that offset is stored, it is read. Otherwise it is replayed aside, from the nearest
/// earlier stored state (a snapshot, or the version itself if it has not reached the offset), or from zero.
package final class PastVersion {
    package let reader: VersionReader
    /// How the rows reached the offset.
    package let way: Alignment.Origin.Way
    /// The offset from which events were replayed; nil if none had to be.
    package var replayedFrom: Offset? {
        switch way {
        case .asItStands, .snapshot: nil
        case .broughtForward(let from), .snapshotBroughtForward(let from): from
        case .builtAside: .zero
        }
    }
    /// Kept for as long as the rows are read.
    private let scratch: ScratchVersion?

    /// - Throws: `.notFound` if the offset is past the end of the log, or if a replay is needed and this
    ///   build does not have the definition.
    package convenience init(
        _ entry: VersionEntry, at offset: Offset, _ catalog: Catalog, _ views: ViewSet,
        progress: @escaping ScratchVersion.Progress = { _, _ in }
    ) throws {
        try self.init(
            entry.id, entry.digest, at: offset, catalog,
            definition: { try views.definition(of: entry) }, progress)
    }

    /// The rows of a definition, whether or not it has a version.
    convenience init(
        _ definition: ViewDefinition, at offset: Offset, _ catalog: Catalog,
        progress: @escaping ScratchVersion.Progress
    ) throws {
        let same = try catalog.entries(of: definition.name).filter {
            $0.digest == definition.digest
        }
        let id = (same.first(where: \.isLive) ?? same.last)?.id
        try self.init(
            id ?? VersionID(definition.name, VersionNumber(ScratchVersion.noNumber)),
            definition.digest, at: offset, catalog, definition: { definition }, progress)
    }

    /// The rows of a version whose definition has the given digest.
    /// - Parameter definition: Called if a replay is needed.
    init(
        _ id: VersionID, _ digest: String, at offset: Offset, _ catalog: Catalog,
        definition: () throws -> ViewDefinition, _ progress: @escaping ScratchVersion.Progress
    ) throws {
        let folder = catalog.folder
        try folder.requireLog(reaches: offset)
        if let stored = try Self.stored(id, in: folder, at: offset) {
            reader = stored
            scratch = nil
            way = .asItStands
            return
        }
        let snapshot = try Self.nearest(id.view, digest, upTo: offset, catalog)
        if let snapshot, snapshot.offset == offset, let kept = try? VersionReader(snapshot.path) {
            reader = kept
            scratch = nil
            way = .snapshot
            return
        }
        let definition = try definition()
        let made = try Self.replay(id, definition, snapshot, to: offset, in: folder, progress)
        scratch = made.scratch
        reader = made.scratch.reader
        way = made.way
    }

    /// A snapshot of the version itself, if its position is the offset.
    private static func stored(
        _ id: VersionID, in folder: DataFolder, at offset: Offset
    ) throws -> VersionReader? {
        guard folder.hasFile(id) else { return nil }
        let reader = try folder.reader(id)
        try reader.hold()
        if try reader.checkpoint().offset == offset { return reader }
        reader.release()
        return nil
    }

    /// The newest valid snapshot at or before an offset, of any version with that digest. A snapshot of
    /// another log, such as one whose copy was restored, does not count.
    private static func nearest(
        _ view: String, _ digest: String, upTo offset: Offset, _ catalog: Catalog
    ) throws -> Snapshots.Snapshot? {
        let ids = Set(try catalog.entries(of: view).filter { $0.digest == digest }.map(\.id))
        let log = try LogReader(catalog.folder.log)
        let first = log.offset
        return try Snapshots(catalog.folder).all(of: view)
            .filter { ids.contains($0.id) && (first...max(first, offset)).contains($0.offset) }
            .sorted { $0.offset > $1.offset }
            .first { snapshot in
                let checkpoint = try? VersionReader(snapshot.path).checkpoint()
                return try checkpoint?.offset == snapshot.offset
                    && checkpoint?.digest == log.digest(at: snapshot.offset)
            }
    }

    private static func replay(
        _ id: VersionID, _ definition: ViewDefinition, _ snapshot: Snapshots.Snapshot?,
        to end: Offset, in folder: DataFolder, _ progress: @escaping ScratchVersion.Progress
    ) throws -> (scratch: ScratchVersion, way: Alignment.Origin.Way) {
        if let made = try copyBehind(
            id, definition, after: snapshot?.offset ?? .zero, to: end, in: folder, progress)
        {
            return made
        }
        if let snapshot {
            do {
                let scratch = try ScratchVersion(
                    copyOfFile: snapshot.path, definition, to: end, in: folder, progress: progress)
                return (scratch, .snapshotBroughtForward(from: snapshot.offset))
            } catch let error as KappaError where error.code == .notFound {
                // A snapshot policy has just removed it: replay from zero.
            }
        }
        try folder.requireReplay(of: id)
        let scratch = try ScratchVersion(
            definition, number: id.number.rawValue, to: end, in: folder, progress: progress)
        return (scratch, .builtAside)
    }

    /// A copy of the version itself, advanced to the end, if its position is between an offset and the end.
    private static func copyBehind(
        _ id: VersionID, _ definition: ViewDefinition, after offset: Offset, to end: Offset,
        in folder: DataFolder, _ progress: @escaping ScratchVersion.Progress
    ) throws -> (scratch: ScratchVersion, way: Alignment.Origin.Way)? {
        guard folder.hasFile(id) else { return nil }
        let stored = try folder.reader(id)
        let position = try stored.checkpoint().offset
        guard position > offset, position < end else { return nil }
        do {
            let scratch = try ScratchVersion(
                copyOf: stored, definition, to: end, in: folder, progress: progress)
            return (scratch, .broughtForward(from: position))
        } catch let error as KappaError where error.code == .heldElsewhere {
            // It advanced past the end while it was copied.
            return nil
        }
    }
}
