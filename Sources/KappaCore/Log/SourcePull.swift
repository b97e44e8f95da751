/// Pulls a source into the log: each batch and the position after it in one block, so that every event is appended
/// once, however often a pull is killed and started again.
package struct SourcePull {
    private let writer: LogWriter
    private let source: any EventSource
    private let batchEvents: Int
    private var partitions: [Partition] = []
    private let locks: [SourceLock]
    /// Why the log's events of sources had to be read, as sentences for people.
    package private(set) var notices: [String] = []
    /// How many events were appended, of all partitions.
    package private(set) var appended = 0

    /// What has become of a partition of the source.
    package struct Result: Equatable, Sendable {
        package var source: String
        /// The position after the last event in the log.
        package var position: UInt64
        package var appended: Int
        /// How many events the source has past the position; nil if it does not know.
        package var lag: UInt64?
    }

    private struct Partition {
        var history: SourceHistory
        var appended = 0
        /// The position in the log.
        var position: UInt64
        /// The position after what was delivered. Past the log's where there are no events in between.
        var delivered: UInt64
        /// The digest of the source's events up to the position.
        var digest: LogDigest
        /// How many events past the position the log has, and the digest after them.
        var known: UInt32
        var knownDigest: LogDigest?

        init(_ history: SourceHistory) {
            self.history = history
            position = history.position
            delivered = history.position
            digest = history.digest
            known = history.point.eventsPast
            knownDigest = known > 0 ? history.point.digest : nil
        }
    }

    /// How long the source waits for events, so that a pull ends soon when it is asked to.
    private static let wait = Duration.milliseconds(200)

    /// Opens a source where the log's events of it end.
    /// - Parameters:
    ///   - following: Whether to wait for more at the source's end.
    ///   - batchEvents: The most events that are made durable together.
    /// - Throws: `.heldElsewhere` if another process pulls it; what the source throws.
    package init(
        _ source: any EventSource, into writer: LogWriter, following: Bool,
        batchEvents: Int = .max
    ) throws(KappaError) {
        self.writer = writer
        self.source = source
        self.batchEvents = max(1, batchEvents)
        let names = try source.partitions
        for name in names { try SourceBatch.check(name: name) }
        var locks: [SourceLock] = []
        for name in names { locks.append(try SourceLock(of: name, in: writer.folder)) }
        self.locks = locks
        for name in names {
            partitions.append(Partition(try SourceHistory(of: name, in: writer.folder)))
        }
        notices = partitions.compactMap(\.history.notice)
        try source.open(partitions.map(\.history), following: following)
    }

    /// Appends what the source delivers, until it ends.
    /// - Parameters:
    ///   - progress: Called after each batch, and while nothing arrives; returning false ends the pull.
    ///   - observer: Gets what the source has to say.
    /// - Returns: False if `progress` ended it.
    @discardableResult
    package mutating func run(
        progress: (SourcePull) -> Bool = { _ in true }, observer: (String) -> Void = { _ in }
    ) throws(KappaError) -> Bool {
        while progress(self) {
            switch try source.next(waitingAtMost: Self.wait) {
            case .batch(let batch): if try !append(batch, progress) { return false }
            case .nothing: continue
            case .notice(let notice): observer(notice)
            case .end: return true
            }
        }
        return false
    }

    /// What has become of each partition; asks the source for its lag.
    package func results() throws(KappaError) -> [Result] {
        var results: [Result] = []
        for partition in partitions {
            let name = partition.history.name
            results.append(
                Result(
                    source: name, position: partition.position, appended: partition.appended,
                    lag: try source.lag(of: name)))
        }
        return results
    }

    package func close() { source.close() }

    // MARK: Appending

    private mutating func append(
        _ batch: SourceLines, _ progress: (SourcePull) -> Bool
    ) throws(KappaError) -> Bool {
        guard let index = partitions.firstIndex(where: { $0.history.name == batch.partition })
        else { throw Self.fault(batch, "it has no such partition") }
        let partition = partitions[index]
        guard batch.position == partition.delivered, batch.next >= batch.position else {
            throw Self.fault(
                batch,
                "its position is \(partition.delivered), and a batch goes from "
                    + "\(batch.position) to \(batch.next)")
        }
        let (events, failure) = try Self.events(batch)
        let count = UInt64(events.count)
        guard failure != nil || batch.next - batch.position >= count else {
            throw Self.fault(
                batch, "\(count) events go from \(batch.position) to \(batch.next)")
        }
        // Then each event has a position.
        let counts = failure != nil || batch.next - batch.position == count
        if counts, partition.position == batch.position, partition.known == 0 {
            var rest = events
            while rest.count > 0 {
                let piece = rest.removeFirst(upTo: batchEvents)
                try append(piece, to: index, next: nil)
                if rest.count > 0, !progress(self) { return false }
            }
        } else if events.count > 0 {
            try append(events, to: index, next: batch.next)
        }
        if let failure { throw failure }
        partitions[index].delivered = batch.next
        return true
    }

    /// - Parameter next: The position after the events; nil where each has a position.
    private mutating func append(
        _ events: EventLines, to index: Int, next: UInt64?
    ) throws(KappaError) {
        var partition = partitions[index]
        let place = SourceBatch(
            name: partition.history.name, position: partition.position, next: next,
            digest: partition.digest)
        try Self.compareKnown(events, &partition)
        let result = try writer.append(events, source: place)
        partition.position = next ?? partition.position + UInt64(events.count)
        partition.digest = events.digest(ofFirst: events.count, after: partition.digest)
        partition.appended += result.appended
        appended += result.appended
        partitions[index] = partition
    }

    /// A writer that died may have left the first events of a batch. They are not appended again, so they must
    /// be the same.
    private static func compareKnown(
        _ events: EventLines, _ partition: inout Partition
    ) throws(KappaError) {
        guard partition.known > 0 else { return }
        let passed = min(Int(partition.known), events.count)
        let digest = events.digest(ofFirst: passed, after: partition.digest)
        partition.known -= UInt32(passed)
        guard partition.known == 0, let wanted = partition.knownDigest, digest != wanted else {
            return
        }
        throw KappaError(
            .badInput, "this is not what was pulled as source \(partition.history.name)",
            at: "position \(partition.position)",
            because: "the \(passed) events after it are not those that the log has",
            advice: "Nothing was appended. If the source was made anew, pull it under another name")
    }

    /// The events of a batch; if one of them is not an event, those before it, and why.
    private static func events(
        _ batch: SourceLines
    ) throws(KappaError) -> (EventLines, KappaError?) {
        let lines = batch.lines
        do throws(KappaError) {
            let all = try NDJSON.events(lines, 0..<lines.count, batch.firstLine, batch.origin)
            return (all, nil)
        } catch {
            // Where positions have gaps, only all of a batch has a position after it.
            let all = NDJSON.unchecked(lines)
            guard error.code == .badInput, UInt64(all.count) == batch.next - batch.position else {
                throw error
            }
            return (NDJSON.eventsBeforeFlaw(lines), error)
        }
    }

    private static func fault(_ batch: SourceLines, _ reason: String) -> KappaError {
        KappaError(
            .bug, "the connector of source \(batch.partition) has a fault", at: batch.origin,
            because: reason, advice: "Nothing of the batch was appended. Report it to its author")
    }
}
