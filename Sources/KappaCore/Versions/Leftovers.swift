import Glibc

/// What a killed process may leave in a data folder, and who may remove it.
///
/// Whatever belongs to a version has its number before the first dot of its name, and goes away with it.
/// What is removed here is what the next process that works on the version would remove; for one that nobody
/// works on any more, nobody would.
extension DataFolder {
    /// The numbers of the versions of which anything is there, whatever the catalog says.
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

    /// A number as kappa writes it: no sign, no zero before it.
    private static func number(_ text: Substring) -> VersionNumber? {
        guard let number = Int(text), number > 0, String(number) == text else { return nil }
        return VersionNumber(number)
    }

    /// Whether a file that is named as kappa would name one of a version is somebody else's: it holds something,
    /// and does not say that it is that version's.
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

    /// Whether something is there that ``removeLeftovers(of:)`` may have to look at.
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

    /// How the names of files end that are there for a while only.
    private static let passing = [".loading", ".runs", ".db-journal"]

    /// Removes what was left half-made beside a version that nobody works on. The caller holds its lease.
    func removeLeftovers(of id: VersionID) throws {
        Snapshots(self).removeLeftovers(of: id)
        // A sample is a copy that can be made again: half-made it is nobody's.
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
            // With these a rebuild continues.
            if SpilledRuns.exist(file) { return }
            NewVersionFile.removeLeftovers(file)
            SpilledRuns.remove(file)
        }
    }

    /// Removes a version's or a sample's file, with all that may stand beside it.
    func removeFile(_ path: String) {
        for suffix in ["", "-wal", "-shm", "-journal"] { unlink(path + suffix) }
        NewVersionFile.removeLeftovers(path)
        SpilledRuns.remove(path)
    }

    /// Whether a link was made that has not got its name.
    func hasNewLink(of view: String) -> Bool {
        var status = stat()
        return lstat(newLink(view), &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
    }

    func removeNewLink(of view: String) { if hasNewLink(of: view) { unlink(newLink(view)) } }
}
