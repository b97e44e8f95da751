import CKappaJSON

extension EventStream {
    /// One new element for each, which may tell those that are late from the others: those whose
    /// tumbling window has closed when they come, `window end + lateness <= stream time`. Nothing is left
    /// out.
    ///
    /// ```swift
    /// Events(Bid.self, at: \.time).map(inWindows: .seconds(10), lateness: .seconds(4)) { bid, isLate in
    ///     Candidate(bid, counts: !isLate)
    /// }
    /// ```
    /// - Parameter lateness: Without one, nothing is ever late.
    public func map<New>(
        inWindows size: Duration, lateness: Duration?,
        _ transform: @escaping @Sendable (_ element: Element, _ isLate: Bool) throws -> New
    ) -> MappedStream<New> {
        let upstream = source
        let bound = JoinBound.sameWindow(size, lateness: lateness)
        var problem = upstream.problem
        if !upstream.hasTime {
            problem =
                problem
                ?? KappaError(
                    .usage, "elements are judged by their windows, but they have no time",
                    at: "stream of \(Element.self)", because: "windows are cut by event time",
                    advice: "Name the event time: Events(\(Element.self).self, at: \\.timestamp)")
        }
        return MappedStream(
            source: StreamSource(
                open: { context throws(KappaError) in
                    let reader = try upstream.open(context)
                    let clock = JoinClock(context.clock(), columns: reader.timeColumns)
                    return LatenessReader(reader, bound, clock, transform)
                },
                signature: "\(upstream.signature).map late \(bound.signature)",
                eventTypes: upstream.eventTypes, hasTime: true, fansOut: upstream.fansOut,
                states: upstream.states, problem: problem))
    }
}

/// Makes new elements of those of another stream, and knows which of these are late.
private final class LatenessReader<Old, New>: MakingReader {
    typealias Element = New
    private let upstream: any ElementReader<Old>
    private let bound: JoinBound
    private let clock: JoinClock
    private let transform: @Sendable (Old, Bool) throws -> New
    let made = ElementBuffer<New>()
    private var mark = 0

    init(
        _ upstream: any ElementReader<Old>, _ bound: JoinBound, _ clock: JoinClock,
        _ transform: @escaping @Sendable (Old, Bool) throws -> New
    ) {
        self.upstream = upstream
        self.bound = bound
        self.clock = clock
        self.transform = transform
    }

    var remembers: Bool { upstream.remembers }
    var timeColumns: [Int] { upstream.timeColumns }

    func load(_ batch: EventBatch) {
        clock.load(batch)
        upstream.load(batch)
        made.clear()
    }

    func read(_ range: Range<Int>) {
        list.begin()
        mark = list.count
        clock.pass(range)
        upstream.forNew(range, adopting: list) { event, rows in
            let count = list.count
            let times = upstream.times
            do {
                for index in rows {
                    let row = Int(upstream.list.rows[index])
                    let time = times?.time(row)
                    let isLate = time.map { time in
                        let now = clock.time(at: Int(event), time.microseconds)
                        return bound.isPast(time.microseconds, streamTime: now)
                    }
                    try upstream.with(row) { old in
                        made.append(try transform(old.pointee, isLate ?? false), time, event)
                    }
                }
            } catch {
                made.truncate(to: count)
                fail(event, error)
            }
        }
    }

    func settle() { upstream.settle() }
    func undo() {
        made.truncate(to: mark)
        clock.undo()
        upstream.undo()
    }

    var times: kj_column? { made.timeColumn }
}
