/// A bounded queue of changes between the thread that reads them and the task that awaits them.
///
/// Both the number of changes and their bytes are limited. The thread checks for room before it adds any;
/// while there is none, it serves other followers. One task consumes the queue; a second task that asks at
/// the same time gets an error.
final class ChangeBuffer: Sendable {
    fileprivate typealias Reader = CheckedContinuation<Change?, any Error>

    fileprivate struct State {
        var changes = BoundedQueue<Change>(
            mostCount: ChangeBuffer.mostCount, mostBytes: ChangeBuffer.mostBytes)
        /// How often a task has asked for the next change.
        var asked = 0
        /// The reader is gone.
        var isEnded = false
        /// Set when no more changes will come; an error says why.
        var end: Result<Void, any Error>?
        /// The task that waits for a change.
        var reader: Reader?
        /// The thread found no room and waits for some.
        var isAwaited = false
    }

    static let mostCount = 1_024
    static let mostBytes = 256 << 10

    private let view: String
    private let state = Monitor(State())
    /// Tells the thread that there is room again, or that the reader is gone.
    private let signal: @Sendable () -> Void

    init(_ view: String, signal: @escaping @Sendable () -> Void = {}) {
        self.view = view
        self.signal = signal
    }

    // MARK: For the thread

    /// How many changes wait for the reader, and their bytes.
    var held: (count: Int, bytes: Int) { state.withLock { ($0.changes.count, $0.changes.bytes) } }

    /// Whether the reader is gone.
    var isEnded: Bool { state.withLock { $0.isEnded } }

    /// How often a task has asked for the next change.
    var asked: Int { state.withLock { $0.asked } }

    /// How much the thread may add. If there is no room, the buffer signals the thread once there is.
    func room() -> FollowerRoom {
        state.withLock { state in
            state.isAwaited = !state.changes.hasRoom
            return FollowerRoom(
                changes: Self.mostCount - state.changes.count,
                bytes: Self.mostBytes - state.changes.bytes)
        }
    }

    /// Hands a change over. The caller has checked for room.
    /// - Throws: `CancellationError` if the reader is gone.
    func put(_ change: Change) throws {
        let (reader, isEnded) = state.withLock { state in
            let reader = state.reader.take()
            if reader == nil, !state.isEnded { state.changes.append(change, bytes: change.bytes) }
            return (reader, state.isEnded)
        }
        if isEnded { throw CancellationError() }
        reader?.resume(returning: change)
    }

    /// Marks the end: no more changes will come.
    func finish(_ end: Result<Void, any Error>) {
        let reader = state.withLock { state in
            state.end = end
            return state.reader.take()
        }
        reader?.resume(with: end.map { nil })
    }

    // MARK: For the task

    /// The next change; nil after the last one, or if the task is cancelled.
    /// - Throws: ``KappaError``, `.usage`, if another task already waits for the next change.
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

    /// Ends the reading: drops what is queued, and lets the thread know.
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
    /// What a task gets at once, nil if it has to wait; and whether to wake the thread because there is room.
    fileprivate mutating func take(
        for task: ChangeBuffer.Reader, _ view: String
    ) -> (Result<Change?, any Error>?, Bool) {
        if reader != nil { return (.failure(KappaError.iteratedTwice(view)), false) }
        asked += 1
        if isEnded { return (.success(nil), false) }
        if let change = changes.popFirst() {
            // Wait until half of the buffer is free, so that each wake-up is worth it.
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
                "each change is delivered once, so each task would miss what the other one gets",
            advice: "Call changes(of:) once for each task")
    }
}

/// The changes of a view as they commit: see ``Kappa/changes(of:)``.
///
/// One task iterates it. Each change is delivered once: a second loop continues where the first one ended.
public struct ChangeStream: AsyncSequence, Sendable {
    public typealias Element = Change

    private let reader: ChangeReader

    init(_ buffer: ChangeBuffer) { reader = ChangeReader(buffer) }

    public func makeAsyncIterator() -> Iterator { Iterator(reader: reader) }

    public struct Iterator: AsyncIteratorProtocol {
        fileprivate let reader: ChangeReader

        /// The next change; nil if the ``Kappa`` was closed or the task was cancelled.
        /// - Throws: ``KappaError``: `.notFound` if changes that this reader has not read are no longer kept;
        ///   `.usage` if another task already waits for the next change.
        public func next() async throws -> Change? { try await reader.next() }
    }
}

/// The reading end. When the last reference to it goes away, the thread stops reading for it.
private final class ChangeReader: Sendable {
    private let buffer: ChangeBuffer
    init(_ buffer: ChangeBuffer) { self.buffer = buffer }
    deinit { buffer.end() }
    func next() async throws -> Change? { try await buffer.next() }
}
