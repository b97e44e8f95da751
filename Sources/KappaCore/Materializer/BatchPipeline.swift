/// Reads and checks on one thread and extracts on another, ahead of whoever applies.
///
/// A few batches go round: the reading thread fills their blocks, the extracting one their columns,
/// the applying one gives them back.
final class BatchPipeline {
    /// One batch with the memory under it.
    ///
    /// `@unchecked Sendable`: a slot is with one of the three threads at a time; the monitor hands it
    /// over.
    final class Slot: @unchecked Sendable {
        let buffer = BlockBuffer()
        let batch: EventBatch
        fileprivate(set) var block: LogBlock?

        init(_ plan: ExtractionPlan) { batch = EventBatch(plan: plan) }

        fileprivate func extract() throws {
            guard let block else { return }
            try batch.load(
                block.payload, count: block.events, firstOffset: block.firstOffset,
                runs: block.runs)
        }
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
        /// What has been read and is to be extracted, in log order.
        var read: [Delivery] = []
        /// What is to be applied.
        var ready: [Delivery] = []
        var isStopped = false
        var hasEnded = false
    }

    private let state: Monitor<State>
    private let watcher: LogWatcher?
    private var threads: [WorkerThread] = []
    private static let slots = 4

    /// Starts reading.
    /// - Parameters:
    ///   - end: Where to stop; nil reads on and on.
    ///   - waits: Whether to wait for more at the log's durable end, or to end there.
    init(
        _ reader: sending LogReader, plan: ExtractionPlan, upTo end: Offset?, waits: Bool
    ) throws(KappaError) {
        var slots: [Slot] = []
        for _ in 0..<Self.slots { slots.append(Slot(plan)) }
        let state = Monitor(State(free: slots))
        self.state = state
        let watcher = waits ? try LogWatcher(reader.folder) : nil
        self.watcher = watcher
        let source = ReadingLoop(reader: reader, state: state, watcher: watcher, end: end)
        threads = [
            WorkerThread("kappa-read") { source.run() },
            WorkerThread("kappa-extract") { Self.extract(state) },
        ]
    }

    /// Hands everything on that was read, with its columns; ends after what ends the reading.
    private static func extract(_ state: Monitor<State>) {
        while true {
            var delivery = state.wait { $0.read.isEmpty ? nil : $0.read.removeFirst() }
            if case .batch(let slot) = delivery {
                do { try slot.extract() } catch { delivery = .failed(error) }
            }
            let next = delivery
            state.withLock { $0.ready.append(next) }
            switch next {
            case .ended, .failed: return
            case .batch, .caughtUp: break
            }
        }
    }

    /// Reads blocks on a thread of its own.
    ///
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
                state.withLock { $0.read.append(.ended) }
            } catch {
                state.withLock { $0.read.append(.failed(error)) }
            }
        }

        private func step() throws -> Bool {
            let slot = state.wait { state -> Slot?? in
                if state.isStopped { return .some(nil) }
                return state.free.popLast().map { .some($0) }
            }
            guard let slot else { return false }
            if let block = try reader.next(into: slot.buffer, upTo: end) {
                slot.block = block
                state.withLock { $0.read.append(.batch(slot)) }
                return true
            }
            state.withLock { $0.free.append(slot) }
            if let end, reader.offset >= end { return false }
            state.withLock { $0.read.append(.caughtUp(reader.offset)) }
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

    func recycle(_ slot: Slot) { state.withLock { $0.free.append(slot) } }

    /// Ends reading and waits for the threads. May be called more than once.
    func stop() {
        state.withLock { $0.isStopped = true }
        watcher?.cancel()
        for thread in threads { thread.join() }
        threads = []
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
