/// Reads, checks and extracts on a thread of its own, ahead of whoever applies.
///
/// A few batches go round: the reading thread fills them, the applying one gives them back.
final class BatchPipeline {
    /// One batch with the memory under it.
    ///
    /// `@unchecked Sendable`: a slot is with the reading thread or with the applying one, never with
    /// both; the monitor hands it over.
    final class Slot: @unchecked Sendable {
        let buffer = BlockBuffer()
        let batch: EventBatch
        fileprivate(set) var block: LogBlock?

        init(_ plan: ExtractionPlan) { batch = EventBatch(plan: plan) }
    }

    enum Delivery {
        case batch(Slot)
        /// Everything durable has been delivered, up to this offset.
        case caughtUp(Offset)
        /// The end that was asked for has been reached, or reading was stopped.
        case ended
        case failed(any Error)
    }

    private struct State {
        var free: [Slot]
        var ready: [Delivery] = []
        var isStopped = false
        var hasEnded = false
    }

    private let state: Monitor<State>
    private let watcher: LogWatcher?
    private var thread: WorkerThread?

    /// Starts reading.
    /// - Parameters:
    ///   - end: Where to stop; nil reads on and on.
    ///   - waits: Whether to wait for more at the log's durable end, or to end there.
    init(
        _ reader: sending LogReader, plan: ExtractionPlan, upTo end: Offset?, waits: Bool
    ) throws(KappaError) {
        var slots: [Slot] = []
        for _ in 0..<3 { slots.append(Slot(plan)) }
        let state = Monitor(State(free: slots))
        self.state = state
        let watcher = waits ? try LogWatcher(reader.folder) : nil
        self.watcher = watcher
        let source = ReadingLoop(reader: reader, state: state, watcher: watcher, end: end)
        thread = WorkerThread("kappa-read") { source.run() }
    }

    /// `@unchecked Sendable`: made on one thread and used on the reading thread alone.
    private final class ReadingLoop: @unchecked Sendable {
        let reader: LogReader
        let state: Monitor<State>
        let watcher: LogWatcher?
        let end: Offset?

        init(reader: LogReader, state: Monitor<State>, watcher: LogWatcher?, end: Offset?) {
            self.reader = reader
            self.state = state
            self.watcher = watcher
            self.end = end
        }

        func run() {
            do {
                while try step() {}
                state.withLock { $0.ready.append(.ended) }
            } catch {
                state.withLock { $0.ready.append(.failed(error)) }
            }
        }

        private func step() throws -> Bool {
            let slot = state.wait { state -> Slot?? in
                if state.isStopped { return .some(nil) }
                return state.free.popLast().map { .some($0) }
            }
            guard let slot else { return false }
            if let block = try reader.next(into: slot.buffer, upTo: end) {
                try slot.batch.load(
                    block.payload, count: block.events, firstOffset: block.firstOffset)
                slot.block = block
                state.withLock { $0.ready.append(.batch(slot)) }
                return true
            }
            state.withLock { $0.free.append(slot) }
            if let end, reader.offset >= end { return false }
            state.withLock { $0.ready.append(.caughtUp(reader.offset)) }
            guard let watcher else { return false }
            try watcher.wait(past: reader.offset, timeoutMilliseconds: Self.tickMilliseconds)
            return true
        }

        /// Now and then it says again that it has caught up, so that whoever applies can look
        /// around while no events come.
        private static let tickMilliseconds = 250
    }

    /// The next delivery; waits for it. The slot of a batch is given back with ``recycle(_:)``.
    func next() -> Delivery {
        state.wait { state in state.ready.isEmpty ? nil : state.ready.removeFirst() }
    }

    /// The next delivery if it is there already.
    func poll() -> Delivery? {
        state.withLock { state in state.ready.isEmpty ? nil : state.ready.removeFirst() }
    }

    func recycle(_ slot: Slot) { state.withLock { $0.free.append(slot) } }

    /// Ends reading and waits for the reading thread. May be called more than once.
    func stop() {
        state.withLock { $0.isStopped = true }
        watcher?.cancel()
        thread?.join()
        thread = nil
    }

    /// Lets another thread end the reading; ``next()`` then returns `.ended` soon.
    var stopper: @Sendable () -> Void {
        let state = state
        let watcher = watcher
        return {
            state.withLock { $0.isStopped = true }
            watcher?.cancel()
        }
    }
}
