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
    @inlinable
    public func map<New>(
        inWindows size: Duration, lateness: Duration?,
        _ transform: @escaping @Sendable (_ element: Element, _ isLate: Bool) throws -> New
    ) -> MappedStream<New> {
        judged("map", size, lateness) { old, numbers, isLate, new in
            new.make(of: old, numbers) { element, number, new in
                new.append(try transform(element, isLate?[number] ?? false), of: number)
            }
        }
    }

    /// Any number of new elements for each, as ``map(inWindows:lateness:_:)`` makes one.
    @inlinable
    public func flatMap<New>(
        inWindows size: Duration, lateness: Duration?,
        _ transform: @escaping @Sendable (_ element: Element, _ isLate: Bool) throws -> [New]
    ) -> MappedStream<New> {
        judged("flatMap", size, lateness, fansOut: true) { old, numbers, isLate, new in
            new.make(of: old, numbers) { element, number, new in
                for made in try transform(element, isLate?[number] ?? false) {
                    new.append(made, of: number)
                }
            }
        }
    }

    @usableFromInline
    func judged<New>(
        _ name: String, _ size: Duration, _ lateness: Duration?, fansOut: Bool = false,
        _ loop: @escaping ElementLoop<Element, New>
    ) -> MappedStream<New> {
        let upstream = source
        let bound = JoinBound.sameWindow(size, lateness: lateness)
        let problem: @Sendable () -> KappaError? = {
            if let problem = upstream.problem() { return problem }
            if let fault = bound.fault { return .senseless(fault, at: "stream of \(Element.self)") }
            if upstream.hasTime { return nil }
            return KappaError(
                .usage, "elements are judged by their windows, but they have no time",
                at: "stream of \(Element.self)", because: "windows are cut by event time",
                advice: "Name the event time: Events(\(Element.self).self, at: \\.timestamp)")
        }
        return MappedStream(
            source: StreamSource(
                openAll: { context throws(KappaError) in
                    let reader = try upstream.open(context)
                    let clock = context.clock(columns: reader.timeColumns)
                    return TransformReader(reader, judging: (bound, clock), loop)
                },
                signature: { "\(upstream.signature()).\(name) late \(bound.signature)" },
                eventTypes: upstream.eventTypes, hasTime: true,
                fansOut: fansOut || upstream.fansOut,
                states: upstream.states, problem: problem))
    }
}
