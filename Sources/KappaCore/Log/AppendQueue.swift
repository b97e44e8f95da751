/// Appends of tasks on their way into one log.
///
/// A task hands its lines over and is suspended. One thread takes what has come together, writes it, waits
/// for the disk once for all of it, and resumes the tasks: so there is no thread for each append, and none
/// of Swift's own is blocked. It stays for a while when nothing comes.
///
/// What waits is bounded in bytes: a task whose lines have no room is suspended before it makes them.
final class AppendQueue: Sendable {
    private typealias Answer = CheckedContinuation<LogWriter.AppendResult, any Error>

    private struct Request {
        var lines: EventLines
        var answer: Answer
    }

    private struct State {
        var requests = BoundedQueue<Request>(mostBytes: AppendQueue.mostBytes)
        /// Tasks that wait for room.
        var entrants = BoundedQueue<CheckedContinuation<Void, Never>>()
        var hasThread = false
        /// Nil when it is closed and all is appended that was handed over: then its files are closed.
        var writer: LogWriter?
        var isClosed = false

        mutating func end() {
            hasThread = false
            if isClosed { writer = nil }
        }

        /// Who may come in now: a few only, since it is not known yet how much they bring.
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
    /// So much is committed at once.
    private static let groupBytes = 4 << 20
    /// So many tasks are let in together when there is room again.
    private static let entrantsAtOnce = 32

    init(_ writer: LogWriter, idleTime: Duration = .seconds(5)) {
        state = Monitor(State(writer: writer))
        self.idleTime = idleTime
    }

    /// How many bytes wait to be appended.
    var waitingBytes: Int { state.withLock { $0.requests.bytes } }

    /// Makes lines when there is room for them, and returns once they are durable.
    func append(
        _ lines: () throws -> EventLines
    ) async throws -> LogWriter.AppendResult {
        await enter()
        let made: EventLines
        do { made = try lines() } catch {
            admit(1)
            throw error
        }
        return try await withCheckedThrowingContinuation { answer in
            let needsThread = state.withLock { state in
                state.requests.append(Request(lines: made, answer: answer), bytes: made.bytes.count)
                defer { state.hasThread = true }
                return !state.hasThread
            }
            // Whoever came in lets the next one in, for as long as there is room.
            admit(1)
            if needsThread { start() }
        }
    }

    /// Has the thread end, and the log's files closed, when all is appended that was handed over. The
    /// caller sees to it that nothing comes any more.
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
            // Those too that came meanwhile and relied on the thread.
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
            let results = writer.append(group: group.map(\.lines))
            for (request, result) in zip(group, results) { request.answer.resume(with: result) }
        }
    }

    /// What has come together; nil where nothing has for a while, or where nothing will.
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
            // Something may have come between the end of the wait and now.
            let isOver = state.withLock { state in
                guard state.requests.isEmpty else { return false }
                state.end()
                return true
            }
            if isOver { return nil }
        }
    }
}
