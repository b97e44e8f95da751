import CKappa

/// Reads, checks and extracts batches ahead of the thread that applies them.
///
/// A few batches are reused in turn. The pipeline's own threads read blocks and extract each at once, while
/// its bytes are still in the cache of the core. If nothing is ready to be applied, the applying thread does
/// the same, so that no core waits for another. Batches are delivered in the order in which they were read.
final class BatchPipeline {
    /// One batch with its memory.
    ///
    /// `@unchecked Sendable`: a slot is used by one thread at a time; the monitor passes it from one to the
    /// next.
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
        /// The requested end has been reached, or reading was stopped.
        case ended
        case failed(any Error)
    }

    /// Which thread may read next.
    private enum Turn {
        /// Any thread.
        case free
        /// None for now: a thread is reading, or waiting for the log to grow.
        case taken
        /// A thread of the pipeline's own, which waits for the log to grow; if there is none, the applying
        /// thread.
        case atEnd
        /// None any more: reading is over.
        case over
    }

    private struct State {
        var free: [Slot]
        private(set) var turn = Turn.free
        private var isStopped = false
        /// Batches are numbered from 0 as they are read.
        private var nextNumber = 0
        /// Deliveries that were extracted before others that were read earlier.
        private var early: [Int: Delivery] = [:]
        private var nextReady = 0
        /// Deliveries to be applied, in order.
        private var ready: [Delivery] = []

        init(free: [Slot]) { self.free = free }

        /// Takes the turn and a slot to read into; nil if the turn is not free, or no slot is.
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

        /// Passes the turn on, and returns the number of the delivery just read.
        mutating func passTurn(_ next: Turn) -> Int {
            turn = next
            nextNumber += 1
            return nextNumber - 1
        }

        /// Ends the wait. The thread that waited keeps the turn, if there is a slot to read into: it is
        /// awake, and waking another one takes longer than reading the few events that came.
        mutating func endWait() -> Slot? {
            turn = .free
            return takeTurn()
        }

        mutating func stop() { isStopped = true }

        mutating func deliver(_ delivery: Delivery, _ number: Int) {
            if case .failed = delivery { stop() }
            early[number] = delivery
            while let next = early.removeValue(forKey: nextReady) {
                // While a batch is applied, the log's end may be reached several times; it is delivered once.
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
    /// The extractor of the applying thread.
    private let extractor: BlockExtractor
    private var threads: [WorkerThread] = []

    /// Starts reading.
    /// - Parameters:
    ///   - end: Where to stop; nil to read without end.
    ///   - batchEvents: The most events of a batch; nil for what the log's blocks hold.
    ///   - waits: Whether to wait for more events at the log's durable end, or to end there.
    init(
        _ reader: sending LogReader, plan: ExtractionPlan, upTo end: Offset?,
        batchEvents: Int? = nil, waits: Bool
    ) throws(KappaError) {
        // With a single core, only the applying thread reads. More threads than cores would evict each
        // other's batches from the cache.
        let ahead = min(Int(kappa_core_count()) - 1, Self.mostAhead)
        var slots: [Slot] = []
        for _ in 0..<(2 + 2 * ahead) { slots.append(Slot(plan)) }
        let watcher = waits ? try LogWatcher(reader.folder) : nil
        let source = Source(
            reader, Monitor(State(free: slots)), watcher, end: end, batchEvents: batchEvents)
        self.source = source
        extractor = plan.makeExtractor()
        // If the system cannot create a thread, the applying thread does all the work, as on one core.
        for _ in 0..<ahead {
            let extractor = plan.makeExtractor()
            let thread = try? WorkerThread("kappa-read") { source.readAhead(by: extractor) }
            if let thread { threads.append(thread) }
        }
    }

    private static let mostAhead = 2

    /// Reads blocks from the log, and hands out the turns.
    ///
    /// `@unchecked Sendable`: only the thread that has the turn uses the reader.
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

        /// Reads ahead, and waits for the log to grow, until reading is over.
        func readAhead(by extractor: BlockExtractor) {
            while true {
                let work = state.wait { state -> Work? in
                    if state.isOver { return Work.none }
                    if let slot = state.takeTurn() { return .read(slot) }
                    return state.takeWait() ? .wait : nil
                }
                switch work {
                case .read(let slot): read(into: slot, by: extractor)
                case .wait: waitAndRead(by: extractor)
                case .none: return
                }
            }
        }

        /// Whether waking another thread takes longer than extracting a block's events.
        private static func isShort(_ block: LogBlock) -> Bool {
            block.events < 100 && block.payload.count < 32_768
        }

        /// Reads a block and extracts it. Meanwhile another thread may read the next block, unless this one
        /// is short.
        func read(into slot: Slot, by extractor: BlockExtractor) {
            do {
                guard let block = try reader.next(into: slot.buffer, upTo: nextCut) else {
                    return meetEnd(slot)
                }
                slot.block = block
            } catch {
                return state.withLock { $0.deliver(.failed(error), $0.passTurn(.over)) }
            }
            let isShort = slot.block.map(Self.isShort) ?? true
            let number = isShort ? nil : state.withLock { $0.passTurn(.free) }
            var delivery = Delivery.batch(slot)
            do { try slot.extract(by: extractor) } catch { delivery = .failed(error) }
            let extracted = delivery
            state.withLock { $0.deliver(extracted, number ?? $0.passTurn(.free)) }
        }

        /// Handles the end of the log, or the requested end.
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

        /// Waits for the log to grow, and reads what has come.
        /// - Parameter milliseconds: How long to wait at most, if that is less than usual.
        func waitAndRead(by extractor: BlockExtractor, within milliseconds: Int = .max) {
            let timeout = min(Self.tickMilliseconds, milliseconds)
            do {
                try watcher?.wait(past: reader.offset, timeoutMilliseconds: timeout)
            } catch {
                return state.withLock { $0.deliver(.failed(error), $0.passTurn(.over)) }
            }
            guard let slot = state.withLock({ $0.endWait() }) else { return }
            read(into: slot, by: extractor)
        }

        /// The offset at which the next batch ends at the latest.
        private var nextCut: Offset? {
            guard let batchEvents else { return end }
            let cut = reader.offset + batchEvents
            return end.map { min($0, cut) } ?? cut
        }

        /// While no events come, `.caughtUp` is delivered again after this time, so that the applying thread
        /// can do other work.
        private static let tickMilliseconds = 250
    }

    private enum Next {
        case delivery(Delivery)
        case read(Slot)
        case wait
    }

    /// Returns the next delivery. If none is ready, reads one on this thread, or waits for one. The slot of a
    /// batch must be returned with ``recycle(_:)``.
    func next() -> Delivery {
        while true { if let delivery = next(within: Self.longMilliseconds) { return delivery } }
    }

    private static let longMilliseconds = 3_600_000

    /// The same; nil if none has come in that time.
    func next(within milliseconds: Int) -> Delivery? {
        let isAlone = threads.isEmpty
        let time = Duration.milliseconds(milliseconds)
        while true {
            let next = source.state.wait(atMost: time) { state -> Next? in
                if let delivery = state.takeReady() { return .delivery(delivery) }
                if let slot = state.takeTurn() { return .read(slot) }
                return isAlone && state.takeWait() ? .wait : nil
            }
            switch next {
            case .delivery(let delivery): return delivery
            case .read(let slot): source.read(into: slot, by: extractor)
            case .wait: source.waitAndRead(by: extractor, within: milliseconds)
            case nil: return nil
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

    /// Ends the reading, from any thread; ``next()`` then returns `.ended` soon.
    var stopper: @Sendable () -> Void {
        let source = source
        return {
            source.state.withLock { $0.stop() }
            source.watcher?.cancel()
        }
    }
}
