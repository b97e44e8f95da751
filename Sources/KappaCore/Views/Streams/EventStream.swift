import CKappaJSON
import Synchronization

/// A stream of elements for a view: events of one type, or elements made from them.
public protocol EventStream<Element>: Sendable {
    associatedtype Element
    /// How elements are made; for kappa's own use.
    var source: StreamSource<Element> { get }
}

/// The stream that ``EventStream/filter(_:)`` and the other operators return.
public struct MappedStream<Element>: EventStream {
    /// How elements are made; for kappa's own use.
    public internal(set) var source: StreamSource<Element>

    /// The same stream with `part` added to its signature, and so to the digests of views that use it.
    @usableFromInline
    func signed(_ part: String) -> MappedStream { MappedStream(source: source.signed(part)) }
}

extension EventStream {
    /// Only the elements for which `isIncluded` is true.
    @inlinable
    public func filter(
        _ isIncluded: @escaping @Sendable (Element) throws -> Bool
    ) -> MappedStream<Element> {
        filter(
            Condition(closure: isIncluded) { elements, numbers, isWanted, failed in
                for number in numbers {
                    let element = (elements + (number - numbers.lowerBound)).move()
                    do {
                        isWanted[number] = try isIncluded(element)
                        try DecimalOverflow.check()
                    } catch { failed(number, error) }
                }
            })
    }

    /// Only the elements for which a condition holds. This is faster than a closure: a condition reads
    /// columns, and no struct is made for an element that it drops.
    ///
    /// ```swift
    /// Events(Bid.self).filter(\.price >= 100 && \.channel != "web")
    /// ```
    public func filter(_ condition: Condition<Element>) -> MappedStream<Element> {
        var source = source
        source.condition = source.condition.map { $0 && condition } ?? condition
        source.signature = { [signature = source.signature] in signature() + ".filter" }
        return MappedStream(source: source)
    }

    /// Makes one new element from each element. The new one keeps the event's time.
    @inlinable
    public func map<New>(
        _ transform: @escaping @Sendable (Element) throws -> New
    ) -> MappedStream<New> {
        transformed("map") { old, numbers, _, new in
            new.make(of: old, numbers) { element, number, new in
                new.append(try transform(element), of: number)
            }
        }
    }

    /// Makes one new element from each element, or none if `transform` returns nil.
    @inlinable
    public func compactMap<New>(
        _ transform: @escaping @Sendable (Element) throws -> New?
    ) -> MappedStream<New> {
        transformed("compactMap") { old, numbers, _, new in
            new.make(of: old, numbers) { element, number, new in
                if let made = try transform(element) { new.append(made, of: number) }
            }
        }
    }

    /// Makes any number of new elements from each element, in the order of the array.
    @inlinable
    public func flatMap<New>(
        _ transform: @escaping @Sendable (Element) throws -> [New]
    ) -> MappedStream<New> {
        transformed("flatMap", fansOut: true) { old, numbers, _, new in
            new.make(of: old, numbers) { element, number, new in
                for made in try transform(element) { new.append(made, of: number) }
            }
        }
    }

    @usableFromInline
    func transformed<New>(
        _ name: String, fansOut: Bool = false, _ loop: @escaping ElementLoop<Element, New>
    ) -> MappedStream<New> {
        let upstream = source
        return MappedStream(
            source: StreamSource(
                openAll: { context throws(KappaError) in
                    TransformReader(try upstream.open(context), loop)
                },
                signature: { "\(upstream.signature()).\(name)" },
                eventTypes: upstream.eventTypes, hasTime: upstream.hasTime,
                fansOut: fansOut || upstream.fansOut, states: upstream.states,
                problem: upstream.problem))
    }
}

/// A value computed from the author's types on first use: when a view is worked out, not when it is declared.
/// The types' own code may crash, and by that time kappa has recorded which view it is working out.
final class Learned<Value: Sendable>: Sendable {
    private let make: @Sendable () throws(KappaError) -> Value
    private let result = Mutex<Result<Value, KappaError>?>(nil)

    init(_ make: @escaping @Sendable () throws(KappaError) -> Value) { self.make = make }

    func get() throws(KappaError) -> Value {
        try result.withLock { result in
            let known = result ?? Result(catching: make)
            result = known
            return known
        }.get()
    }

    /// The error, if the value cannot be computed.
    var error: KappaError? {
        do throws(KappaError) {
            _ = try get()
            return nil
        } catch { return error }
    }
}

extension EventStream where Element: Decodable {
    /// Makes one new element from each element. Each of its properties takes the value of the old element's
    /// property with the same name and type, unless `properties` sets it. The new element keeps the event's
    /// time.
    ///
    /// ```swift
    /// Events(Bid.self).map(as: EuroBid.self, .set(\.price, from: \.price) { ExactDecimal($0) * rate })
    /// ```
    ///
    /// This can express less than ``map(_:)`` with a closure, and is faster: columns are passed on as they
    /// are, and a struct is made only where a later step needs one.
    public func map<New: ViewRow>(
        as type: New.Type, _ properties: NewProperty<Element, New>...
    ) -> MappedStream<New> {
        let upstream = source
        let map = Learned { () throws(KappaError) in try PropertyMap(properties) }
        return MappedStream(
            source: StreamSource(
                openAll: { context throws(KappaError) in
                    PropertyReader(try upstream.open(context), try map.get())
                },
                signature: { "\(upstream.signature()).map \((try? map.get().signature) ?? "")" },
                eventTypes: upstream.eventTypes, hasTime: upstream.hasTime,
                fansOut: upstream.fansOut, states: upstream.states,
                problem: { upstream.problem() ?? map.error }))
    }
}

extension EventStream {
    /// Makes one new element from each element, and tells `transform` whether the element is late: whether
    /// its tumbling window had closed when it arrived, `window end + lateness <= stream time`. Late elements
    /// are not dropped.
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

    /// Like ``map(inWindows:lateness:_:)``, but makes any number of new elements from each element.
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
