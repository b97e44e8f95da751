import Glibc

/// Locks files, and reports who holds a lock that somebody waits for.
package enum LockWatch {
    /// The process that holds a lock.
    package struct Holder: Equatable, Sendable {
        package var pid: Int32
        /// Its command line; empty where that cannot be read.
        package var command: String
        /// Whether a signal has stopped it: it then releases nothing until somebody continues it.
        package var isStopped: Bool
    }

    /// Sets the listener that is called once for each wait that has lasted ``patience``.
    /// - Parameter listener: Gets the path of the lock's file, and who holds it, where that is known.
    package static func listen(_ listener: @escaping @Sendable (String, Holder?) -> Void) {
        state.withLock { $0.listener = listener }
    }

    /// How long a wait may last before it is reported.
    package static let patience: Duration = .seconds(5)

    /// Locks an open file, waiting for as long as others hold it.
    static func lock(_ file: OpenFile, _ kind: Int32) throws(IOFailure) {
        // The lock is nearly always free.
        if flock(file.descriptor, kind | LOCK_NB) == 0 { return }
        let wait = begin(file)
        defer { state.withLock { $0.waits[wait] = nil } }
        while flock(file.descriptor, kind) != 0 {
            if errno != EINTR { throw IOFailure("flock", errno) }
        }
    }

    // MARK: Waiting

    private struct State {
        var listener: (@Sendable (String, Holder?) -> Void)?
        var waits: [Int: Wait] = [:]
        var nextWait = 0
        /// Whether a thread watches the waits.
        var isWatched = false
    }

    private struct Wait {
        var file: OpenFile
        var start: ContinuousClock.Instant
        var wasReported = false
    }

    private static let state = Monitor(State())

    private static func begin(_ file: OpenFile) -> Int {
        let (wait, startsWatch) = state.withLock { state in
            let wait = state.nextWait
            state.nextWait += 1
            state.waits[wait] = Wait(file: file, start: .now)
            let startsWatch = !state.isWatched && state.listener != nil
            if startsWatch { state.isWatched = true }
            return (wait, startsWatch)
        }
        // If no thread can be started, the wait is not reported; the wait itself continues.
        if startsWatch, (try? WorkerThread("kappa-locks") { while watch() {} }) == nil {
            state.withLock { $0.isWatched = false }
        }
        return wait
    }

    /// Checks all waits once; false where there are none left.
    private static func watch() -> Bool {
        Pause.forALook()
        let (late, listener, hasWaits) = state.withLock { state in
            let now = ContinuousClock.now
            var late: [OpenFile] = []
            for (key, wait) in state.waits where !wait.wasReported && now - wait.start >= patience {
                state.waits[key]?.wasReported = true
                late.append(wait.file)
            }
            state.isWatched = !state.waits.isEmpty
            return (late, state.listener, state.isWatched)
        }
        for file in late { listener?(file.path, holder(of: file)) }
        return hasWaits
    }

    // MARK: The holder

    /// Who holds the lock of a file, according to the system's list.
    package static func holder(of path: String) -> Holder? {
        (try? OpenFile(reading: path)).flatMap { holder(of: $0) }
    }

    private static func holder(of file: OpenFile) -> Holder? {
        var status = stat()
        guard fstat(file.descriptor, &status) == 0 else { return nil }
        // `1: FLOCK  ADVISORY  WRITE 4711 08:01:131 0 EOF`; a process that waits has an arrow before the
        // kind.
        for line in text(of: "/proc/locks").split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count > 5, words[1] == "FLOCK", let pid = Int32(words[4]),
                words[5].split(separator: ":").last == "\(status.st_ino)"
            else { continue }
            return Holder(
                pid: pid, command: command(of: pid), isStopped: isStopped(pid))
        }
        return nil
    }

    private static func command(of pid: Int32) -> String {
        let words = text(of: "/proc/\(pid)/cmdline").split(separator: "\0")
        return String(words.joined(separator: " ").prefix(120))
    }

    /// The state follows the name, which is in parentheses and may hold anything.
    private static func isStopped(_ pid: Int32) -> Bool {
        let words = text(of: "/proc/\(pid)/stat").split(separator: ")").last?.split(separator: " ")
        return words?.first == "T" || words?.first == "t"
    }

    private static func text(of path: String) -> String {
        guard let file = try? OpenFile(reading: path) else { return "" }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = piece.withUnsafeMutableBytes { (try? file.read($0, at: bytes.count)) ?? 0 }
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += piece[..<count]
        }
    }
}
