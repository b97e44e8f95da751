/// The tasks that wait until views have reached positions, for all views of one ``Kappa``.
///
/// One thread looks for all of them, and only while there are any. Commits of this process wake it; for commits of
/// other processes it looks every few milliseconds.
final class PositionWaiters: Sendable {
    private struct Waiter {
        let number: Int
        let view: String
        let offset: Offset
        let deadline: ContinuousClock.Instant?
        let answer: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var waiters: [Waiter] = []
        var lastNumber = 0
        /// Tasks that were cancelled before they began to wait.
        var cancelled: Set<Int> = []
        var hasCommitted = false
        var hasThread = false
        var isClosed = false

        mutating func take(where isMeant: (Waiter) -> Bool) -> [Waiter] {
            let taken = waiters.filter(isMeant)
            waiters.removeAll(where: isMeant)
            return taken
        }
    }

    private let readers: LiveReaders
    private let folder: String
    private let state = Monitor(State())

    /// How often to look for commits of other processes.
    private static let lookTime = Duration.milliseconds(2)
    /// How long the thread stays when nobody waits.
    private static let idleTime = Duration.seconds(2)

    init(_ readers: LiveReaders, folder: String) {
        self.readers = readers
        self.folder = folder
    }

    /// What a runner of this process calls, and asks.
    var hooks: CommitHooks {
        var hooks = CommitHooks()
        hooks.didCommit = { [weak self] in self?.state.withLock { $0.hasCommitted = true } }
        hooks.isAwaited = { [weak self] in self?.state.withLock { !$0.waiters.isEmpty } ?? false }
        return hooks
    }

    /// Returns once the position of a view's live version is past an offset.
    func wait(for view: String, past offset: Offset, atMost time: Duration?) async throws {
        let number = state.withLock { state in
            state.lastNumber += 1
            return state.lastNumber
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { answer in
                let waiter = Waiter(
                    number: number, view: view, offset: offset,
                    deadline: time.map { .now + $0 }, answer: answer)
                let (refusal, needsThread) = state.withLock { state -> ((any Error)?, Bool) in
                    if state.isClosed { return (KappaError.closed(folder), false) }
                    if state.cancelled.remove(number) != nil { return (CancellationError(), false) }
                    state.waiters.append(waiter)
                    state.hasCommitted = true
                    defer { state.hasThread = true }
                    return (nil, !state.hasThread)
                }
                if let refusal { answer.resume(throwing: refusal) }
                if needsThread { start() }
            }
        } onCancel: {
            let taken = state.withLock { state in
                let taken = state.take { $0.number == number }
                if taken.isEmpty { state.cancelled.insert(number) }
                return taken
            }
            for waiter in taken { waiter.answer.resume(throwing: CancellationError()) }
        }
        // A task may be cancelled after it was answered.
        state.withLock { state in _ = state.cancelled.remove(number) }
    }

    /// Those who wait get an error.
    func close() {
        let taken = state.withLock { state in
            state.isClosed = true
            state.hasCommitted = true
            return state.take { _ in true }
        }
        for waiter in taken { waiter.answer.resume(throwing: KappaError.closed(folder)) }
    }

    private func start() {
        do throws(KappaError) {
            _ = try WorkerThread("kappa-wait") { self.work() }
        } catch {
            let taken = state.withLock { state in
                state.hasThread = false
                return state.take { _ in true }
            }
            for waiter in taken { waiter.answer.resume(throwing: error) }
        }
    }

    private func work() {
        var isIdle = false
        while true {
            let wait = isIdle ? Self.idleTime : Self.lookTime
            let isWoken = state.wait(atMost: wait) { $0.hasCommitted ? true : nil } ?? false
            let views = state.withLock { state -> Set<String>? in
                state.hasCommitted = false
                if state.waiters.isEmpty, state.isClosed || isIdle && !isWoken {
                    state.hasThread = false
                    return nil
                }
                return Set(state.waiters.map(\.view))
            }
            guard let views else { return }
            isIdle = views.isEmpty
            for view in views { look(view) }
        }
    }

    private func look(_ view: String) {
        let position = Result { try readers.position(view) }
        let now = ContinuousClock.now
        let taken = state.withLock { state in
            state.take { waiter in
                guard waiter.view == view else { return false }
                if case .success(let position) = position {
                    if let position, position > waiter.offset { return true }
                    return waiter.deadline.map { $0 <= now } ?? false
                }
                return true
            }
        }
        for waiter in taken {
            switch position {
            case .failure(let error): waiter.answer.resume(throwing: error)
            case .success(let position):
                if let position, position > waiter.offset {
                    waiter.answer.resume()
                } else {
                    waiter.answer.resume(throwing: Self.late(waiter, position))
                }
            }
        }
    }

    private static func late(_ waiter: Waiter, _ position: Offset?) -> KappaError {
        KappaError(
            .unreachable, "view \(waiter.view) has not taken the event at offset \(waiter.offset)",
            because: position.map { "its live version is at position \($0)" }
                ?? "it has no live version yet",
            advice: "Wait longer, or see `kappa status`: a process must run the view")
    }
}
