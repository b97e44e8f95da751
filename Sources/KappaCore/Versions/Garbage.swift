import Glibc

/// Drops versions that nobody needs any more.
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
}
