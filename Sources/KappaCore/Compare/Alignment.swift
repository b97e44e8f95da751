import Glibc

/// Brings two versions of a view to the same position, so that they can be compared.
///
/// Neither is touched: where one is behind, a copy of it is brought forward, aside. That needs the
/// definition of the one behind in this build; else the one ahead is rebuilt aside, from its own.
package final class Alignment {
    package let old: VersionReader
    package let new: VersionReader
    private let scratch: ScratchFolder?

    /// - Throws: `.refused` if neither definition is in this build and the two do not meet.
    package init(
        _ old: VersionID, _ new: VersionID, in folder: DataFolder, _ views: ViewSet
    ) throws {
        let (first, second) = try Self.waitForMeeting(old, new, in: folder)
        let a = try first.checkpoint().offset
        let b = try second.checkpoint().offset
        if a == b {
            self.old = first
            self.new = second
            scratch = nil
            return
        }
        let (behind, ahead) = a < b ? (first, second) : (second, first)
        let target = max(a, b)
        let definitions = try views.definitions()
        let scratch = try ScratchFolder(folder)
        self.scratch = scratch
        if let definition = definitions.first(where: { $0.digest == behind.digest }) {
            let path = try scratch.copy(behind)
            guard try VersionReader(path).checkpoint().offset <= target else {
                throw KappaError(
                    .heldElsewhere, "the two versions move too fast to be compared",
                    at: "\(old) and \(new)",
                    because: "one has overtaken the other while it was copied",
                    advice: "Try again")
            }
            try Self.bring(path, definition, to: target, folder)
            let moved = try VersionReader(path)
            self.old = a < b ? moved : first
            self.new = a < b ? second : moved
        } else if let definition = definitions.first(where: { $0.digest == ahead.digest }) {
            let path = scratch.path + "/aside.db"
            try Self.build(path, definition, ahead, to: min(a, b), folder)
            let rebuilt = try VersionReader(path)
            self.old = a < b ? first : rebuilt
            self.new = a < b ? rebuilt : second
        } else {
            throw KappaError(
                .refused, "the two versions cannot be brought to one position",
                at: "\(old) at offset \(a), \(new) at offset \(b)",
                because: "this build has the definition of neither",
                advice: "Run the comparison with a build that defines one of them")
        }
    }

    /// Two versions that are both followed are at the same position most of the time. Both are held
    /// as they are at that moment: events may flow in while they are compared.
    private static func waitForMeeting(
        _ old: VersionID, _ new: VersionID, in folder: DataFolder
    ) throws -> (VersionReader, VersionReader) {
        let first = try VersionReader(folder.file(old))
        let second = try VersionReader(folder.file(new))
        let areFollowed =
            Lease.holder(of: old, in: folder) != nil
            && Lease.holder(of: new, in: folder) != nil
        try first.hold()
        try second.hold()
        for _ in 0..<(areFollowed ? 500 : 0) {
            if try first.checkpoint().offset == second.checkpoint().offset { break }
            first.letGo()
            second.letGo()
            usleep(2_000)
            try first.hold()
            try second.hold()
        }
        return (first, second)
    }

    private static func build(
        _ path: String, _ definition: ViewDefinition, _ like: VersionReader, to target: Offset,
        _ folder: DataFolder
    ) throws {
        let store = try VersionStore(
            at: path, view: like.view, number: like.number, digest: like.digest,
            tables: definition.tables)
        try advance(store, definition, to: target, folder)
    }

    private static func bring(
        _ path: String, _ definition: ViewDefinition, to target: Offset, _ folder: DataFolder
    ) throws {
        try advance(try VersionStore(opening: path), definition, to: target, folder)
    }

    private static func advance(
        _ store: VersionStore, _ definition: ViewDefinition, to target: Offset,
        _ folder: DataFolder
    ) throws {
        let plan = ExtractionPlan()
        let version = try VersionMaterializer(
            definition, store: store, plan: plan, budgetBytes: 1 << 29)
        try Scan(folder.log, [version], plan: plan, options: .init(end: target)).run()
    }
}

/// A folder for files that are needed for a moment; removed with all in it.
final class ScratchFolder {
    let path: String
    /// Locked for as long as the folder is in use: what nobody holds was left behind.
    private let lock: OpenFile

    init(_ folder: DataFolder) throws(KappaError) {
        (path, lock) = try Self.make(folder)
    }

    private static func make(_ folder: DataFolder) throws(KappaError) -> (String, OpenFile) {
        while true {
            var template = Array((folder.path + "/scratch-XXXXXX").utf8CString)
            guard mkdtemp(&template) != nil else {
                throw KappaError(
                    .cannotCreate, "cannot create a folder to compare in", at: folder.path,
                    because: String(cString: strerror(errno)),
                    advice: "Check that the disk has room and who owns the folder")
            }
            let path = template.withUnsafeBufferPointer { buffer in
                buffer.baseAddress.map { String(cString: $0) } ?? ""
            }
            // Somebody who cleans up may have taken it for a leftover before it was locked.
            guard let lock = try? OpenFile(reading: path) else { continue }
            flock(lock.descriptor, LOCK_EX)
            if access(path, F_OK) == 0 { return (path, lock) }
        }
    }

    deinit {
        for name in ["copy.db", "aside.db"] {
            for suffix in ["", "-wal", "-shm"] { unlink("\(path)/\(name)\(suffix)") }
        }
        rmdir(path)
    }

    /// A copy of a version's file as it is for a reader.
    func copy(_ reader: VersionReader) throws(KappaError) -> String {
        let copy = path + "/copy.db"
        try reader.connection.copy(to: copy)
        return copy
    }
}
