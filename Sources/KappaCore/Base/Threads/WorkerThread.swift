import CKappa
import Glibc
import Synchronization

/// A dedicated thread, for work that blocks.
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

    /// A view's code may recurse, as the decoding of a type that contains itself does. Memory is used only
    /// for what a thread reaches.
    private static let stackBytes = 16 << 20

    /// Returns 0 or an error number.
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
        pthread_attr_setstacksize(&attributes, stackBytes)
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

    /// Pins this thread, and all that it starts from now on, to one core; for measurements.
    package static func stayOnOneCore() -> Bool { kappa_keep_to_one_core() }

    /// Whether the thread's work has returned and has released what it held.
    package var isFinished: Bool { finished.withLock { $0 } }

    /// Waits until the thread's work has returned and has released what it held.
    package func join() { finished.wait { $0 ? () : nil } }

    // MARK: Counts

    fileprivate static let alive = Atomic<Int>(0)
    private static let made = Atomic<Int>(0)

    /// How many threads are running in this process.
    package static var count: Int { alive.load(ordering: .relaxed) }
    /// How many this process has started in all.
    package static var countMade: Int { made.load(ordering: .relaxed) }

    /// The most that may run at once. Tests lower it to simulate a system that has no threads left.
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

/// A short sleep between two polls, where nothing can wake the waiting thread.
package enum Pause {
    package static func briefly() { usleep(5_000) }
    /// Between two polls of something that seldom changes.
    package static func forALook() { usleep(50_000) }
}

/// A pool of threads for calls that block: as many as there are calls, up to a limit.
///
/// A task is suspended until its call is done, so there are never more waiting calls than tasks. An idle
/// thread stays for a while before it ends.
final class CallThreads: Sendable {
    /// A call: how to run it, and how to fail its task where it cannot be run.
    private struct Call {
        var run: @Sendable () -> Void
        var fail: @Sendable (KappaError) -> Void
    }

    private struct State {
        var calls = BoundedQueue<Call>()
        var threads = 0
        /// Threads that have no call.
        var idle = 0
        var isClosed = false

        /// An idle thread takes a call, or ends where there is none.
        mutating func endIdling() -> Call? {
            idle -= 1
            let call = calls.popFirst()
            if call == nil { threads -= 1 }
            return call
        }
    }

    private let name: String
    private let limit: Int
    private let idleTime: Duration
    private let state = Monitor(State())

    init(_ name: String, limit: Int, idleTime: Duration = .seconds(5)) {
        self.name = name
        self.limit = limit
        self.idleTime = idleTime
    }

    /// How many threads there are.
    var threadCount: Int { state.withLock { $0.threads } }

    /// Runs a call on one of the threads, in the order in which the calls come.
    /// - Throws: What the call throws; ``KappaError`` where there is no thread and none can be made.
    func perform<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
        try await withCheckedThrowingContinuation { continuation in
            add(
                Call(
                    run: { continuation.resume(with: Result { try body() }) },
                    fail: { continuation.resume(throwing: $0) }))
        }
    }

    /// Lets the threads end once all calls are done.
    func close() { state.withLock { $0.isClosed = true } }

    private func add(_ call: Call) {
        let needsThread = state.withLock { state in
            state.calls.append(call)
            guard state.threads < limit, state.calls.count > state.idle else { return false }
            state.threads += 1
            return true
        }
        guard needsThread else { return }
        do throws(KappaError) {
            _ = try WorkerThread(name) { self.work() }
        } catch {
            // Another thread may still run the call. If there is none, all waiting calls fail.
            let calls = state.withLock { state in
                state.threads -= 1
                return state.threads == 0 ? state.calls.popFirst(upToBytes: .max) : []
            }
            for call in calls { call.fail(error) }
        }
    }

    private func work() {
        while let call = nextCall() { call.run() }
    }

    /// The next call; nil where none has come for ``idleTime``, or the pool is closed and has none left.
    private func nextCall() -> Call? {
        let next = state.withLock { state in
            if state.calls.isEmpty { state.idle += 1 }
            return state.calls.popFirst()
        }
        if let next { return next }
        let call = state.wait(atMost: idleTime) { state -> Call?? in
            guard state.isClosed || !state.calls.isEmpty else { return nil }
            return .some(state.endIdling())
        }
        // After a timeout, a call may have come in the meantime.
        return call ?? state.withLock { $0.endIdling() }
    }
}
