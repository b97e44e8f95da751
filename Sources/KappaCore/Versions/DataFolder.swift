import Glibc

/// Where things are in a data folder.
///
/// ```
/// log/                  the segments
/// catalog.db            versions, live pointers, history
/// views/orders/3.db     one version's rows
/// views/orders/3.lease  held by the process that materializes it
/// views/orders/snapshots/3@1000.db  the rows of orders@3 as they were at an offset
/// views/orders/3.sample.db  its rows after the log's first events
/// views/orders/live.db  a link to the live version's file
/// views/orders/3.crash  what is being done for it now; also 3.sample.crash, 3.gates.crash
/// learning-orders.crash  there while a server tries out the types of a view
/// views/orders/switch.lock
/// scratch-…             temporary copies for comparisons
/// ```
package struct DataFolder: Sendable {
    package let path: String

    package init(_ path: String) { self.path = path }

    /// Checks the path of a data folder before anything is made there.
    /// - Throws: `.usage` if it is not a valid name; `.cannotCreate` if something other than a folder has it.
    package static func check(_ path: String) throws(KappaError) {
        try checkName(path)
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT != S_IFDIR else { return }
        throw KappaError(
            .cannotCreate, "cannot make a data folder", at: path,
            because: "it is not a folder", advice: "Name another path")
    }

    /// - Throws: `.usage` if the path is blank or has a NUL character.
    package static func checkName(_ path: String) throws(KappaError) {
        let isBlank = path.utf8.allSatisfy { $0 == 0x20 || (0x09...0x0D).contains($0) }
        guard isBlank || path.utf8.contains(0) else { return }
        throw KappaError(
            .usage, "the data folder has no name",
            because: isBlank
                ? "\"\(path)\" is empty" : "the path has a NUL character, which ends a file's name",
            advice: "Name a folder, such as data; with the program, --data DIR or $KAPPA_DATA")
    }

    package var log: String { path + "/log" }
    package var catalog: String { path + "/catalog.db" }
    package func view(_ name: String) -> String { "\(path)/views/\(name)" }
    package func file(_ id: VersionID) -> String { "\(view(id.view))/\(id.number).db" }
    func sample(_ id: VersionID) -> String { "\(view(id.view))/\(id.number).sample.db" }
    /// Opens a version's file for reading.
    /// - Throws: `.damaged` also if the file of that name is another version's.
    package func reader(_ id: VersionID) throws(KappaError) -> VersionReader {
        let reader = try VersionReader(file(id))
        try reader.require(id)
        return reader
    }
    func hasFile(_ id: VersionID) -> Bool { access(file(id), F_OK) == 0 }
    package func lease(_ id: VersionID) -> String { "\(view(id.view))/\(id.number).lease" }
    /// The file that records a crash of the view's code while it was applied; the ones below, while it made a
    /// sample, and in its gates.
    package func crashMark(_ id: VersionID) -> String { "\(view(id.view))/\(id.number).crash" }
    func sampleCrashMark(_ id: VersionID) -> String {
        "\(view(id.view))/\(id.number).sample.crash"
    }
    func gatesCrashMark(_ id: VersionID) -> String { "\(view(id.view))/\(id.number).gates.crash" }
    package func snapshots(_ name: String) -> String { view(name) + "/snapshots" }
    package func liveLink(_ name: String) -> String { view(name) + "/live.db" }
    /// The name of a link while it is being made.
    func newLink(_ name: String) -> String { liveLink(name) + ".new" }
    package func switchLock(_ name: String) -> String { view(name) + "/switch.lock" }

    /// Whether anything was ever put here.
    package var exists: Bool { access(path, F_OK) == 0 }

    /// - Throws: `.notFound` if there is no data folder.
    package func require() throws(KappaError) {
        // Reading from some unrelated folder must not leave a catalog there.
        if try IOFailure.isThere(log) { return }
        if try IOFailure.isThere(catalog) { return }
        var status = stat()
        let isFolder = stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
        throw KappaError(
            .notFound, "there is no data folder", at: path,
            because: !exists
                ? "it does not exist" : isFolder ? "it holds no log" : "it is not a folder",
            advice: "Append events first (`kappa append FILE`), or name the folder with --data")
    }

    /// - Throws: `.notFound` if the log ends before an offset, or was trimmed past it.
    package func requireLog(reaches offset: Offset) throws(KappaError) {
        let reader = try LogReader(log)
        let end = try reader.durableEnd()
        let beginning = try LogBeginning.read(log)
        if offset < beginning.first { throw beginning.lacks(offset, log) }
        if offset <= end { return }
        throw KappaError(
            .notFound, "offset \(offset) is past the end of the log", at: log,
            because: "the log ends at offset \(end)", advice: "Name an offset up to \(end)")
    }

    var viewsOnDisk: [String] { Folder.names(in: path + "/views") }

    /// The file that marks a scratch folder as made by kappa, so that it may be removed.
    static let scratchMark = ".kappa-scratch"

    /// Removes the scratch folders of killed processes, which no process locks. A folder that kappa did not
    /// make stays, whatever its name.
    func removeScratch() {
        for name in Folder.names(in: path) where name.hasPrefix("scratch-") {
            let scratch = "\(path)/\(name)"
            guard Folder.isFolder(scratch), Self.isMarked(scratch) || Self.isUnmarked(scratch),
                let folder = try? OpenFile(reading: scratch),
                flock(folder.descriptor, LOCK_EX | LOCK_NB) == 0
            else { continue }
            if Self.isMarked(scratch) { Folder.remove(scratch) } else { rmdir(scratch) }
        }
    }

    private static func isMarked(_ scratch: String) -> Bool {
        var mark = stat()
        return lstat("\(scratch)/\(scratchMark)", &mark) == 0 && mark.st_mode & S_IFMT == S_IFREG
    }

    /// Whether a folder looks like a scratch folder that was made but not yet marked: named by `mkdtemp`,
    /// private and empty. Since it is empty, removing it loses nothing, whoever made it.
    private static func isUnmarked(_ scratch: String) -> Bool {
        var status = stat()
        let suffix = scratch.utf8.reversed().prefix { $0 != UInt8(ascii: "-") }
        return suffix.count == 6 && lstat(scratch, &status) == 0
            && status.st_mode & 0o777 == 0o700 && status.st_uid == geteuid()
            && Folder.allNames(in: scratch) == []
    }

    /// Points the link of a view at a version. A new link is renamed over the old one, so the switch is
    /// atomic.
    func pointLink(of view: String, to number: VersionNumber) throws(KappaError) {
        let link = liveLink(view)
        let new = newLink(view)
        unlink(new)
        guard symlink("\(number).db", new) == 0, rename(new, link) == 0 else {
            throw IOFailure("rename", errno).error("cannot switch a view's link", at: link)
        }
        try Folder.sync(self.view(view))
    }

    func linkedNumber(of view: String) -> VersionNumber? {
        guard let target = Folder.target(ofLink: liveLink(view)), target.hasSuffix(".db") else {
            return nil
        }
        return Int(target.dropLast(3)).map { VersionNumber($0) }
    }

    func removeFiles(of id: VersionID) throws(KappaError) {
        for path in [file(id), sample(id)] { removeFile(path) }
        Snapshots(self).removeAll(of: id)
        for mark in [crashMark(id), sampleCrashMark(id), gatesCrashMark(id)] { unlink(mark) }
        unlink(lease(id))
        try Folder.sync(view(id.view))
    }
}
