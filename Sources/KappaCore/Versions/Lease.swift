import CKappa
import Glibc
import Synchronization

/// The right to materialize one version: a file lock that ends with the process, however it ends.
///
/// It also ends with ``release()``, or with the last reference to it. A process that restarts itself after a
/// crash keeps its leases, so no other process takes a version over in between.
package final class Lease: Sendable {
    package let id: VersionID
    private let path: String
    /// Nil after the release.
    private let file: Mutex<OpenFile?>

    /// What the holder of a lease reports about its work.
    package struct Report: Equatable, Sendable {
        package var pid: Int32
        package var eventsPerSecond: Int
        /// The position of a version whose file lags, as its rows have not changed since.
        package var position: Offset

        package init(
            pid: Int32 = getpid(), eventsPerSecond: Int = 0, position: Offset = .zero
        ) {
            self.pid = pid
            self.eventsPerSecond = eventsPerSecond
            self.position = position
        }
    }

    /// Takes the lease of a version.
    /// - Throws: `.heldElsewhere` with the holder's process number.
    package init(_ id: VersionID, in folder: DataFolder) throws(KappaError) {
        self.id = id
        path = folder.lease(id)
        try Folder.make(folder.view(id.view))
        let inherited = InheritedLeases.take(id, in: folder)
        let file = if let inherited { inherited } else { try Self.take(id, in: folder) }
        kappa_crash_keep_file(file.descriptor)
        self.file = Mutex(file)
        report(Report())
    }

    deinit { release() }

    /// Ends the lease now, whoever else refers to it. Calling it again does nothing.
    package func release() {
        file.withLock { file in
            guard let held = file else { return }
            kappa_crash_drop_file(held.descriptor)
            flock(held.descriptor, LOCK_UN)
            file = nil
        }
    }

    private static func take(
        _ id: VersionID, in folder: DataFolder
    ) throws(KappaError) -> OpenFile {
        let path = folder.lease(id)
        while true {
            let file: OpenFile
            do throws(IOFailure) {
                file = OpenFile(try SystemFiles().open(path, O_RDWR | O_CREAT), path: path)
            } catch {
                throw error.error("cannot open a lease", at: path)
            }
            let isTaken: Bool
            do throws(IOFailure) { isTaken = try take(file) } catch {
                throw error.error("cannot lock a lease", at: path)
            }
            guard isTaken else { throw heldElsewhere(id, by: read(file)?.pid, in: folder) }
            // The last holder may have dropped the version and removed the file: a lock on a file that no
            // longer has a name excludes no one.
            if file.nameLoss == nil { return file }
        }
    }

    /// Checks that nobody has removed or replaced the lease's file: another process could then take the
    /// version, too.
    /// - Throws: `.heldElsewhere`
    func requireItsName() throws(KappaError) {
        guard let loss = file.withLock({ $0?.identity?.loss(of: path) }) else { return }
        throw KappaError(
            .heldElsewhere, "the lease of \(id) is lost", at: path,
            because: loss,
            advice: "Leave a running program's files alone: another process may have taken \(id)")
    }

    /// The error for a lease that another process holds.
    static func heldElsewhere(
        _ id: VersionID, by pid: Int32?, in folder: DataFolder
    ) -> KappaError {
        // A process that has only just taken it has not reported yet.
        let holder = pid.flatMap { $0 > 0 ? $0 : nil }
        return KappaError(
            .heldElsewhere, "\(id) is materialized by another process", at: folder.lease(id),
            because: holder.map { "process \($0) holds its lease" },
            advice: "Wait until it has ended, or stop it\(holder.map { ": kill \($0)" } ?? "")")
    }

    /// Tries several times, since a process that only checks whether the lease is held holds it for a moment.
    private static func take(_ file: OpenFile) throws(IOFailure) -> Bool {
        for _ in 0..<20 {
            if flock(file.descriptor, LOCK_EX | LOCK_NB) == 0 { return true }
            guard errno == EWOULDBLOCK || errno == EINTR else { throw IOFailure("flock", errno) }
            usleep(2_000)
        }
        return false
    }

    package func report(_ report: Report) {
        // Always of the same length, so that one write replaces the whole of the last report.
        var text = "\(report.pid) \(report.eventsPerSecond) \(report.position)"
        text += String(repeating: " ", count: max(0, 63 - text.utf8.count)) + "\n"
        let bytes = Array(text.utf8)
        file.withLock { file in
            guard let file else { return }
            _ = try? SystemFiles().write(file.descriptor, bytes, at: 0)
        }
    }

    /// The latest report of the process that holds the lease of a version; nil if none holds it.
    package static func holder(of id: VersionID, in folder: DataFolder) -> Report? {
        if InheritedLeases.include(id, in: folder) { return nil }
        guard let file = try? OpenFile(reading: folder.lease(id)) else { return nil }
        if flock(file.descriptor, LOCK_SH | LOCK_NB) == 0 {
            flock(file.descriptor, LOCK_UN)
            return nil
        }
        // If the lock cannot be checked, the file may hold the report of an earlier holder.
        guard errno == EWOULDBLOCK else { return Report(pid: 0) }
        // A process that has only just taken it has not reported yet.
        return read(file) ?? Report(pid: 0)
    }

    /// How far a version is: its file lags while its rows do not change.
    package static func position(
        of id: VersionID, atLeast stored: Offset, in folder: DataFolder
    ) -> Offset {
        max(stored, holder(of: id, in: folder)?.position ?? .zero)
    }

    private static func read(_ file: OpenFile) -> Report? {
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = bytes.withUnsafeMutableBytes { (try? file.read($0, at: 0)) ?? 0 }
        let words = String(decoding: bytes[0..<count], as: UTF8.self)
            .split(whereSeparator: \.isWhitespace)
        guard let pid = words.first.flatMap({ Int32($0) }) else { return nil }
        let rate = words.count > 1 ? Int(words[1]) ?? 0 : 0
        let position = words.count > 2 ? Offset(parsing: String(words[2])) : nil
        return Report(pid: pid, eventsPerSecond: rate, position: position ?? .zero)
    }
}

