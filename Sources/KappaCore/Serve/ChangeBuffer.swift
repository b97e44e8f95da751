/// Changes on their way from the thread that reads them to a task that awaits them.
///
/// It holds a few at most: whoever puts one in waits until there is room, so that a slow reader costs
/// no memory. One task takes; where nobody can take any more, ``end()`` lets the thread go.
final class ChangeBuffer: Sendable {
    private struct State {
        var changes: [Change] = []
        /// Changes before this one have been taken.
        var next = 0
        /// The reader has gone.
        var isEnded = false
        /// No more will come; an error says why.
        var end: Result<Void, any Error>?
        /// A task that waits.
        var reader: Reader?

        mutating func takeFirst() -> Change? {
            guard next < changes.count else { return nil }
            defer {
                next += 1
                if next == changes.count {
                    changes.removeAll(keepingCapacity: true)
                    next = 0
                }
            }
            return changes[next]
        }
    }

    private typealias Reader = CheckedContinuation<Change?, any Error>

    static let limit = 1_024

    private let state = Monitor(State())

    // MARK: For the thread

    /// Waits until all changes have been taken; false where the reader has gone.
    func waitUntilTaken() -> Bool {
        state.wait { $0.isEnded ? false : $0.changes.isEmpty ? true : nil }
    }

    /// How many wait to be taken.
    var count: Int { state.withLock { $0.changes.count - $0.next } }

    /// Hands a change over; waits where there is no room.
    /// - Throws: `CancellationError` where the reader has gone.
    func put(_ change: Change) throws {
        let outcome: Put = state.wait { state in
            if state.isEnded { return .readerHasGone }
            if let reader = state.reader.take() { return .readerWaits(reader) }
            guard state.changes.count - state.next < Self.limit else { return nil }
            state.changes.append(change)
            return .held
        }
        switch outcome {
        case .held: break
        case .readerWaits(let reader): reader.resume(returning: change)
        case .readerHasGone: throw CancellationError()
        }
    }

    private enum Put {
        case held
        case readerWaits(Reader)
        case readerHasGone
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
    func next() async throws -> Change? {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { reader in
                let outcome: Result<Change?, any Error>? = state.withLock { state in
                    if state.isEnded { return .success(nil) }
                    if let change = state.takeFirst() { return .success(change) }
                    if let end = state.end { return end.map { nil } }
                    state.reader = reader
                    return nil
                }
                if let outcome { reader.resume(with: outcome) }
            }
        } onCancel: {
            end()
        }
    }

    /// The reader goes.
    func end() {
        let reader = state.withLock { state in
            state.isEnded = true
            return state.reader.take()
        }
        reader?.resume(returning: nil)
    }
}

/// The reading end: when nobody has it any more, the thread at the other end is let go.
final class ChangeReader: Sendable {
    private let buffer: ChangeBuffer
    init(_ buffer: ChangeBuffer) { self.buffer = buffer }
    deinit { buffer.end() }
    func next() async throws -> Change? { try await buffer.next() }
}
