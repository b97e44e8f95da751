import Glibc

/// One side of a comparison.
package enum CompareTarget: Hashable, Sendable, CustomStringConvertible {
    /// An existing version.
    case version(VersionID)
    /// The definition of a view in this build, built aside, whether or not it has a version.
    case definition(String)

    package var view: String {
        switch self {
        case .version(let id): id.view
        case .definition(let name): name
        }
    }

    /// Nil for a definition of this build.
    package var version: VersionID? {
        if case .version(let id) = self { id } else { nil }
    }

    package var description: String {
        switch self {
        case .version(let id): id.description
        case .definition(let name): "\(name) (this build)"
        }
    }
}

/// Brings two versions of a view to the same position, so that they can be compared.
///
/// Neither version is touched. If one lags the other, a copy of it is advanced in a scratch folder. That
/// needs its definition in this build. Without it, the version ahead is rebuilt aside from its own
/// definition, up to the position of the other.
package final class Alignment {
    package let old: VersionReader
    package let new: VersionReader
    /// What the two sides are, and how they reached the offset of the comparison.
    package let oldSide: Origin
    package let newSide: Origin
    /// Keeps alive what was built aside: it is removed with its owner.
    private let owners: [AnyObject]

    /// Where the rows of a side come from.
    package struct Origin: Sendable {
        package var target: CompareTarget
        package var way: Way

        package enum Way: Equatable, Sendable {
            /// The version's own file, as it is.
            case asItStands
            /// A stored snapshot of exactly that offset.
            case snapshot
            /// A copy of the version, advanced from the version's position.
            case broughtForward(from: Offset)
            /// A copy of a snapshot, advanced from the snapshot's offset.
            case snapshotBroughtForward(from: Offset)
            /// Built aside from offset zero.
            case builtAside
        }
    }

    package convenience init(
        _ old: VersionID, _ new: VersionID, in folder: DataFolder, _ views: ViewSet,
        progress: @escaping ScratchVersion.Progress = { _, _ in }
    ) throws {
        try self.init(.version(old), .version(new), in: folder, views, progress: progress)
    }

    /// - Parameter at: The offset to compare at; nil for the versions' positions.
    /// - Throws: `.notFound` if this build lacks a definition that is needed.
    package init(
        _ old: CompareTarget, _ new: CompareTarget, at offset: Offset? = nil,
        in folder: DataFolder, _ views: ViewSet,
        progress: @escaping ScratchVersion.Progress = { _, _ in }
    ) throws {
        let maker = SideMaker(
            folder: folder, definitions: views.comparable(), progress: progress)
        let sides =
            switch (old, new, offset) {
            case (_, _, let offset?):
                (try maker.side(old, at: offset), try maker.side(new, at: offset))
            case (.version(let a), .version(let b), nil): try maker.meeting(a, b)
            case (.version(let id), .definition, nil):
                try maker.beside(try maker.reader(id, isHeld: true), old, new)
            case (.definition, .version(let id), nil):
                try maker.beside(try maker.reader(id, isHeld: true), new, old, isReversed: true)
            case (.definition, .definition, nil):
                throw KappaError(
                    .usage, "\(old) is compared with itself", because: "neither is a version",
                    advice: "Name a version, such as \(old.view)@1")
            }
        self.old = sides.0.reader
        self.new = sides.1.reader
        oldSide = sides.0.origin
        newSide = sides.1.origin
        owners = [sides.0.owner, sides.1.owner].compactMap(\.self)
    }
}

/// Makes the sides of a comparison.
private struct SideMaker {
    let folder: DataFolder
    let definitions: [ViewDefinition]
    let progress: ScratchVersion.Progress

    struct Side {
        var reader: VersionReader
        var owner: AnyObject?
        var origin: Alignment.Origin
    }

    func reader(_ id: VersionID, isHeld: Bool) throws -> VersionReader {
        let reader = try folder.reader(id)
        if isHeld { try reader.hold() }
        return reader
    }

    private func definition(of reader: VersionReader) -> ViewDefinition? {
        definitions.first { $0.name == reader.view && $0.digest == reader.digest }
    }

    private func definition(named name: String) throws(KappaError) -> ViewDefinition {
        guard let found = definitions.first(where: { $0.name == name }) else {
            throw KappaError.noSuchView(name, among: definitions.map(\.name))
        }
        return found
    }

    // MARK: At a given offset

    /// One side as of an offset, by whatever way reaches it.
    func side(_ target: CompareTarget, at offset: Offset) throws -> Side {
        guard case .version(let id) = target else {
            return built(target, try build(target.view, to: offset))
        }
        return try past(try reader(id, isHeld: false), at: offset) { reader in
            let stands = try reader.checkpoint().offset
            return KappaError(
                .notFound, "\(id) cannot be shown as of offset \(offset)",
                at: "\(id) at offset \(stands)",
                because: "its definition (digest \(reader.digest)) is not in this build",
                advice: MissingDefinition.advice(id, folder))
        }
    }

