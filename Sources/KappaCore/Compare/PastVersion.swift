/// A version's rows as they were at an offset.
///
/// They are read where they are kept, or replayed aside: from the nearest place before the offset that
/// is kept (a snapshot, or the version itself where it stands behind), else from zero.
package final class PastVersion {
    package let reader: VersionReader
    /// How the rows came to the offset.
    package let way: Alignment.Origin.Way
    /// From where events had to be replayed; nil where none had to be.
    package var replayedFrom: Offset? {
        switch way {
        case .asItStands, .snapshot: nil
        case .broughtForward(let from), .snapshotBroughtForward(let from): from
        case .builtAside: .zero
        }
    }
    /// Kept for as long as the rows are read.
    private let scratch: ScratchVersion?

    /// - Throws: `.notFound` where the offset is past the end of the log, or where a replay is needed and
    ///   this build does not have the definition.
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

    /// The rows of a version of a digest.
    /// - Parameter definition: Asked for where a replay is needed.
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

    /// The version itself, held at the offset, if that is where it stands.
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

    /// The newest sound snapshot at or before an offset, of any version with that digest. One of
    /// another log, whose copy was restored, say, is none of this one.
    private static func nearest(
        _ view: String, _ digest: String, upTo offset: Offset, _ catalog: Catalog
    ) throws -> Snapshots.Snapshot? {
        let ids = Set(try catalog.entries(of: view).filter { $0.digest == digest }.map(\.id))
        let log = try LogReader(catalog.folder.log)
        return try Snapshots(catalog.folder).all(of: view)
            .filter { ids.contains($0.id) && $0.offset <= offset }
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
                // Removed a moment ago, by a policy: zero is always there.
            }
        }
        let scratch = try ScratchVersion(
            definition, number: id.number.rawValue, to: end, in: folder, progress: progress)
        return (scratch, .builtAside)
    }

    /// A copy of the version itself, brought forward, where it stands between an offset and the end.
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
            // It has gone past the end while it was copied.
            return nil
        }
    }
}
