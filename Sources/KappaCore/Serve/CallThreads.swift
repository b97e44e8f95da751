/// Threads for calls that block, shared by all who call: as many as there are calls, up to a limit.
///
/// A program that appends a thousand events at once gets no thousand threads; those that wait for one
/// fsync share it all the same.
final class CallThreads: Sendable {
    static let shared = CallThreads(limit: 64)

    private struct State {
        var calls: [@Sendable () -> Void] = []
        /// Calls before this one have been taken.
        var next = 0
        var threads = 0
    }

    private let limit: Int
    private let state = Monitor(State())

    init(limit: Int) { self.limit = limit }

    /// Runs a call on one of the threads, in the order in which the calls come.
    func perform<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
        try await withCheckedThrowingContinuation { continuation in
            add { continuation.resume(with: Result { try body() }) }
        }
    }

    private func add(_ call: @escaping @Sendable () -> Void) {
        let needsThread = state.withLock { state in
            state.calls.append(call)
            guard state.threads < limit else { return false }
            state.threads += 1
            return true
        }
        if needsThread { _ = WorkerThread("kappa-call") { self.work() } }
    }

    /// A thread ends when no call is left for it.
    private func work() {
        while let call = take() { call() }
    }

    private func take() -> (@Sendable () -> Void)? {
        state.withLock { state in
            guard state.next < state.calls.count else {
                state.threads -= 1
                return nil
            }
            let call = state.calls[state.next]
            state.next += 1
            if state.next == state.calls.count {
                state.calls.removeAll(keepingCapacity: true)
                state.next = 0
            }
            return call
        }
    }
}
