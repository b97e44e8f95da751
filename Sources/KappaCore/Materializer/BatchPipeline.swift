import CKappa

/// Reads, checks and extracts ahead of whoever applies.
///
/// A few batches go round. A thread of the pipeline's own reads the next block and extracts it at once,
/// while the block's bytes are still in the cache of its core. The applying thread does the same where
/// nothing is ready to be applied, so that neither core waits for the other. Batches are delivered in the
/// order in which they were read.
final class BatchPipeline {
    /// One batch with the memory under it.
    ///
    /// `@unchecked Sendable`: a slot is with one thread at a time; the monitor hands it over.
    final class Slot: @unchecked Sendable {
        let buffer = BlockBuffer()
        let batch: EventBatch
        fileprivate(set) var block: LogBlock?

        init(_ plan: ExtractionPlan) { batch = EventBatch(plan: plan) }

        fileprivate func extract(by extractor: BlockExtractor) throws {
            guard let block else { return }
            try batch.load(
                block.payload, count: block.events, firstOffset: block.firstOffset,
                runs: block.runs, by: extractor)
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

    /// Whose turn it is to read.
    private enum Turn {
        /// Whoever comes.
        case free
        /// Somebody reads, or waits for the log to grow.
        case taken
        /// The pipeline's own thread, when the log has grown; where there is none, the applying one.
        case atEnd
        /// Nobody: nothing more is read.
        case over
    }

    private struct State {
        var free: [Slot]
        private(set) var turn = Turn.free
        private var isStopped = false
        /// Batches are numbered from 0 as they are read.
        private var nextNumber = 0
        /// What was extracted before something that was read earlier.
        private var early: [Int: Delivery] = [:]
        private var nextReady = 0
        /// What is to be applied.
        private var ready: [Delivery] = []

        init(free: [Slot]) { self.free = free }

        /// Takes the turn and a slot to read into; nil if there is nothing to read or no slot.
        mutating func takeTurn() -> Slot? {
            guard turn == .free, !isStopped, let slot = free.popLast() else { return nil }
            turn = .taken
            return slot
        }

        /// Takes the turn to wait for the log to grow.
        mutating func takeWait() -> Bool {
            guard turn == .atEnd, !isStopped else { return false }
            turn = .taken
            return true
        }

        /// Passes the turn on, and returns the number of what was read.
        mutating func passTurn(_ next: Turn) -> Int {
            turn = next
            nextNumber += 1
            return nextNumber - 1
        }

        mutating func endWait() { turn = .free }

        mutating func stop() { isStopped = true }

        mutating func deliver(_ delivery: Delivery, _ number: Int) {
            if case .failed = delivery { stop() }
            early[number] = delivery
            while let next = early.removeValue(forKey: nextReady) {
                // While much is applied, the log's end may be met again and again: once is enough.
                if case .caughtUp = next, case .caughtUp? = ready.last { ready.removeLast() }
                ready.append(next)
                nextReady += 1
            }
        }

        mutating func takeReady() -> Delivery? {
            if !ready.isEmpty { return ready.removeFirst() }
            return isOver && turn != .taken && nextReady == nextNumber ? .ended : nil
        }

        var isOver: Bool { isStopped || turn == .over }
    }

    private let source: Source
    /// The applying thread's own.
    private let extractor: BlockExtractor
    private var threads: [WorkerThread] = []

    /// Starts reading.
    /// - Parameters:
    ///   - end: Where to stop; nil reads on and on.
    ///   - batchEvents: The most events of a batch; nil for what the log's blocks hold.
    ///   - waits: Whether to wait for more at the log's durable end, or to end there.
    init(
        _ reader: sending LogReader, plan: ExtractionPlan, upTo end: Offset?,
        batchEvents: Int? = nil, waits: Bool
    ) throws(KappaError) {
        // Where there is but one core, the applying thread reads; more threads would only drive each
        // other's batches out of the cache.
        let ahead = min(Int(kappa_core_count()) - 1, Self.mostAhead)
        var slots: [Slot] = []
        for _ in 0..<(2 + 2 * ahead) { slots.append(Slot(plan)) }
        let watcher = waits ? try LogWatcher(reader.folder) : nil
        let source = Source(
            reader, Monitor(State(free: slots)), watcher, end: end, batchEvents: batchEvents)
        self.source = source
        extractor = plan.makeExtractor()
        // Where the system makes no more threads, the applying one does all by itself, as on one core.
        for _ in 0..<ahead {
            let extractor = plan.makeExtractor()
            let thread = try? WorkerThread("kappa-read") { source.readAhead(by: extractor) }
            if let thread { threads.append(thread) }
        }
    }

    private static let mostAhead = 2

    /// Where blocks come from.
    ///
    /// `@unchecked Sendable`: the reader is used by the thread that has the turn.
    private final class Source: @unchecked Sendable {
        private let reader: LogReader
        let state: Monitor<State>
        let watcher: LogWatcher?
        private let end: Offset?
        private let batchEvents: Int?

        init(
            _ reader: LogReader, _ state: Monitor<State>, _ watcher: LogWatcher?, end: Offset?,
            batchEvents: Int?
        ) {
            self.reader = reader
            self.state = state
            self.watcher = watcher
            self.end = end
            self.batchEvents = batchEvents
        }

        private enum Work {
            case read(Slot)
            case wait
            case none
        }

        /// Reads ahead until nothing more is to be read, and waits for the log to grow.
        func readAhead(by extractor: BlockExtractor) {
            while true {
                let work = state.wait { state -> Work? in
                    if state.isOver { return Work.none }
                    if let slot = state.takeTurn() { return .read(slot) }
                    return state.takeWait() ? .wait : nil
                }
                switch work {
                case .read(let slot): read(into: slot, by: extractor)
                case .wait: wait()
                case .none: return
                }
            }
        }

        /// Reads a block and extracts it; another one may be read meanwhile.
        func read(into slot: Slot, by extractor: BlockExtractor) {
            do {
                guard let block = try reader.next(into: slot.buffer, upTo: nextCut) else {
                    return meetEnd(slot)
                }
                slot.block = block
            } catch {
                return state.withLock { $0.deliver(.failed(error), $0.passTurn(.over)) }
            }
            let number = state.withLock { $0.passTurn(.free) }
            var delivery = Delivery.batch(slot)
            do { try slot.extract(by: extractor) } catch { delivery = .failed(error) }
            let extracted = delivery
            state.withLock { $0.deliver(extracted, number) }
        }

        /// Nothing more is there: for now, or for good.
        private func meetEnd(_ slot: Slot) {
            let offset = reader.offset
            let isWhole = end.map { offset >= $0 } ?? false
            let next = isWhole || watcher == nil ? Turn.over : .atEnd
            state.withLock { state in
                state.free.append(slot)
                let number = state.passTurn(next)
                state.deliver(isWhole ? .ended : .caughtUp(offset), number)
            }
        }

        func wait() {
            do {
                try watcher?.wait(past: reader.offset, timeoutMilliseconds: Self.tickMilliseconds)
                state.withLock { $0.endWait() }
            } catch {
                state.withLock { $0.deliver(.failed(error), $0.passTurn(.over)) }
            }
        }

        /// Where the next batch ends at the latest.
        private var nextCut: Offset? {
            guard let batchEvents else { return end }
            let cut = reader.offset + batchEvents
            return end.map { min($0, cut) } ?? cut
        }

        /// Now and then it says again that it has caught up, so that whoever applies can look
        /// around while no events come.
        private static let tickMilliseconds = 250
    }

    private enum Next {
        case delivery(Delivery)
        case read(Slot)
        case wait
    }

    /// The next delivery; reads it itself where nothing is ready, or waits for it. The slot of a batch
    /// is given back with ``recycle(_:)``.
    func next() -> Delivery {
        let isAlone = threads.isEmpty
        while true {
            let next = source.state.wait { state -> Next? in
                if let delivery = state.takeReady() { return .delivery(delivery) }
                if let slot = state.takeTurn() { return .read(slot) }
                return isAlone && state.takeWait() ? .wait : nil
            }
            switch next {
            case .delivery(let delivery): return delivery
            case .read(let slot): source.read(into: slot, by: extractor)
            case .wait: source.wait()
            }
        }
    }

    func recycle(_ slot: Slot) { source.state.withLock { $0.free.append(slot) } }

    /// Ends reading and waits for the threads. May be called more than once.
    func stop() {
        stopper()
        for thread in threads { thread.join() }
        threads = []
    }

    /// Lets another thread end the reading; ``next()`` then returns `.ended` soon.
    var stopper: @Sendable () -> Void {
        let source = source
        return {
            source.state.withLock { $0.stop() }
            source.watcher?.cancel()
        }
    }
}