/// The leases that this process held when a crash of a view's code made it restart itself.
package enum InheritedLeases {
    private static let files = Mutex<[OpenFile]>([])

    /// Finds them. Call it once, at the start of a program that has restarted itself.
    package static func find() {
        let folder = "/proc/self/fd"
        let descriptors = Folder.names(in: folder).compactMap { Int32($0) }
        // The first three are the standard ones.
        for descriptor in descriptors where descriptor > 2 {
            // All others close when a program starts.
            guard fcntl(descriptor, F_GETFD) & FD_CLOEXEC == 0,
                let path = Folder.target(ofLink: "\(folder)/\(descriptor)"),
                path.hasSuffix(".lease"), fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0
            else { continue }
            files.withLock { $0.append(OpenFile(descriptor, path: path)) }
        }
    }

    /// Releases the leases that have not been taken.
    package static func release() { files.withLock { $0 = [] } }

    static func include(_ id: VersionID, in folder: DataFolder) -> Bool {
        files.withLock { index(of: id, in: folder, $0) != nil }
    }

    fileprivate static func take(_ id: VersionID, in folder: DataFolder) -> OpenFile? {
        files.withLock { files in
            index(of: id, in: folder, files).map { files.remove(at: $0) }
        }
    }

    private static func index(
        of id: VersionID, in folder: DataFolder, _ files: [OpenFile]
    ) -> Int? {
        guard let lease = FileIdentity(of: folder.lease(id)) else { return nil }
        return files.firstIndex { $0.identity == lease }
    }
}

/// Keeps a view's versions from committing while the view is switched.
///
/// A process that materializes a version holds the lock shared around each commit; a promotion holds it
/// exclusively.
struct SwitchLock {
    private let file: OpenFile

    init(_ view: String, in folder: DataFolder) throws(KappaError) {
        try Folder.make(folder.view(view))
        let path = folder.switchLock(view)
        do throws(IOFailure) {
            file = OpenFile(try SystemFiles().open(path, O_RDWR | O_CREAT), path: path)
        } catch {
            throw error.error("cannot open a view's switch lock", at: path)
        }
    }

    func shared<R>(_ body: () throws -> R) throws -> R { try held(LOCK_SH, body) }
    func alone<R>(_ body: () throws -> R) throws -> R { try held(LOCK_EX, body) }

    private func held<R>(_ kind: Int32, _ body: () throws -> R) throws -> R {
        do throws(IOFailure) { try LockWatch.lock(file, kind) } catch {
            throw error.error("cannot lock a view", at: file.path)
        }
        defer { flock(file.descriptor, LOCK_UN) }
        return try body()
    }
}