    /// A version as it was, from the nearest stored state.
    private func past(
        _ reader: VersionReader, at offset: Offset,
        isMissing: (VersionReader) throws -> KappaError
    ) throws -> Side {
        let past = try PastVersion(
            id(reader), reader.digest, at: offset, Catalog(folder),
            definition: {
                guard let definition = definition(of: reader) else { throw try isMissing(reader) }
                return definition
            }, progress)
        return Side(
            reader: past.reader, owner: past,
            origin: Alignment.Origin(target: .version(id(reader)), way: past.way))
    }

    /// A version at its position, and another side built up to the same offset.
    func beside(
        _ reader: VersionReader, _ target: CompareTarget, _ other: CompareTarget,
        isReversed: Bool = false
    ) throws -> (Side, Side) {
        let here = asItStands(reader)
        let there = built(other, try build(other.view, to: try reader.checkpoint().offset))
        return isReversed ? (there, here) : (here, there)
    }

    // MARK: Where two versions meet

    func meeting(_ old: VersionID, _ new: VersionID) throws -> (Side, Side) {
        let (first, second) = try waitForMeeting(old, new)
        let a = try first.checkpoint().offset
        let b = try second.checkpoint().offset
        if a == b { return (asItStands(first), asItStands(second)) }
        let (behind, ahead) = a < b ? (first, second) : (second, first)
        let moved: Side
        let still: Side
        let isFirstMoved: Bool
        if let definition = definition(of: behind) {
            moved = try forward(behind, definition, to: max(a, b), from: min(a, b))
            still = asItStands(ahead)
            isFirstMoved = a < b
        } else {
            moved = try past(ahead, at: min(a, b)) { _ in
                KappaError(
                    .notFound, "the two versions cannot be brought to the same position",
                    at: "\(old) at offset \(a), \(new) at offset \(b)",
                    because: "this build has the definition of neither",
                    advice: "Run the comparison with a build that defines one of them")
            }
            still = asItStands(behind)
            isFirstMoved = a > b
        }
        return isFirstMoved ? (moved, still) : (still, moved)
    }

    /// Waits for a moment at which both versions are at the same position, if processes keep both current:
    /// they mostly are. It gives up after a while. It holds a snapshot of each, so events may arrive during
    /// the comparison.
    private func waitForMeeting(
        _ old: VersionID, _ new: VersionID
    ) throws -> (VersionReader, VersionReader) {
        let first = try reader(old, isHeld: false)
        let second = try reader(new, isHeld: false)
        let areFollowed =
            Lease.holder(of: old, in: folder) != nil
            && Lease.holder(of: new, in: folder) != nil
        try first.hold()
        try second.hold()
        for _ in 0..<(areFollowed ? 500 : 0) {
            if try first.checkpoint().offset == second.checkpoint().offset { break }
            first.release()
            second.release()
            usleep(2_000)
            try first.hold()
            try second.hold()
        }
        return (first, second)
    }

    // MARK: Ways

    private func id(_ reader: VersionReader) -> VersionID {
        VersionID(reader.view, VersionNumber(reader.number))
    }

    private func asItStands(_ reader: VersionReader) -> Side {
        Side(
            reader: reader,
            origin: Alignment.Origin(target: .version(id(reader)), way: .asItStands))
    }

    private func built(_ target: CompareTarget, _ scratch: ScratchVersion) -> Side {
        Side(
            reader: scratch.reader, owner: scratch,
            origin: Alignment.Origin(target: target, way: .builtAside))
    }

    private func forward(
        _ reader: VersionReader, _ definition: ViewDefinition, to end: Offset, from: Offset
    ) throws -> Side {
        let scratch = try ScratchVersion(
            copyOf: reader, definition, to: end, in: folder, progress: progress)
        return Side(
            reader: scratch.reader, owner: scratch,
            origin: Alignment.Origin(
                target: .version(id(reader)), way: .broughtForward(from: from)))
    }

    private func build(_ view: String, to end: Offset) throws -> ScratchVersion {
        try ScratchVersion(
            try definition(named: view), to: end, in: folder, progress: progress)
    }
}

/// Where to look for a definition that this build does not have.
enum MissingDefinition {
    static func advice(_ id: VersionID, _ folder: DataFolder) -> String {
        if let holder = Lease.holder(of: id, in: folder), holder.pid > 0 {
            return "Process \(holder.pid) materializes \(id): use the program that it runs"
        }
        return "Use the build that made it: there, `kappa views` shows this digest"
    }
}
