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
