import KappaCore

/// Tests a connector's source: that it neither repeats nor skips events, and that its positions hold.
///
/// ```swift
/// @Test func conforms() throws {
///     let broker = try TestBroker()
///     try EventSourceConformance(
///         open: { broker.source("orders") }, append: { try broker.send($0) }
///     ).check()
/// }
/// ```
/// The source is pulled into logs of its own: in one go, with a stop and a restart after each of its batches, and
/// while it grows. Each log must then hold the events of each partition once, in their order.
public final class EventSourceConformance {
    private let openSource: () throws -> any EventSource
    private let appendLines: ([String]) throws -> Void
    private let canFollow: Bool
    private let mostSeconds: Double
    private let seed: UInt64
    private var random: SplitMix
    /// All lines that were appended, with their places.
    private var lines: [String] = []
    private var places: [String: Int] = [:]
    private let marks = PositionMarks()

    /// - Parameters:
    ///   - canFollow: Whether a source that is open delivers what is appended meanwhile.
    ///   - mostSeconds: How long one pull may take.
    ///   - seed: The seed of the events, and of the moments at which it is stopped. A failure prints it.
    ///   - open: Makes the source anew. It is called many times.
    ///   - append: Appends lines, each one JSON object, to what the source reads, each to one of its
    ///     partitions. At the beginning there are none.
    public init(
        canFollow: Bool = true, mostSeconds: Double = 60,
        seed: UInt64 = .random(in: 0...1_000_000_000),
        open: @escaping () throws -> any EventSource, append: @escaping ([String]) throws -> Void
    ) {
        self.canFollow = canFollow
        self.mostSeconds = mostSeconds
        self.seed = seed
        random = SplitMix(state: seed)
        openSource = open
        appendLines = append
    }

    /// What is wrong with a source.
    public struct Failure: Error, CustomStringConvertible {
        /// What is wrong, and the seed.
        public let description: String
    }

    /// Runs all tests.
    /// - Throws: ``Failure``; or a `KappaError`, that of the source itself or of the pull that found its fault.
    public func check() throws {
        try pullTwice()
        try restartEverywhere()
        for _ in 0..<3 { try growWhileRestarting() }
        if canFollow { try follow() }
    }

    // MARK: The tests

    /// Read twice, a source delivers the same events, and what its positions mean is the same.
    private func pullTwice() throws {
        try Run(self).pull("an empty source")
        try grow(60)
        for _ in 0..<2 { try Run(self).pull("the source, read from its beginning,") }
    }

    /// Wherever a pull stops, the next one goes on.
    private func restartEverywhere() throws {
        let whole = try Run(self)
        try whole.pull("the source")
        for stop in 1...max(1, min(whole.batches, 20)) {
            let run = try Run(self)
            try run.pull("the source", stoppingAfter: stop)
            try run.pull("the source, opened again after \(stop) batches,")
        }
    }

    /// A source grows between two pulls, and in the middle of one.
    private func growWhileRestarting() throws {
        let run = try Run(self)
        for _ in 0..<4 {
            let most = Int.random(in: 1...20, using: &random)
            try run.pull(
                "the source", stoppingAfter: Int.random(in: 1...3, using: &random), of: most)
            try grow(Int.random(in: 0...30, using: &random))
        }
        try run.pull("the source, opened again after it has grown,")
    }

    /// A source that is followed waits at its end, and delivers what comes.
    private func follow() throws { try Run(self).follow() }

    // MARK: Lines

    fileprivate func grow(_ count: Int) throws {
        let new = (0..<count).map { index in
            let size = Int.random(in: 0...9, using: &random) == 0 ? 20_000 : 30
            let text = String(repeating: "x", count: Int.random(in: 0...size, using: &random))
            return #"{"n":\#(lines.count + index),"text":"\#(text)"}"#
        }
        for line in new {
            places[line] = lines.count
            lines.append(line)
        }
        try appendLines(new)
    }

    /// Compares what a log holds with what was appended.
    /// - Parameter count: The log must have the first so many events, at least.
    fileprivate func compare(
        _ events: [(source: String, text: String)], first count: Int, _ what: String
    ) throws {
        var seen = Set<Int>()
        var last: [String: Int] = [:]
        for event in events {
            guard let place = places[event.text] else {
                throw failure(
                    "\(what) delivers an event that was not appended: \(event.text.prefix(80))")
            }
            guard seen.insert(place).inserted else {
                throw failure("\(what) repeats event \(place)")
            }
            if let before = last[event.source], before > place {
                throw failure("\(what) delivers event \(place) after event \(before)")
            }
            last[event.source] = place
        }
        if let missing = (0..<count).first(where: { !seen.contains($0) }) {
            throw failure("\(what) skips event \(missing)")
        }
    }

    fileprivate func failure(_ text: String) -> Failure {
        Failure(description: "\(text) (seed \(seed))")
    }

    // MARK: One log

    /// A log that the source is pulled into.
    private final class Run {
        private let kit: EventSourceConformance
        private let folder: TemporaryFolder
        private(set) var batches = 0
        private var log: String { folder.path + "/log" }

        init(_ kit: EventSourceConformance) throws {
            self.kit = kit
            folder = try TemporaryFolder(inMemory: true)
        }

