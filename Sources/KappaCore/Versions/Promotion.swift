/// Switches views to other versions: all of them or none, in one transaction of the catalog.
package struct Promotion {
    private let catalog: Catalog
    private var folder: DataFolder { catalog.folder }

    package init(_ catalog: Catalog) { self.catalog = catalog }

    /// How a promotion may end without being an error.
    package enum Outcome: Equatable, Sendable {
        case switched([Catalog.Switch])
        /// A candidate stands behind what readers have seen: bring it there and try again.
        case behind(VersionID, needs: Offset)
    }

    /// Makes versions live.
    ///
    /// While it looks, the present live versions stand still. Each candidate must be at or past what
    /// readers have seen, and must have applied exactly the log's bytes up to there.
    /// - Parameter knownEnd: An end of the log that was looked up after the last commit to any live
    ///   version whose file is gone and which nobody materializes. The present end, if it is nil.
    /// - Throws: `.refused` if a candidate has skipped or doubled an event.
    package func promote(
        _ candidates: [VersionID], reason: String, knownEnd: Offset? = nil
    ) throws -> Outcome {
        try Self.checkOnce(candidates.map(\.view))
        return try alone(candidates.map(\.view).sorted()[...]) {
            var switches: [Catalog.Switch] = []
            for candidate in candidates {
                _ = try catalog.resolve(
                    VersionReference(candidate.view, candidate.number))
                let live = try catalog.live(candidate.view)
                let new = try checkpoint(candidate)
                if let live, live != candidate.number {
                    let seen = try seenOffset(VersionID(candidate.view, live), knownEnd)
                    if new.offset < seen {
                        try checkLog(reaches: seen, of: VersionID(candidate.view, live))
                        return .behind(candidate, needs: seen)
                    }
                }
                try prove(candidate, new)
                switches.append(
                    Catalog.Switch(
                        view: candidate.view, from: live, to: candidate.number,
                        position: new.offset, reason: reason, atMicros: 0))
            }
            try apply(switches)
            return .switched(switches)
        }
    }

    /// Makes the version live that was live before the present one, as far as it has come.
    /// - Returns: For each view the switch, and how many events readers go back.
    package func rollBack(
        _ views: [String]
    ) throws -> [(change: Catalog.Switch, behind: Int)] {
        try Self.checkOnce(views)
        return try alone(views.sorted()[...]) {
            var switches: [(change: Catalog.Switch, behind: Int)] = []
            for view in views {
                let live = try catalog.live(view)
                let previous = try previousVersion(of: view, live)
                let old = try checkpoint(previous)
                let seen = try live.map { try seenOffset(VersionID(view, $0), nil) } ?? old.offset
                let change = Catalog.Switch(
                    view: view, from: live, to: previous.number, position: old.offset,
                    reason: Catalog.Switch.rollback, atMicros: 0)
                switches.append((change, max(0, seen - old.offset)))
            }
            try apply(switches.map(\.change))
            return switches
        }
    }

    /// How far readers have seen a live version: at most to the log's end, where its file is gone.
    private func seenOffset(_ id: VersionID, _ knownEnd: Offset?) throws -> Offset {
        if folder.hasFile(id) { return try checkpoint(id).offset }
        // Its process may still write to the file that has no name any more.
        let isHeld = Lease.holder(of: id, in: folder) != nil
        if let knownEnd, !isHeld { return knownEnd }
        return try LogReader(folder.log).durableEnd()
    }

    /// A version only applies durable events: one that is ahead of the log proves a loss.
    private func checkLog(reaches offset: Offset, of id: VersionID) throws(KappaError) {
        let end = try LogReader(folder.log).durableEnd()
        if end >= offset { return }
        throw KappaError(
            .damaged, "the log has lost events that \(id) has applied", at: folder.log,
            because: "the log ends at offset \(end), the version is at \(offset)",
            advice: "Restore the log's folder; or remove views/ and catalog.db, and rebuild from "
                + "what the log has")
    }

    private static func checkOnce(_ views: [String]) throws(KappaError) {
        let twice = views.first { view in views.count { $0 == view } > 1 }
        if let twice {
            throw KappaError(
                .usage, "view \(twice) is named twice", because: "a view has one live version",
                advice: "Name each view once")
        }
    }

    private func previousVersion(
        of view: String, _ live: VersionNumber?
    ) throws(KappaError) -> VersionID {
        let known = Set(
            try catalog.entries(of: view).map(\.id).filter(folder.hasFile).map(\.number))
        for change in try catalog.history(of: view).reversed() {
            if let from = change.from, from != live, known.contains(from) {
                return VersionID(view, from)
            }
        }
        throw KappaError(
            .notFound, "view \(view) cannot be rolled back",
            because: "no earlier live version of it is kept",
            advice: "`kappa status \(view)` lists its versions; promote one of them by number")
    }

    /// Holds the switch locks of all views, in the order of their names so that two promotions never
    /// wait for each other.
    private func alone<R>(_ views: ArraySlice<String>, _ body: () throws -> R) throws -> R {
        guard let view = views.first else { return try body() }
        return try SwitchLock(view, in: folder).alone {
            try alone(views.dropFirst(), body)
        }
    }

    private func checkpoint(_ id: VersionID) throws(KappaError) -> Checkpoint {
        try VersionReader(folder.file(id)).checkpoint()
    }

    private func prove(_ id: VersionID, _ checkpoint: Checkpoint) throws(KappaError) {
        let log = try LogReader(folder.log).digest(at: checkpoint.offset)
        if log != checkpoint.digest {
            throw KappaError(
                .refused, "\(id) did not apply exactly the events of the log",
                at: "offset \(checkpoint.offset)",
                because: "it applied \(checkpoint.digest.bytes) bytes, the log has \(log.bytes) "
                    + "below that offset, or their checksums differ",
                advice: "Run `kappa log verify`; then drop the version with `kappa abort \(id)` "
                    + "and rebuild")
        }
    }

    /// The catalog decides; the links follow, and are mended at the next open if this dies in between.
    private func apply(_ switches: [Catalog.Switch]) throws {
        try catalog.transaction {
            for change in switches where change.from != change.to {
                try catalog.point(
                    change.view, from: change.from, to: change.to, position: change.position,
                    reason: change.reason)
            }
        }
        for change in switches { try folder.pointLink(of: change.view, to: change.to) }
    }
}
