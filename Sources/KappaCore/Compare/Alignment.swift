import Glibc

/// Brings two versions of a view to the same position, so that they can be compared.
///
/// Neither is touched: where one is behind, a copy of it is brought forward, aside. That needs the
/// definition of the one behind in this build; else the one ahead is rebuilt aside, from its own.
package final class Alignment {
    package let old: VersionReader
    package let new: VersionReader
    private let scratch: ScratchVersion?

    /// - Throws: `.refused` if neither definition is in this build and the two do not meet.
    package init(
        _ old: VersionID, _ new: VersionID, in folder: DataFolder, _ views: ViewSet,
        progress: @escaping ScratchVersion.Progress = { _, _ in }
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
        let definitions = try views.definitions()
        if let definition = definitions.first(where: { $0.digest == behind.digest }) {
            let scratch = try ScratchVersion(
                copyOf: behind, definition, to: max(a, b), in: folder, progress: progress)
            self.scratch = scratch
            self.old = a < b ? scratch.reader : first
            self.new = a < b ? second : scratch.reader
        } else if let definition = definitions.first(where: { $0.digest == ahead.digest }) {
            let scratch = try ScratchVersion(
                definition, number: ahead.number, to: min(a, b), in: folder, progress: progress)
            self.scratch = scratch
            self.old = a < b ? first : scratch.reader
            self.new = a < b ? scratch.reader : second
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
}
