import Glibc

/// Drops versions and snapshots that nobody needs any more.
package struct Garbage {
    private let catalog: Catalog

    package init(_ catalog: Catalog) { self.catalog = catalog }

    /// Drops retired and failed versions but the newest `keep` of each view. What is live, on its way,
    /// or held by a process stays.
    package func collect(keep: Int) throws -> [(id: VersionID, bytes: Int)] {
        var dropped: [(VersionID, Int)] = []
        let entries = try catalog.entries()
        for view in Set(entries.map(\.id.view)).sorted() {
            let old = entries.filter {
                $0.id.view == view && !$0.isLive && ($0.state == .retired || $0.state == .failed)
            }
            for entry in old.dropLast(max(0, keep)) {
                guard let lease = try? Lease(entry.id, in: catalog.folder) else { continue }
                var status = stat()
                let path = catalog.folder.file(entry.id)
                let bytes = stat(path, &status) == 0 ? Int(status.st_size) : 0
                try catalog.drop(entry.id)
                withExtendedLifetime(lease) {}
                dropped.append((entry.id, bytes))
            }
        }
        return dropped
    }

    /// Removes snapshots whose version was dropped, what was left half-made of others, and of each
    /// version all but the newest `keep`, if there is a limit.
    package func collectSnapshots(keep: Int?) throws -> [Snapshots.Snapshot] {
        let snapshots = Snapshots(catalog.folder)
        let known = Set(try catalog.entries().map(\.id))
        var removed: [Snapshots.Snapshot] = []
        for id in Set(snapshots.all().map(\.id)).sorted(by: { $0.description < $1.description }) {
            if known.contains(id) {
                if let keep { removed += snapshots.remove(of: id, keeping: keep) }
                continue
            }
            // Another process may have entered it a moment ago: its lease tells.
            guard let lease = try? Lease(id, in: catalog.folder) else { continue }
            if try !catalog.entries(of: id.view).contains(where: { $0.id == id }) {
                removed += snapshots.remove(of: id)
                unlink(catalog.folder.lease(id))
            }
            withExtendedLifetime(lease) {}
        }
        for id in known {
            guard let lease = try? Lease(id, in: catalog.folder) else { continue }
            snapshots.removeLeftovers(of: id)
            withExtendedLifetime(lease) {}
        }
        return removed
    }
}
