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

/// Threads for calls that block: as many as there are calls, up to a limit.
///
/// A task that calls is suspended until its call is done, so that no more calls wait than there are
/// tasks. A thread stays for a while when no call is left for it.
final class CallThreads: Sendable {
    /// A call, or what its task gets where it cannot be run.
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

        /// A thread takes a call, or ends where there is none.
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

    /// Has the threads end when their calls are done.
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
            // Another thread may get to it; without any, nobody does.
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

    /// The next call; nil where none has come for a while, or where none will.
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
        // Where the time is over, a call may have come between then and now.
        return call ?? state.withLock { $0.endIdling() }
    }
}
