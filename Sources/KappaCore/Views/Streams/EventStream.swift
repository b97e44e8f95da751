import CKappaJSON
import Synchronization

/// Something that gives a view its elements: events of one type, or what is made of them.
public protocol EventStream<Element>: Sendable {
    associatedtype Element
    /// How elements are made; for kappa's own use.
    var source: StreamSource<Element> { get }
}

/// What ``EventStream/filter(_:)`` and its sisters return.
public struct MappedStream<Element>: EventStream {
    /// How elements are made; for kappa's own use.
    public internal(set) var source: StreamSource<Element>

    /// The stream with something more that makes it what it is.
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

    /// Only the elements for which a condition holds. It is faster than a closure: it looks at columns,
    /// and what it leaves out is never made a struct.
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

    /// One new element for each. It keeps the event's time.
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

    /// One new element for each, or none where `transform` returns nil.
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

    /// Any number of new elements for each, in the order of the array.
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

/// What is learned of types when it is first asked for: when a view is worked out, not when it is written down.
/// The code of types may crash, and then it is known whose view it is.
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

    /// Why it cannot be had.
    var error: KappaError? {
        do throws(KappaError) {
            _ = try get()
            return nil
        } catch { return error }
    }
}

extension EventStream where Element: Decodable {
    /// One new element for each, with the properties of the old one that have the same name and type, but
    /// for those that are given here. It keeps the event's time.
    ///
    /// ```swift
    /// Events(Bid.self).map(as: EuroBid.self, .set(\.price, from: \.price) { ExactDecimal($0) * rate })
    /// ```
    ///
    /// It says less than ``map(_:)`` with a closure, and is faster: columns are taken as they are, and no
    /// struct is made where nobody asks for one.
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
