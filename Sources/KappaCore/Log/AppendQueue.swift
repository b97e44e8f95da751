/// The queue of appends that Swift tasks make to one log.
///
/// A task hands over its lines and is suspended. One thread takes everything that is queued, writes it, waits
/// for the disk once for all of it, and resumes the tasks. So appends do not need a thread each, and do not
/// block Swift's thread pool. When the queue is empty, the thread stays for `idleTime`.
///
/// The queue is bounded in bytes: if there is no room, a task is suspended before it makes its lines.
final class AppendQueue: Sendable {
    private typealias Answer = CheckedContinuation<LogWriter.AppendResult, any Error>

    private struct Request {
        var append: LogWriter.Append
        var answer: Answer
    }

    private struct State {
        var requests = BoundedQueue<Request>(mostBytes: AppendQueue.mostBytes)
        /// Tasks waiting for room.
        var entrants = BoundedQueue<CheckedContinuation<Void, Never>>()
        var hasThread = false
        /// Nil once the queue is closed and everything handed over has been appended. That closes the files.
        var writer: LogWriter?
        var isClosed = false

        mutating func end() {
            hasThread = false
            if isClosed { writer = nil }
        }

        /// The tasks to let in now: only a few, because the sizes of their lines are not known yet.
        mutating func takeEntrants(_ most: Int) -> [CheckedContinuation<Void, Never>] {
            var taken: [CheckedContinuation<Void, Never>] = []
            while taken.count < most, requests.hasRoom, let entrant = entrants.popFirst() {
                taken.append(entrant)
            }
            return taken
        }
    }

    private let state: Monitor<State>
    private let idleTime: Duration

    static let mostBytes = 16 << 20
    /// How much is committed at once.
    private static let groupBytes = 4 << 20
    /// How many tasks are let in together when there is room again.
    private static let entrantsAtOnce = 32

    init(_ writer: LogWriter, idleTime: Duration = .seconds(5)) {
        state = Monitor(State(writer: writer))
        self.idleTime = idleTime
    }

    /// How many bytes wait to be appended.
    var waitingBytes: Int { state.withLock { $0.requests.bytes } }

    /// Makes lines when there is room for them, and returns once they are durable.
    func append(
        _ make: () throws -> LogWriter.Append
    ) async throws -> LogWriter.AppendResult {
        await enter()
        let made: LogWriter.Append
        do { made = try make() } catch {
            admit(1)
            throw error
        }
        return try await withCheckedThrowingContinuation { answer in
            let needsThread = state.withLock { state in
                state.requests.append(
                    Request(append: made, answer: answer), bytes: made.lines.bytes.count)
                defer { state.hasThread = true }
                return !state.hasThread
            }
            // Each task that was let in lets in the next one, as long as there is room.
            admit(1)
            if needsThread { start() }
        }
    }

    /// Ends the thread and closes the log's files, once everything handed over has been appended. The caller
    /// makes sure that no append follows.
    func close() {
        state.withLock { state in
            state.isClosed = true
            if !state.hasThread { state.end() }
        }
    }

    private func enter() async {
        let hasRoom = state.withLock { $0.requests.hasRoom && $0.entrants.isEmpty }
        if hasRoom { return }
        await withCheckedContinuation { entrant in
            let mayEnter = state.withLock { state in
                if state.requests.hasRoom, state.entrants.isEmpty { return true }
                state.entrants.append(entrant)
                return false
            }
            if mayEnter { entrant.resume() }
        }
    }

    private func admit(_ most: Int) {
        for entrant in state.withLock({ $0.takeEntrants(most) }) { entrant.resume() }
    }

    private func start() {
        do throws(KappaError) {
            _ = try WorkerThread("kappa-append") { self.work() }
        } catch {
            // This includes requests that arrived meanwhile and relied on the thread.
            let (requests, entrants) = state.withLock { state in
                state.end()
                return (
                    state.requests.popFirst(upToBytes: .max), state.takeEntrants(.max)
                )
            }
            for request in requests { request.answer.resume(throwing: error) }
            for entrant in entrants { entrant.resume() }
        }
    }

    private func work() {
        while let (writer, group) = nextGroup() {
            let results = writer.append(group: group.map(\.append))
            for (request, result) in zip(group, results) { request.answer.resume(with: result) }
        }
    }

    /// The queued requests; nil if none arrived for `idleTime`, or if the queue is closed and empty.
    private func nextGroup() -> (LogWriter, [Request])? {
        while true {
            let group = state.wait(atMost: idleTime) { state -> (LogWriter?, [Request])? in
                guard state.isClosed || !state.requests.isEmpty else { return nil }
                return (state.writer, state.requests.popFirst(upToBytes: Self.groupBytes))
            }
            if let (writer, requests) = group, let writer, !requests.isEmpty {
                admit(Self.entrantsAtOnce)
                return (writer, requests)
            }
            // A request may have arrived since the wait ended.
            let isOver = state.withLock { state in
                guard state.requests.isEmpty else { return false }
                state.end()
                return true
            }
            if isOver { return nil }
        }
    }
}
