import CKappa

/// Reads and checks on one thread and extracts on two others, ahead of whoever applies.
///
/// A few batches go round: the reading thread fills their blocks, an extracting one their columns,
/// the applying one gives them back. They are applied in the order in which they were read.
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

    private struct State {
        var free: [Slot]
        /// What has been read and is to be extracted, in log order, numbered from 0.
        private(set) var read: [(number: Int, delivery: Delivery)] = []
        private var nextNumber = 0
        /// What was extracted before something that was read earlier.
        private var early: [Int: Delivery] = [:]
        private var nextReady = 0
        /// What is to be applied.
        var ready: [Delivery] = []
        var isStopped = false
        var isReadingOver = false

        init(free: [Slot]) { self.free = free }

        mutating func addRead(_ delivery: Delivery) {
            read.append((nextNumber, delivery))
            nextNumber += 1
        }

        mutating func takeRead() -> (number: Int, delivery: Delivery)? {
            read.isEmpty ? nil : read.removeFirst()
        }

        mutating func addExtracted(_ number: Int, _ delivery: Delivery) {
            early[number] = delivery
            while let next = early.removeValue(forKey: nextReady) {
                ready.append(next)
                nextReady += 1
            }
        }
    }

    private let state: Monitor<State>
    private let watcher: LogWatcher?
    private var threads: [WorkerThread] = []
    /// A processor that is alone gains nothing by more of them: they only drive each other's batches out
    /// of its cache.
    private static let extractors = kappa_core_count() > 1 ? 2 : 1
    private static let slots = 3 * extractors

    /// Starts reading.
    /// - Parameters:
    ///   - end: Where to stop; nil reads on and on.
    ///   - batchEvents: The most events of a batch; nil for what the log's blocks hold.
    ///   - waits: Whether to wait for more at the log's durable end, or to end there.
    init(
        _ reader: sending LogReader, plan: ExtractionPlan, upTo end: Offset?,
        batchEvents: Int? = nil, waits: Bool
    ) throws(KappaError) {
        var slots: [Slot] = []
        for _ in 0..<Self.slots { slots.append(Slot(plan)) }
        let state = Monitor(State(free: slots))
        self.state = state
        let watcher = waits ? try LogWatcher(reader.folder) : nil
        self.watcher = watcher
        let source = ReadingLoop(
            reader: reader, state: state, watcher: watcher, end: end, batchEvents: batchEvents)
        threads = [WorkerThread("kappa-read") { source.run() }]
        for _ in 0..<Self.extractors {
            let extractor = plan.makeExtractor()
            threads.append(WorkerThread("kappa-extract") { Self.extract(state, extractor) })
        }
    }

    /// Hands what was read on with its columns, until nothing more is read.
    private static func extract(_ state: Monitor<State>, _ extractor: BlockExtractor) {
        while true {
            let next = state.wait { state -> (number: Int, delivery: Delivery)?? in
                if let next = state.takeRead() { return .some(next) }
                return state.isReadingOver ? .some(nil) : nil
            }
            guard let (number, read) = next else { return }
            var delivery = read
            if case .batch(let slot) = read {
                do { try slot.extract(by: extractor) } catch { delivery = .failed(error) }
            }
            let extracted = delivery
            state.withLock { $0.addExtracted(number, extracted) }
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
        let batchEvents: Int?

        init(
            reader: LogReader, state: Monitor<State>, watcher: LogWatcher?, end: Offset?,
            batchEvents: Int?
        ) {
            self.batchEvents = batchEvents
            self.reader = reader
            self.state = state
            self.watcher = watcher
            self.end = end
        }

        func run() {
            do {
                while try step() {}
                end(with: .ended)
            } catch {
                end(with: .failed(error))
            }
        }

        private func end(with delivery: Delivery) {
            state.withLock { state in
                state.addRead(delivery)
                state.isReadingOver = true
            }
        }

        private func step() throws -> Bool {
            let slot = state.wait { state -> Slot?? in
                if state.isStopped { return .some(nil) }
                return state.free.popLast().map { .some($0) }
            }
            guard let slot else { return false }
            if let block = try reader.next(into: slot.buffer, upTo: nextCut) {
                slot.block = block
                state.withLock { $0.addRead(.batch(slot)) }
                return true
            }
            state.withLock { $0.free.append(slot) }
            if let end, reader.offset >= end { return false }
            state.withLock { $0.addRead(.caughtUp(reader.offset)) }
            guard let watcher else { return false }
            try watcher.wait(past: reader.offset, timeoutMilliseconds: Self.tickMilliseconds)
            return true
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
