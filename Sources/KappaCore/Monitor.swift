import CKappa
import Glibc

/// A lock with a condition to wait for, around some state: for threads that block.
///
/// `@unchecked Sendable`: the state is only ever touched inside of `withLock` and `wait`, which hold
/// the mutex; mutex and condition stay at one address for as long as the monitor lives.
package final class Monitor<State>: @unchecked Sendable {
    private var state: State
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    package init(_ state: sending State) {
        self.state = state
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Looks at the state or changes it, and wakes whoever waits.
    package func withLock<R, E: Error>(_ body: (inout State) throws(E) -> R) throws(E) -> R {
        pthread_mutex_lock(mutex)
        defer {
            pthread_cond_broadcast(condition)
            pthread_mutex_unlock(mutex)
        }
        return try body(&state)
    }

    /// Waits until `body` returns something.
    package func wait<R>(until body: (inout State) -> R?) -> R {
        pthread_mutex_lock(mutex)
        defer {
            pthread_cond_broadcast(condition)
            pthread_mutex_unlock(mutex)
        }
        while true {
            if let result = body(&state) { return result }
            pthread_cond_wait(condition, mutex)
        }
    }
}

/// A thread of its own, for work that blocks.
///
/// Such work stays off Swift's cooperative threads, of which there are few.
package final class WorkerThread: Sendable {
    private let finished = Monitor(false)

    /// Starts a thread. `name` is what debuggers and `top` show; up to 15 bytes.
    package init(_ name: String, _ body: @escaping @Sendable () -> Void) {
        let box = Unmanaged.passRetained(WorkBox(name, body, finished))
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
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
            }, box.toOpaque())
        pthread_attr_destroy(&attributes)
        precondition(code == 0, "the system has no thread left")
    }

    /// Keeps this thread, and all that are made from now on by it, to one core: for measurements.
    package static func stayOnOneCore() -> Bool { kappa_keep_to_one_core() }

    /// Whether the thread's work has returned, and what it held is freed.
    package var isFinished: Bool { finished.withLock { $0 } }

    /// Waits until the thread's work has returned, and what it held is let go of.
    package func join() { finished.wait { $0 ? () : nil } }
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
        finished.withLock { $0 = true }
    }
}

/// A short sleep between two looks, for what has no wake-up call.
package enum Pause {
    package static func briefly() { usleep(5_000) }
    /// Between two looks at what seldom changes.
    package static func forALook() { usleep(50_000) }
}
