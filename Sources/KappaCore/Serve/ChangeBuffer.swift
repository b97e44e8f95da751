/// Changes on their way from the thread that reads them to a task that awaits them.
///
/// It holds a few at most, by their number and by their bytes: the thread looks for room before it puts
/// any in, and reads for others meanwhile. One task takes; a second one that takes at the same time is
/// refused.
final class ChangeBuffer: Sendable {
    fileprivate typealias Reader = CheckedContinuation<Change?, any Error>

    fileprivate struct State {
        var changes = BoundedQueue<Change>(
            mostCount: ChangeBuffer.mostCount, mostBytes: ChangeBuffer.mostBytes)
        /// How often a task has asked for the next one.
        var asked = 0
        /// The reader has gone.
        var isEnded = false
        /// No more will come; an error says why.
        var end: Result<Void, any Error>?
        /// A task that waits.
        var reader: Reader?
        /// The thread has found no room.
        var isAwaited = false
    }

    static let mostCount = 1_024
    static let mostBytes = 256 << 10

    private let view: String
    private let state = Monitor(State())
    /// Tells the thread that there is room again, or that the reader has gone.
    private let signal: @Sendable () -> Void

    init(_ view: String, signal: @escaping @Sendable () -> Void = {}) {
        self.view = view
        self.signal = signal
    }

    // MARK: For the thread

    /// How many wait to be taken, and their bytes.
    var held: (count: Int, bytes: Int) { state.withLock { ($0.changes.count, $0.changes.bytes) } }

    /// Whether nobody takes any more.
    var isEnded: Bool { state.withLock { $0.isEnded } }

    /// How often a task has asked for the next one.
    var asked: Int { state.withLock { $0.asked } }

    /// What may be put in. Without any room, the thread is told when there is.
    func room() -> FollowerRoom {
        state.withLock { state in
            state.isAwaited = !state.changes.hasRoom
            return FollowerRoom(
                changes: Self.mostCount - state.changes.count,
                bytes: Self.mostBytes - state.changes.bytes)
        }
    }

    /// Hands a change over. The caller has looked for room.
    /// - Throws: `CancellationError` where the reader has gone.
    func put(_ change: Change) throws {
        let (reader, isEnded) = state.withLock { state in
            let reader = state.reader.take()
            if reader == nil, !state.isEnded { state.changes.append(change, bytes: change.bytes) }
            return (reader, state.isEnded)
        }
        if isEnded { throw CancellationError() }
        reader?.resume(returning: change)
    }

    /// No more will come.
    func finish(_ end: Result<Void, any Error>) {
        let reader = state.withLock { state in
            state.end = end
            return state.reader.take()
        }
        reader?.resume(with: end.map { nil })
    }

    // MARK: For the task

    /// The next change; nil after the last one, or where the task is cancelled.
    /// - Throws: ``KappaError``, `.usage`, where another task waits for the next one.
    func next() async throws -> Change? {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { reader in
                let (outcome, isRoom) = state.withLock { $0.take(for: reader, view) }
                if let outcome { reader.resume(with: outcome) }
                if isRoom { signal() }
            }
        } onCancel: {
            end()
        }
    }

    /// The reader goes.
    func end() {
        let reader = state.withLock { state in
            state.isEnded = true
            state.changes = BoundedQueue()
            return state.reader.take()
        }
        reader?.resume(returning: nil)
        signal()
    }
}

extension ChangeBuffer.State {
    /// What a task gets at once, nil where it has to wait; and whether to wake the thread because there is room.
    fileprivate mutating func take(
        for task: ChangeBuffer.Reader, _ view: String
    ) -> (Result<Change?, any Error>?, Bool) {
        if reader != nil { return (.failure(KappaError.iteratedTwice(view)), false) }
        asked += 1
        if isEnded { return (.success(nil), false) }
        if let change = changes.popFirst() {
            // Half of it, so that the thread has something to do when it looks.
            let isRoom =
                isAwaited && changes.count <= ChangeBuffer.mostCount / 2
                && changes.bytes <= ChangeBuffer.mostBytes / 2
            if isRoom { isAwaited = false }
            return (.success(change), isRoom)
        }
        if let end { return (end.map { nil }, false) }
        reader = task
        return (nil, false)
    }
}

extension KappaError {
    fileprivate static func iteratedTwice(_ view: String) -> KappaError {
        KappaError(
            .usage, "the changes of \(view) are iterated by two tasks at once",
            because:
                "each change comes once, so that either task would miss what the other one gets",
            advice: "Call changes(of:) once for each task")
    }
}

/// The changes of a view as they commit: see ``Kappa/changes(of:)``.
///
/// One task iterates it. Changes come once: a second loop continues where the first one ended.
public struct ChangeStream: AsyncSequence, Sendable {
    public typealias Element = Change

    private let reader: ChangeReader

    init(_ buffer: ChangeBuffer) { reader = ChangeReader(buffer) }

    public func makeAsyncIterator() -> Iterator { Iterator(reader: reader) }

    public struct Iterator: AsyncIteratorProtocol {
        fileprivate let reader: ChangeReader

        /// The next change; nil where the ``Kappa`` was closed or the task was cancelled.
        /// - Throws: ``KappaError``: `.notFound` where changes are no longer kept that this reader has not
        ///   read; `.usage` where another task waits for the next change, too.
        public func next() async throws -> Change? { try await reader.next() }
    }
}

/// The reading end: when nobody has it any more, nothing is read for it.
private final class ChangeReader: Sendable {
    private let buffer: ChangeBuffer
    init(_ buffer: ChangeBuffer) { self.buffer = buffer }
    deinit { buffer.end() }
    func next() async throws -> Change? { try await buffer.next() }
}
