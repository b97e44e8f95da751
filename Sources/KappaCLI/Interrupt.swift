import Glibc
import KappaCore
import Synchronization

/// Handles SIGINT and SIGTERM. The first signal asks for a stop at the next commit, the second one ends the
/// process at once. A command that needs no orderly stop is ended by the first.
enum Interrupt {
    private static let count = Atomic<Int>(0)
    private static let isGentle = Atomic<Bool>(false)
    private static let first = Atomic<Int32>(SIGINT)
    private static let actions = Monitor<[@Sendable () -> Void]>([])

    static var wasAsked: Bool { count.load(ordering: .relaxed) > 0 }

    /// Thrown to interrupt work that changes nothing, so that it can end at any time.
    struct Stopped: Error {}

    /// Throws ``Stopped`` if a stop was asked for.
    static func check() throws { if wasAsked { throw Stopped() } }

    /// The exit code by which shells report that a signal ended a program.
    static var exitCode: Int32 { 128 + first.load(ordering: .relaxed) }

    /// From now on the first signal only asks for a stop.
    static func stopGently() { isGentle.store(true, ordering: .relaxed) }

    /// Waits for the signals on a separate thread, because a signal handler may do next to nothing.
    static func install() {
        signal(SIGPIPE, SIG_IGN)
        // A file that grows past `ulimit -f` is then an error like any other.
        signal(SIGXFSZ, SIG_IGN)
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGINT)
        sigaddset(&set, SIGTERM)
        // Threads started later inherit the mask, so only the waiting thread gets the signals.
        pthread_sigmask(SIG_BLOCK, &set, nil)
        let thread = try? WorkerThread("kappa-signals") {
            var set = sigset_t()
            sigemptyset(&set)
            sigaddset(&set, SIGINT)
            sigaddset(&set, SIGTERM)
            while true {
                var received: Int32 = 0
                guard sigwait(&set, &received) == 0 else { return }
                let isFirst = count.load(ordering: .relaxed) == 0
                guard isFirst, isGentle.load(ordering: .relaxed) else { _exit(128 + received) }
                first.store(received, ordering: .relaxed)
                Restart.forbid()
                count.add(1, ordering: .relaxed)
                for action in actions.withLock({ $0 }) { action() }
            }
        }
        // Without the thread, a signal ends the program at once, as it ends any other.
        if thread == nil { pthread_sigmask(SIG_UNBLOCK, &set, nil) }
    }

    /// Calls `action` when a stop is asked for, or now if that has already happened.
    static func onStop(_ action: @escaping @Sendable () -> Void) {
        actions.withLock { $0.append(action) }
        if wasAsked { action() }
    }
}
