/// A place that events are pulled from: a topic, a file that grows, another log.
///
/// `kappa pull` appends what a source delivers, and the source's position after it, in one block of the log.
/// So every event is appended once, whatever dies when: a pull begins again where the log says.
///
/// A source has one *partition* or more. Each has a name, which is that of a source in the log, and positions
/// of its own: numbers that grow from one event to the next and may have gaps. What they mean is the source's
/// own business; they begin at 0, and must mean the same whenever the source is opened.
///
/// A source is used by one thread at a time, which may wait in its calls. `EventSourceConformance` in KappaTesting
/// tests one: that it neither repeats nor skips events, and that its positions hold.
public protocol EventSource: AnyObject {
    /// The names of its partitions: 1 to 200 letters, digits or `._/@-`, such as `orders/3`.
    ///
    /// They are asked for once, before ``open(_:following:)``.
    /// - Throws: `KappaError`, such as `.unreachable`.
    var partitions: [String] { get throws(KappaError) }

    /// Begins to read each partition at the position that the log has.
    ///
    /// A source proves, as well as it can, that it is still what the log has of it: files are rotated, topics
    /// made anew. See ``SourceHistory``.
    /// - Parameters:
    ///   - histories: What the log has of each partition, in the order of ``partitions``.
    ///   - following: Whether it waits for more at its end. If not, it ends where it ends now.
    /// - Throws: `KappaError` that says what to do, also where what comes next at a position is lost.
    func open(_ histories: [SourceHistory], following: Bool) throws(KappaError)

    /// The next events of one of the partitions.
    /// - Parameter wait: How long to wait for events at most. The caller can only stop between two calls.
    /// - Throws: `KappaError`. The source is then closed, and may be opened anew later.
    func next(waitingAtMost wait: Duration) throws(KappaError) -> SourceDelivery

    /// How many events a partition has past what was delivered, or about how many; nil if that is unknown.
    /// - Throws: `KappaError`
    func lag(of partition: String) throws(KappaError) -> UInt64?

    /// Releases what it has open. Nothing is called after it.
    func close()
}

/// What a source delivers.
public enum SourceDelivery: Sendable {
    case batch(SourceLines)
    /// Nothing has arrived for as long as the caller would wait; more may.
    case nothing
    /// Something that people should know, as a sentence.
    case notice(String)
    /// The source has ended. One that is followed has no end, unless it can never grow again.
    case end
}

/// Consecutive events of one partition of a source.
public struct SourceLines: Equatable, Sendable {
    /// The name of the partition.
    public var partition: String
    /// The position before the first event: the partition's position after the batch before this one.
    public var position: UInt64
    /// The position after the last event. It is larger by the number of the events, at least. A batch without
    /// events may move the position as well.
    public var next: UInt64
    /// The events: JSON objects, one on each line. Blank lines are ignored; the last line may lack its newline.
    public var lines: [UInt8]
    /// What the events come from, for errors: the name of a file.
    public var origin: String
    /// The number of the first line there.
    public var firstLine: Int
    /// Whether the partition has no more events at present.
    public var isAtEnd: Bool

    /// A batch of events.
    public init(
        partition: String, position: UInt64, next: UInt64, lines: [UInt8], origin: String,
        firstLine: Int = 1, isAtEnd: Bool = false
    ) {
        self.partition = partition
        self.position = position
        self.next = next
        self.lines = lines
        self.origin = origin
        self.firstLine = firstLine
        self.isAtEnd = isAtEnd
    }
}

/// What the log has of a partition of a source, for the source to find its place, and to prove that it is the
/// same source.
public struct SourceHistory: Sendable {
    /// The name of the partition.
    public let name: String
    /// Where to begin: the position after the last event that the log has; 0 if it has none.
    public let position: UInt64
    /// The number of bytes, and the CRC32C, of all events up to the position, each with its newline.
    public let digest: LogDigest
    /// Why all of the log's events of it were read; nil if they were not.
    package let notice: String?
    /// The folder of the log.
    let log: String
    /// How far the log is: a writer that died may have left events past the position.
    let point: SourcePoint

    /// - Parameter log: The folder of a log, which exists.
    /// - Throws: `.usage` for a name that no source can have.
    package init(of name: String, in log: String) throws(KappaError) {
        var (point, exact) = (SourcePoint.start, SourcePoint.start)
        try BlockWalk.headers(log, behind: nil) { beginning in
            point = beginning.sources[name]?.point ?? .start
            exact = point
        } visit: { block in
            for run in block.runs {
                guard let source = run.source, source.name == name else { continue }
                point = source.point
                if point.eventsPast == 0 { exact = point }
            }
        }
        // Earlier kappas took other names, too; such a source can be continued.
        if point == .start { try SourceBatch.check(name: name) }
        var digest = exact.digest
        var notice: String?
        if digest == nil {
            let checkpoints = try SourceCheckpoint.read(log, name, upTo: exact.position)
            digest = checkpoints.last?.digest
            notice = SourceProof.noDigest(name)
        }
        self.name = name
        self.log = log
        self.point = point
        self.notice = notice
        self.digest = digest ?? .empty
        position = exact.position
    }

    /// What the log has by now.
    func updated() throws(KappaError) -> SourceHistory { try SourceHistory(of: name, in: log) }
}
