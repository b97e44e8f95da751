import Glibc

/// The snapshots of versions: copies of their files as they were at some offsets.
///
/// A snapshot gets its name, `views/orders/snapshots/3@1000000.db`, when it is whole and durable. One that a
/// killed process left unfinished has another name and is never used.
package struct Snapshots: Sendable {
    package struct Snapshot: Equatable, Sendable {
        package var id: VersionID
        package var offset: Offset
        package var path: String
        package var bytes: Int
    }

    private let folder: DataFolder

    package init(_ folder: DataFolder) { self.folder = folder }

    /// The snapshots of a view's versions, or of all views, sorted by version and offset.
    package func all(of view: String? = nil) -> [Snapshot] {
        (view.map { [$0] } ?? folder.viewsOnDisk).flatMap { view in
            let place = folder.snapshots(view)
            let found = Folder.names(in: place).compactMap { name -> Snapshot? in
                guard let (number, offset) = Self.parse(name) else { return nil }
                let path = "\(place)/\(name)"
                var status = stat()
                guard stat(path, &status) == 0 else { return nil }
                return Snapshot(
                    id: VersionID(view, number), offset: offset, path: path,
                    bytes: Int(status.st_size))
            }
            return found.sorted { ($0.id.number, $0.offset) < ($1.id.number, $1.offset) }
        }
    }

    package func all(of id: VersionID) -> [Snapshot] { all(of: id.view).filter { $0.id == id } }

    package func path(_ id: VersionID, _ offset: Offset) -> String {
        "\(folder.snapshots(id.view))/\(id.number)@\(offset).db"
    }

    /// Removes all but the newest `keep` snapshots of a version; returns those removed.
    @discardableResult
    package func remove(of id: VersionID, keeping keep: Int = 0) -> [Snapshot] {
        let old = Array(all(of: id).dropLast(max(0, keep)))
        for snapshot in old { unlink(snapshot.path) }
        return old
    }

    /// Removes all snapshots of a version that is dropped, and unfinished ones.
    func removeAll(of id: VersionID) {
        removeLeftovers(of: id)
        remove(of: id)
        rmdir(folder.snapshots(id.view))
    }

    /// Removes the snapshots of a version that killed processes left unfinished. The caller holds its lease.
    func removeLeftovers(of id: VersionID) {
        let place = folder.snapshots(id.view)
        for name in Folder.names(in: place)
        where name.hasPrefix("\(id.number)@") && name.contains(Self.makingSuffix) {
            unlink("\(place)/\(name)")
        }
    }

    /// The suffix of a snapshot's name while it is being made.
    static let makingSuffix = ".making"

    private static func parse(_ name: String) -> (VersionNumber, Offset)? {
        guard name.hasSuffix(".db") else { return nil }
        let parts = name.dropLast(3).split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count == 2, let number = Int(parts[0]), let offset = UInt64(parts[1]) else {
            return nil
        }
        return (VersionNumber(number), Offset(offset))
    }
}
