import Glibc

/// Finds and removes the files that a killed process may leave in a data folder.
///
/// The files of a version have its number before the first dot of their names, and are removed with it. The
/// next process that works on a version would remove its leftovers anyway; this also cleans up versions that
/// no process works on any more.
extension DataFolder {
    /// The numbers of the versions that have any file in the folder, whatever the catalog says.
    func numbersOnDisk(of view: String) -> Set<VersionNumber> {
        let beside = Folder.names(in: self.view(view)).compactMap { name -> VersionNumber? in
            guard let dot = name.firstIndex(of: ".") else { return nil }
            let kind = name[dot...]
            guard
                [".db", ".lease", ".sample.db", ".crash", ".sample.crash", ".gates.crash"].contains(
                    where: kind.hasPrefix)
            else {
                return nil
            }
            return Self.number(name[..<dot])
        }
        let copies = Folder.names(in: snapshots(view)).compactMap { name in
            name.firstIndex(of: "@").flatMap { Self.number(name[..<$0]) }
        }
        return Set(beside + copies)
    }

    /// A number as kappa writes it: no sign, no leading zero.
    private static func number(_ text: Substring) -> VersionNumber? {
        guard let number = Int(text), number > 0, String(number) == text else { return nil }
        return VersionNumber(number)
    }

    /// Whether a file that has the name of one of a version's files is not kappa's: it is not empty, and does
    /// not identify itself as that version's.
    func isForeign(_ id: VersionID) -> Bool {
        let files = [file(id), sample(id)]
        let all =
            files + files.map(NewVersionFile.loadingPath) + Snapshots(self).all(of: id).map(\.path)
        return all.contains { path in
            var status = stat()
            return stat(path, &status) == 0 && status.st_size > 0
                && VersionReader.owner(ofFile: path) != id
        }
    }

    /// Whether there are files that ``removeLeftovers(of:)`` may have to remove.
    func hasLeftovers(of id: VersionID) -> Bool {
        let names = Folder.names(in: view(id.view))
        let own = "\(id.number)."
        let hasFile = names.contains(own + "db")
        return names.contains { name in
            name.hasPrefix(own)
                && (Self.passing.contains { name.hasSuffix($0) || name.contains($0 + "-") }
                    || name == own + "db-wal" && !hasFile)
        }
            || Folder.names(in: snapshots(id.view)).contains {
                $0.hasPrefix("\(id.number)@") && $0.contains(Snapshots.makingSuffix)
            }
    }

    /// The suffixes of temporary files.
    private static let passing = [".loading", ".runs", ".db-journal"]

    /// Removes unfinished files beside a version that no process works on. The caller holds its lease.
    func removeLeftovers(of id: VersionID) throws {
        Snapshots(self).removeLeftovers(of: id)
        // A sample can be made again, so an unfinished one is removed.
        let sample = sample(id)
        if NewVersionFile.hasLeftovers(sample) || SpilledRuns.hasFolder(sample)
            || access(sample + "-journal", F_OK) == 0
        {
            removeFile(sample)
        }
        let file = file(id)
        if access(file, F_OK) == 0 {
            NewVersionFile.removeLeftovers(file)
            SpilledRuns.remove(file)
            try VersionFile.settle(file)
        } else {
            for suffix in ["-wal", "-shm", "-journal"] { unlink(file + suffix) }
            // A rebuild continues from these.
            if SpilledRuns.exist(file) { return }
            NewVersionFile.removeLeftovers(file)
            SpilledRuns.remove(file)
        }
    }

    /// Removes the file of a version or a sample, with all files that belong to it.
    func removeFile(_ path: String) {
        for suffix in ["", "-wal", "-shm", "-journal"] { unlink(path + suffix) }
        NewVersionFile.removeLeftovers(path)
        SpilledRuns.remove(path)
    }

    /// Whether there is a new link that has not been renamed yet.
    func hasNewLink(of view: String) -> Bool {
        var status = stat()
        return lstat(newLink(view), &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
    }

    func removeNewLink(of view: String) { if hasNewLink(of: view) { unlink(newLink(view)) } }
}
