import CKappa
import Glibc
import Synchronization

/// A thread of its own, for work that blocks.
///
/// Such work stays off Swift's cooperative threads, of which there are few.
package final class WorkerThread: Sendable {
    private let finished = Monitor(false)

    /// Starts a thread. `name` is what debuggers and `top` show; up to 15 bytes.
    /// - Throws: `.inputOutput` where the system makes no more threads for this process.
    package init(_ name: String, _ body: @escaping @Sendable () -> Void) throws(KappaError) {
        let box = WorkBox(name, body, finished)
        let code = Self.start(box)
        guard code == 0 else {
            box.forget()
            throw KappaError(
                .inputOutput, "a thread cannot be made", at: name,
                because: "pthread_create: \(String(cString: strerror(code)))",
                advice:
                    "Raise the limit on processes and threads (ulimit -u, or the container's), or "
                    + "end what else runs under this user")
        }
    }

    /// Returns zero or what went wrong.
    private static func start(_ box: WorkBox) -> Int32 {
        guard alive.add(1, ordering: .relaxed).newValue <= most.load(ordering: .relaxed) else {
            alive.subtract(1, ordering: .relaxed)
            return EAGAIN
        }
        let held = Unmanaged.passRetained(box)
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, 4 << 20)
        var thread = pthread_t()
        let code = pthread_create(
            &thread, &attributes,
            { argument in
                if let argument {
                    let box = Unmanaged<WorkBox>.fromOpaque(argument).takeRetainedValue()
                    kappa_name_thread(box.name)
                    box.run()
                }
                return nil
            }, held.toOpaque())
        if code != 0 {
            held.release()
            alive.subtract(1, ordering: .relaxed)
        } else {
            made.add(1, ordering: .relaxed)
        }
        return code
    }

    /// Keeps this thread, and all that are made from now on by it, to one core: for measurements.
    package static func stayOnOneCore() -> Bool { kappa_keep_to_one_core() }

    /// Whether the thread's work has returned, and what it held is freed.
    package var isFinished: Bool { finished.withLock { $0 } }

    /// Waits until the thread's work has returned, and what it held is free.
    package func join() { finished.wait { $0 ? () : nil } }

    // MARK: Counts

    fileprivate static let alive = Atomic<Int>(0)
    private static let made = Atomic<Int>(0)

    /// How many threads are at work in this process.
    package static var count: Int { alive.load(ordering: .relaxed) }
    /// How many this process has made in all.
    package static var countMade: Int { made.load(ordering: .relaxed) }

    /// The most that may be at work at once. Tests lower it: then no thread can be made, as where the
    /// system has none left.
    package static let most = Atomic<Int>(.max)
}

private final class WorkBox {
    let name: String
    private var work: (@Sendable () -> Void)?
    private let finished: Monitor<Bool>

    init(_ name: String, _ work: @escaping @Sendable () -> Void, _ finished: Monitor<Bool>) {
        self.name = name
        self.work = work
        self.finished = finished
    }

    func run() {
        work?()
        work = nil
        WorkerThread.alive.subtract(1, ordering: .relaxed)
        forget()
    }

    func forget() { finished.withLock { $0 = true } }
}

/// A short sleep between two looks, for what has no wake-up call.
package enum Pause {
    package static func briefly() { usleep(5_000) }
    /// Between two looks at what seldom changes.
    package static func forALook() { usleep(50_000) }
}
