import Glibc

/// Drops versions and snapshots that nobody needs any more, and what processes that were killed left.
package struct Garbage {
    private let catalog: Catalog
    private var folder: DataFolder { catalog.folder }

    package init(_ catalog: Catalog) { self.catalog = catalog }

    /// Drops abandoned builds, and of each view's retired, failed and passed over versions all but the newest
    /// `keep`. What is live, waits to be promoted, or is held by a process stays.
    package func collect(keep: Int) throws -> [(id: VersionID, bytes: Int)] {
        var dropped: [(VersionID, Int)] = []
        for view in Set(try catalog.entries().map(\.id.view)).sorted() {
            for id in try unneeded(view, keep: keep) {
                guard let lease = try? Lease(id, in: folder) else { continue }
                defer { lease.release() }
                // Under its lease nobody begins to work on it; but somebody may have, and ended.
                guard try unneeded(view, keep: keep).contains(id) else { continue }
                var status = stat()
                let bytes = stat(folder.file(id), &status) == 0 ? Int(status.st_size) : 0
                try catalog.drop(id)
                dropped.append((id, bytes))
            }
        }
        return dropped
    }

    /// What may be dropped of a view's versions, but for those that a process holds.
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
                // No program promotes what is older than a version that was live, and the next build is
                // made of a newer definition. A further version of the live one's definition is nobody's
                // but the rebuild's that has begun it.
                let isForNobody =
                    entry.digest == live?.digest && wanted[entry.id.number] == nil
                if isOld || entry.id != newest?.id || isForNobody { abandoned.append(entry.id) }
            }
        }
        // What has failed is of no use for going back to: of the others the newest are kept first.
        let failed = Set(entries.filter { $0.state == .failed }.map(\.id))
        over = over.filter(failed.contains) + over.filter { !failed.contains($0) }
        return over.dropLast(max(0, keep)) + abandoned
    }

    /// Drops a version that is not live. A process that works on it is asked to end that.
    package func abort(_ id: VersionID) throws {
        if Lease.holder(of: id, in: folder) != nil {
            try catalog.transaction {
                if try catalog.live(id.view) == id.number { throw Catalog.isLive(id) }
                try catalog.setState(id, .failed, reason: "somebody has aborted it")
            }
            // A process looks at the catalog before each commit, and now and then while no events come.
            for _ in 0..<Self.looks where Lease.holder(of: id, in: folder) != nil {
                Pause.forALook()
            }
        }
        let lease = try Lease(id, in: folder)
        defer { lease.release() }
        try catalog.drop(id)
    }

    private static let looks = 200

    /// Removes snapshots whose version was dropped, what was left half-made of others, and of each
    /// version all but the newest `keep`, if there is a limit.
    package func collectSnapshots(keep: Int?) throws -> [Snapshots.Snapshot] {
        let snapshots = Snapshots(folder)
        let known = Set(try catalog.entries().map(\.id))
        var removed: [Snapshots.Snapshot] = []
        for id in Set(snapshots.all().map(\.id)).sorted(by: { $0.description < $1.description }) {
            if known.contains(id) {
                if let keep { removed += snapshots.remove(of: id, keeping: keep) }
                continue
            }
            // Another process may have entered it a moment ago: its lease tells.
            guard !folder.isForeign(id), let lease = try? Lease(id, in: folder) else { continue }
            defer { lease.release() }
            if try !catalog.entries(of: id.view).contains(where: { $0.id == id }) {
                removed += snapshots.remove(of: id)
                unlink(folder.lease(id))
            }
        }
        return removed
    }

    /// Removes what processes that were killed left beside versions that nobody works on. What belongs to a
    /// version, such as the rows that a rebuild has spilled, stays with it.
    package func removeLeftovers() throws {
        for entry in try catalog.entries() {
            // What this process was at work on before it started itself again, it goes on with.
            guard folder.hasLeftovers(of: entry.id),
                !InheritedLeases.include(entry.id, in: folder),
                let lease = try? Lease(entry.id, in: folder)
            else { continue }
            defer { lease.release() }
            // A damaged version is its own: whoever reads it says so.
            try? folder.removeLeftovers(of: entry.id)
        }
        for view in folder.viewsOnDisk where folder.hasNewLink(of: view) {
            // Under its lock nobody is about to switch.
            try SwitchLock(view, in: folder).alone { folder.removeNewLink(of: view) }
        }
    }
}
