import Glibc

/// The right to materialize one version: a lock that ends with the process, however it ends.
package final class Lease: Sendable {
    package let id: VersionID
    private let file: OpenFile

    /// What the holder of a lease tells about its work.
    package struct Report: Equatable, Sendable {
        package var pid: Int32
        package var eventsPerSecond: Int

        package init(pid: Int32 = getpid(), eventsPerSecond: Int = 0) {
            self.pid = pid
            self.eventsPerSecond = eventsPerSecond
        }
    }

    /// Takes the lease of a version.
    /// - Throws: `.heldElsewhere` with the holder's process number.
    package init(_ id: VersionID, in folder: DataFolder) throws(KappaError) {
        self.id = id
        try DataFolder.make(folder.view(id.view))
        let path = folder.lease(id)
        do throws(IOFailure) {
            file = OpenFile(try SystemFiles().open(path, O_RDWR | O_CREAT), path: path)
        } catch {
            throw error.error("cannot open a lease", at: path)
        }
        guard Self.take(file) else {
            let holder = Self.read(file)?.pid
            throw KappaError(
                .heldElsewhere, "\(id) is materialized by another process",
                at: path, because: holder.map { "process \($0) holds its lease" },
                advice: "Wait until it has ended, or stop it\(holder.map { ": kill \($0)" } ?? "")")
        }
        report(Report())
    }

    deinit { flock(file.descriptor, LOCK_UN) }

    /// Somebody who only looks whether the lease is held holds it for a moment: so it tries again.
    private static func take(_ file: OpenFile) -> Bool {
        for _ in 0..<20 {
            if flock(file.descriptor, LOCK_EX | LOCK_NB) == 0 { return true }
            usleep(2_000)
        }
        return false
    }

    package func report(_ report: Report) {
        // Always as long, so that one write replaces the last report whole.
        var text = "\(report.pid) \(report.eventsPerSecond)"
        text += String(repeating: " ", count: max(0, 40 - text.utf8.count)) + "\n"
        _ = try? SystemFiles().write(file.descriptor, Array(text.utf8), at: 0)
    }

    /// Who holds the lease of a version now, and what it reports; nil if nobody does.
    package static func holder(of id: VersionID, in folder: DataFolder) -> Report? {
        guard let file = try? OpenFile(reading: folder.lease(id)) else { return nil }
        if flock(file.descriptor, LOCK_SH | LOCK_NB) == 0 {
            flock(file.descriptor, LOCK_UN)
            return nil
        }
        // Whoever has only just taken it has said nothing yet.
        return read(file) ?? Report(pid: 0)
    }

    private static func read(_ file: OpenFile) -> Report? {
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = bytes.withUnsafeMutableBytes { (try? file.read($0, at: 0)) ?? 0 }
        let words = String(decoding: bytes[0..<count], as: UTF8.self)
            .split(whereSeparator: \.isWhitespace)
        guard let pid = words.first.flatMap({ Int32($0) }) else { return nil }
        let rate = words.count > 1 ? Int(words[1]) ?? 0 : 0
        return Report(pid: pid, eventsPerSecond: rate)
    }
}

/// Keeps a view's live version still while it is switched.
///
/// Whoever materializes a live version holds it shared around each commit; a promotion holds it alone.
struct SwitchLock {
    private let file: OpenFile

    init(_ view: String, in folder: DataFolder) throws(KappaError) {
        try DataFolder.make(folder.view(view))
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
