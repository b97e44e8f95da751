import Glibc
import KappaCore
import Synchronization

/// SIGINT and SIGTERM: the first one asks for a stop at the next commit, the second one ends at once.
/// A command that has nothing to bring to an end is ended by the first.
enum Interrupt {
    private static let count = Atomic<Int>(0)
    private static let isGentle = Atomic<Bool>(false)
    private static let first = Atomic<Int32>(SIGINT)
    private static let actions = Monitor<[@Sendable () -> Void]>([])

    static var wasAsked: Bool { count.load(ordering: .relaxed) > 0 }

    /// Somebody does not want to wait for the end of something that leaves nothing behind.
    struct Stopped: Error {}

    /// Throws ``Stopped`` where a stop was asked for.
    static func check() throws { if wasAsked { throw Stopped() } }

    /// As shells tell that a signal ended a program.
    static var exitCode: Int32 { 128 + first.load(ordering: .relaxed) }

    /// From now on the first signal only asks.
    static func stopGently() { isGentle.store(true, ordering: .relaxed) }

    /// Waits for the signals on a thread of its own: a handler may do next to nothing.
    static func install() {
        signal(SIGPIPE, SIG_IGN)
        // A file that grows past `ulimit -f` is then an error like any other.
        signal(SIGXFSZ, SIG_IGN)
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGINT)
        sigaddset(&set, SIGTERM)
        // Threads that are made later inherit the mask, so only the waiting one gets the signals.
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
        // Without the thread a signal ends the program at once, as it would any other.
        if thread == nil { pthread_sigmask(SIG_UNBLOCK, &set, nil) }
    }

    /// Has `action` called when a stop is asked for, or now if it was already.
    static func onStop(_ action: @escaping @Sendable () -> Void) {
        actions.withLock { $0.append(action) }
        if wasAsked { action() }
    }
}