        /// Pulls until the source ends, or after some batches.
        func pull(_ what: String, stoppingAfter stop: Int = .max, of most: Int = .max) throws {
            let source = ObservedSource(try kit.openSource(), kit.marks)
            defer { source.close() }
            var pull = try SourcePull(
                source, into: LogWriter(log), following: false, batchEvents: most)
            let start = SystemClock.monotonicSeconds()
            let isWhole = try pull.run { _ in
                source.batches < stop && SystemClock.monotonicSeconds() - start < kit.mostSeconds
            }
            batches = source.batches
            if let fault = source.fault { throw kit.failure(fault) }
            if !isWhole, source.batches < stop { throw kit.failure("\(what) does not end") }
            // Of several partitions, a pull that was stopped may have any number of events.
            let events = try events()
            let isOne = try source.partitions.count == 1
            let count = isWhole ? kit.lines.count : isOne ? events.count : 0
            try kit.compare(events, first: count, what)
            guard isWhole else { return }
            for result in try pull.results() where (result.lag ?? 0) > 0 {
                throw kit.failure("\(what) has a lag of \(result.lag ?? 0) events at its end")
            }
        }

        /// Pulls while the source grows.
        func follow() throws {
            let what = "the source, followed,"
            let source = ObservedSource(try kit.openSource(), kit.marks)
            defer { source.close() }
            var pull = try SourcePull(source, into: LogWriter(log), following: true)
            var failure: (any Error)?
            var rounds = 0
            let start = SystemClock.monotonicSeconds()
            let ended = try pull.run { _ in
                if SystemClock.monotonicSeconds() - start > kit.mostSeconds {
                    failure = kit.failure("\(what) does not deliver what was appended meanwhile")
                    return false
                }
                // It has waited, so it has delivered all that there was.
                guard source.isIdle else { return true }
                do {
                    let delivered = try events()
                    if delivered.count < kit.lines.count { return true }
                    try kit.compare(delivered, first: kit.lines.count, what)
                    rounds += 1
                    if rounds == 4 { return false }
                    try kit.grow(5)
                } catch { failure = error }
                return failure == nil
            }
            if let failure { throw failure }
            if let fault = source.fault { throw kit.failure(fault) }
            if ended { throw kit.failure("\(what) ends") }
        }

        private func events() throws -> [(source: String, text: String)] {
            let reader = try LogReader(log)
            let buffer = BlockBuffer()
            var events: [(source: String, text: String)] = []
            while let block = try reader.next(into: buffer) {
                let sources = block.runs.flatMap { run in
                    Array(repeating: run.source?.name ?? "", count: run.events)
                }
                block.forEachEvent { offset, _, event in
                    let text = String(decoding: event, as: UTF8.self)
                    events.append((sources[offset - block.firstOffset], text))
                    return true
                }
            }
            return events
        }
    }
}

/// What positions mean: how many events of a partition come before each.
private final class PositionMarks {
    private var counts: [String: [UInt64: Int]] = [:]

    /// Nil for a position that was not seen yet.
    func count(_ partition: String, at position: UInt64) -> Int? {
        position == 0 ? 0 : counts[partition]?[position]
    }

    /// - Returns: What else the position has meant, if it has.
    func add(_ partition: String, _ position: UInt64, _ count: Int) -> Int? {
        let known = self.count(partition, at: position)
        counts[partition, default: [:]][position] = count
        return known == count ? nil : known
    }
}

/// Passes on what a source delivers, and compares its positions with those of earlier readings.
private final class ObservedSource: EventSource {
    private let source: any EventSource
    private let marks: PositionMarks
    private var counts: [String: Int] = [:]
    private(set) var batches = 0
    /// Whether nothing has arrived lately.
    private(set) var isIdle = false
    private(set) var fault: String?

    /// How much longer than it is told a source may wait.
    private static let slack = Duration.seconds(2)

    init(_ source: any EventSource, _ marks: PositionMarks) {
        self.source = source
        self.marks = marks
    }

    var partitions: [String] { get throws(KappaError) { try source.partitions } }

    func open(_ histories: [SourceHistory], following: Bool) throws(KappaError) {
        for history in histories {
            counts[history.name] = marks.count(history.name, at: history.position)
        }
        try source.open(histories, following: following)
    }

    func next(waitingAtMost wait: Duration) throws(KappaError) -> SourceDelivery {
        let start = ContinuousClock.now
        let delivery = try source.next(waitingAtMost: wait)
        if ContinuousClock.now - start > wait + Self.slack {
            fault = fault ?? "the source waits longer than it is told"
        }
        isIdle = false
        switch delivery {
        case .batch(let batch): observe(batch)
        case .nothing: isIdle = true
        case .notice, .end: break
        }
        return delivery
    }

    func lag(of partition: String) throws(KappaError) -> UInt64? { try source.lag(of: partition) }

    func close() { source.close() }

    private func observe(_ batch: SourceLines) {
        batches += 1
        let lines = batch.lines.split(separator: 0x0A)
        guard let before = counts[batch.partition] else { return }
        let count = before + lines.count
        counts[batch.partition] = count
        // Where positions have no gaps, each event has one.
        if batch.next - min(batch.position, batch.next) == UInt64(lines.count) {
            for index in lines.indices {
                mark(batch.partition, batch.position + UInt64(index + 1), before + index + 1)
            }
        } else {
            mark(batch.partition, batch.next, count)
        }
    }

    private func mark(_ partition: String, _ position: UInt64, _ count: Int) {
        guard let other = marks.add(partition, position, count), fault == nil else { return }
        fault =
            "position \(position) of \(partition) comes after \(count) events, and came after "
            + "\(other) when the source was read before"
    }
}
