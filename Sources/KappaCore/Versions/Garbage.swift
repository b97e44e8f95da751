import Glibc

/// Drops versions and snapshots that are no longer needed, and removes what killed processes left.
package struct Garbage {
    private let catalog: Catalog
    private var folder: DataFolder { catalog.folder }

    package init(_ catalog: Catalog) { self.catalog = catalog }

    /// Drops abandoned builds, and all but the newest `keep` of each view's retired, failed and passed-over
    /// versions. A version that is live, waits to be promoted, or is held by a process stays.
    package func collect(keep: Int) throws -> [(id: VersionID, bytes: Int)] {
        var dropped: [(VersionID, Int)] = []
        for view in Set(try catalog.entries().map(\.id.view)).sorted() {
            for id in try unneeded(view, keep: keep) {
                guard let lease = try? Lease(id, in: folder) else { continue }
                defer { lease.release() }
                // No process can begin to work on it now, but one may have done so and ended before.
                guard try unneeded(view, keep: keep).contains(id) else { continue }
                var status = stat()
                let bytes = stat(folder.file(id), &status) == 0 ? Int(status.st_size) : 0
                try catalog.drop(id)
                dropped.append((id, bytes))
            }
        }
        return dropped
    }

    /// The versions of a view that may be dropped, unless a process holds them.
    private func unneeded(_ view: String, keep: Int) throws -> [VersionID] {
        let entries = try catalog.entries(of: view)
        let newestEverLive = try catalog.newestEverLive(view) ?? VersionNumber(0)
        let wanted = try catalog.rebuilds(of: view)
        let live = entries.first(where: \.isLive)
        let newest = entries.last { $0.state != .failed }
        var over: [VersionID] = []
        var abandoned: [VersionID] = []
        for entry in entries where !entry.isLive {
            let isOld = entry.id.number <= newestEverLive
            if try entry.state == .retired || entry.state == .failed
                || isOld && (entry.state == .ready || catalog.wasLive(entry.id))
            {
                over.append(entry.id)
            } else if entry.isUnfinished {
                // No runner promotes a version that is older than one that was live, and the next build uses
                // a newer definition. A second version of the live definition is only of use to the
                // rebuild that began it.
                let isForNobody =
                    entry.digest == live?.digest && wanted[entry.id.number] == nil
                if isOld || entry.id != newest?.id || isForNobody { abandoned.append(entry.id) }
            }
        }
        // Failed versions are dropped first: nobody can roll back to them.
        let failed = Set(entries.filter { $0.state == .failed }.map(\.id))
        over =
            try over.filter(failed.contains)
            + inRollbackOrder(over.filter { !failed.contains($0) }, of: view)
        return over.dropLast(max(0, keep)) + abandoned
    }

    /// Sorts versions by when they were last live: a rollback needs the last one first.
    private func inRollbackOrder(
        _ ids: [VersionID], of view: String
    ) throws(KappaError) -> [VersionID] {
        let left = try catalog.history(of: view).map(\.from)
        let ranks = ids.map { (left.lastIndex(of: $0.number) ?? -1, $0.number) }
        return zip(ids, ranks).sorted { $0.1 < $1.1 }.map(\.0)
    }

    /// Drops the retired versions of a view but for the `keep` to which rollbacks would go first. One that a process
    /// works on, or that a reader or a follower has open, stays until a later call.
    func collectRetired(_ view: String, keep: Int) throws -> [VersionID] {
        func retired() throws(KappaError) -> ArraySlice<VersionID> {
            let entries = try catalog.entries(of: view).filter {
                $0.state == .retired && !$0.isLive
            }
            return try inRollbackOrder(entries.map(\.id), of: view).dropLast(keep)
        }
        var dropped: [VersionID] = []
        for id in try retired() where !VersionFile.isInUse(folder.file(id)) {
            guard let lease = try? Lease(id, in: folder) else { continue }
            defer { lease.release() }
            // No process can begin to work on it now, but one may have done so and ended before.
            guard try retired().contains(id) else { continue }
            try catalog.drop(id)
            dropped.append(id)
        }
        return dropped
    }

    /// Drops a version that is not live. A process that works on it is asked to stop.
    package func abort(_ id: VersionID) throws {
        if Lease.holder(of: id, in: folder) != nil {
            try catalog.transaction {
                if try catalog.live(id.view) == id.number { throw Catalog.isLive(id) }
                try catalog.setState(id, .failed, reason: "somebody has aborted it")
            }
            // A process reads the catalog before each commit, and from time to time while no events arrive.
            for _ in 0..<Self.looks where Lease.holder(of: id, in: folder) != nil {
                Pause.forALook()
            }
        }
        let lease = try Lease(id, in: folder)
        defer { lease.release() }
        try catalog.drop(id)
    }

    private static let looks = 200

    /// Removes snapshots whose version was dropped, unfinished ones, and all but the newest `keep` of each
    /// version, if there is a limit.
    package func collectSnapshots(keep: Int?) throws -> [Snapshots.Snapshot] {
        let snapshots = Snapshots(folder)
        let known = Set(try catalog.entries().map(\.id))
        var removed: [Snapshots.Snapshot] = []
        for id in Set(snapshots.all().map(\.id)).sorted(by: { $0.description < $1.description }) {
            if known.contains(id) {
                if let keep { removed += snapshots.remove(of: id, keeping: keep) }
                continue
            }
            // Another process may have added it a moment ago; it would then hold the lease.
            guard !folder.isForeign(id), let lease = try? Lease(id, in: folder) else { continue }
            defer { lease.release() }
            if try !catalog.entries(of: id.view).contains(where: { $0.id == id }) {
                removed += snapshots.remove(of: id)
                unlink(folder.lease(id))
            }
        }
        return removed
    }

    /// Removes what killed processes left beside versions that no process works on. Files that belong to a
    /// version, such as the rows that a rebuild has spilled, stay with it.
    package func removeLeftovers() throws {
        for entry in try catalog.entries() {
            // This process resumes the versions that it was working on before it restarted itself.
            guard folder.hasLeftovers(of: entry.id),
                !InheritedLeases.include(entry.id, in: folder),
                let lease = try? Lease(entry.id, in: folder)
            else { continue }
            defer { lease.release() }
            // A damaged version stays as it is: its readers report the damage.
            try? folder.removeLeftovers(of: entry.id)
        }
        for view in folder.viewsOnDisk where folder.hasNewLink(of: view) {
            // While this holds the lock, no process switches the view.
            try SwitchLock(view, in: folder).alone { folder.removeNewLink(of: view) }
        }
    }
}
