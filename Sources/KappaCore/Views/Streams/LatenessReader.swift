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
        judged("map", size, lateness) { element, isLate, body in
            try body(transform(element, isLate))
        }
    }

    /// Any number of new elements for each, as ``map(inWindows:lateness:_:)`` makes one.
    public func flatMap<New>(
        inWindows size: Duration, lateness: Duration?,
        _ transform: @escaping @Sendable (_ element: Element, _ isLate: Bool) throws -> [New]
    ) -> MappedStream<New> {
        var stream: MappedStream<New> = judged("flatMap", size, lateness) { element, isLate, body in
            for new in try transform(element, isLate) { try body(new) }
        }
        stream.source.fansOut = true
        return stream
    }

    private func judged<New>(
        _ name: String, _ size: Duration, _ lateness: Duration?,
        _ transform: @escaping LatenessReader<Element, New>.Transform
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
                openAll: { context throws(KappaError) in
                    let reader = try upstream.open(context)
                    let clock = JoinClock(context.clock(), columns: reader.timeColumns)
                    return LatenessReader(reader, bound, clock, transform)
                },
                signature: "\(upstream.signature).\(name) late \(bound.signature)",
                eventTypes: upstream.eventTypes, hasTime: true, fansOut: upstream.fansOut,
                states: upstream.states, problem: problem))
    }
}

/// Makes new elements of those of another stream, and knows which of these are late.
private final class LatenessReader<Old, New>: MakingReader {
    typealias Element = New
    typealias Transform = @Sendable (Old, Bool, (New) throws -> Void) throws -> Void
    private let upstream: any ElementReader<Old>
    private let bound: JoinBound
    private let clock: JoinClock
    private let transform: Transform
    let made = ElementBuffer<New>()
    private var mark = 0

    init(
        _ upstream: any ElementReader<Old>, _ bound: JoinBound, _ clock: JoinClock,
        _ transform: @escaping Transform
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
                        try transform(old.pointee, isLate ?? false) {
                            made.append($0, time, event)
                        }
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
