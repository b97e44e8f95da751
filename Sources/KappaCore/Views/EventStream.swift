/// Something that gives a view its elements: events of one type, or what is made of them.
public protocol EventStream<Element>: Sendable {
    associatedtype Element
    /// How elements are made; for kappa's own use.
    var source: StreamSource<Element> { get }
}

/// How a stream's elements come out of the log. Opaque: made by ``Events`` and by the methods of
/// ``EventStream``.
public struct StreamSource<Element>: Sendable {
    /// Registers the needed fields with the plan of a scan and returns what reads the elements.
    let open: @Sendable (any StreamContext) throws(KappaError) -> any ElementReader<Element>
    /// What makes this stream, in words; a part of a view's digest.
    var signature: String
    /// The names of the event types that are read, for `kappa views`.
    let eventTypes: [String]
    let hasTime: Bool
    /// Whether one event may make several elements.
    var fansOut = false
    /// What the stream remembers from event to event, as tables of its own.
    var states: [TableSchema] = []
    /// Why the stream cannot be right; told when the view is defined.
    var problem: KappaError?
    /// The property by which the elements differ, if they are known to.
    var uniqueBy: (PartialKeyPath<Element> & Sendable)?

    /// Throws what is known to be wrong with the stream.
    func check() throws(KappaError) {
        if let problem { throw problem }
    }

    /// The stream with something more that makes it what it is.
    func signed(_ part: String) -> StreamSource {
        var copy = self
        copy.signature += " \(part)"
        return copy
    }
}

/// Where a stream that is being opened finds what it needs. Its states are opened in the order in
/// which ``StreamSource/states`` lists them.
package protocol StreamContext: AnyObject {
    var plan: ExtractionPlan { get }
    /// Elements by key, for one side of a join.
    /// - Parameters:
    ///   - kind: Of the key.
    ///   - key: The key of an element with an event time in microseconds.
    func joinSide<Element: ViewRow>(
        _ type: Element.Type, kind: ColumnKind,
        key: @escaping (Element, Int64) throws -> JoinKey
    ) throws(KappaError) -> any JoinSide<Element>
    /// The times by which a stream judges what is late; kept with the checkpoint.
    func clock() -> StreamClock
}

/// The largest event time that a stream has seen.
package final class StreamClock {
    /// In microseconds; `Int64.min` before the first event.
    package var time: Int64

    package init(_ time: Int64) { self.time = time }
}

/// Reads the elements of a stream out of batches.
protocol ElementReader<Element>: AnyObject {
    associatedtype Element

    /// Takes a batch as the one that the other calls are about.
    func load(_ batch: EventBatch)
    /// Appends the indices of the events that are of the stream's type.
    func select(_ range: Range<Int>, into selection: inout [Int32])
    /// Makes the elements of one selected event: none, one or several. What the stream remembers of
    /// them is up to a call of `settle` or `undo`; ``take(_:_:)`` makes it.
    func read(_ row: Int, _ body: (Element, Timestamp?) throws -> Void) throws
    /// What was read was taken: what it changed in what the stream remembers stays.
    func settle()
    /// What was read could not be taken: it leaves no trace in what the stream remembers.
    func undo()
    /// Where columns can stand for the elements: the tracing of key paths to them. Nil where a
    /// closure stands between the events and the elements.
    var columns: ElementColumns<Element>? { get }
    /// The plan's columns in which event times stand, as every event of the log has them that has
    /// such a field at all. None where the time is computed.
    var timeColumns: [Int] { get }
}

extension ElementReader {
    func settle() {}
    func undo() {}

    /// Hands the elements of one selected event to what they are for. Where any of them cannot be
    /// taken, none of them has been.
    func take(_ row: Int, _ body: (Element, Timestamp?) throws -> Void) throws {
        do { try read(row, body) } catch {
            undo()
            throw error
        }
        settle()
    }
}

/// The columns that a stream's elements are made of.
struct ElementColumns<Element> {
    /// The plan's column for a stored property; nil for a computed one.
    let column: (PartialKeyPath<Element>) -> Int?
    /// The column of the event time, if the stream has one.
    let time: Int?
    /// Every column that must hold a value (or, where optional, no value of a wrong type), with
    /// its path, for an event to be taken.
    let required: [RequiredColumn]
}

/// All events of one type.
///
/// ```swift
/// Events(UserEvent.self, at: \.timestamp)
/// ```
public struct Events<Element: Event>: EventStream {
    /// How elements are made; for kappa's own use.
    public let source: StreamSource<Element>

    /// Events in log order, without a time.
    public init(_ type: Element.Type) {
        self.init(time: nil)
    }

    /// Events with the property that is their event time, for windows.
    public init(_ type: Element.Type, at time: KeyPath<Element, Timestamp> & Sendable) {
        self.init(time: .property(time))
    }

    /// Events with another time than one of their properties.
    ///
    /// ```swift
    /// Events(UserEvent.self, at: .ingestion)
    /// ```
    public init(_ type: Element.Type, at time: EventTime) {
        self.init(time: .ingestion)
    }

    private init(time: TimeSource<Element>?) {
        let suffix = if case .ingestion = time { " at ingestion" } else { "" }
        source = StreamSource(
            open: { context throws(KappaError) in
                try TypedEventReader(plan: context.plan, time: time)
            },
            signature: "events(\(Element.eventType ?? "-"))\(suffix)",
            eventTypes: [Element.eventType ?? "*"],
            hasTime: time != nil)
    }
}

/// A time of events that is none of their properties.
public struct EventTime: Sendable {
    /// When the event was appended to the log, as the log keeps it: a replay finds the same time.
    public static let ingestion = EventTime()
}

/// Where the time of events comes from.
private enum TimeSource<Element>: Sendable {
    case property(KeyPath<Element, Timestamp> & Sendable)
    case ingestion
}

/// What ``EventStream/filter(_:)`` and its sisters return.
public struct MappedStream<Element>: EventStream {
    /// How elements are made; for kappa's own use.
    public internal(set) var source: StreamSource<Element>
}

extension EventStream {
    /// Only the elements for which `isIncluded` is true.
    public func filter(
        _ isIncluded: @escaping @Sendable (Element) throws -> Bool
    ) -> MappedStream<Element> {
        var stream = transformed("filter") { (element: Element, body) in
            if try isIncluded(element) { try body(element) }
        }
        stream.source.uniqueBy = source.uniqueBy
        return stream
    }

    /// One new element for each. It keeps the event's time.
    public func map<New>(
        _ transform: @escaping @Sendable (Element) throws -> New
    ) -> MappedStream<New> {
        transformed("map") { element, body in try body(transform(element)) }
    }

    /// One new element for each, or none where `transform` returns nil.
    public func compactMap<New>(
        _ transform: @escaping @Sendable (Element) throws -> New?
    ) -> MappedStream<New> {
        transformed("compactMap") { element, body in
            if let new = try transform(element) { try body(new) }
        }
    }

    /// Any number of new elements for each, in the order of the array.
    public func flatMap<New>(
        _ transform: @escaping @Sendable (Element) throws -> [New]
    ) -> MappedStream<New> {
        var stream = transformed("flatMap") { element, body in
            for new in try transform(element) { try body(new) }
        }
        stream.source.fansOut = true
        return stream
    }

    private func transformed<New>(
        _ name: String,
        _ transform: @escaping @Sendable (Element, (New) throws -> Void) throws -> Void
    ) -> MappedStream<New> {
        let upstream = source
        return MappedStream(
            source: StreamSource(
                open: { context throws(KappaError) in
                    TransformReader(upstream: try upstream.open(context), transform: transform)
                },
                signature: "\(upstream.signature).\(name)",
                eventTypes: upstream.eventTypes, hasTime: upstream.hasTime,
                fansOut: upstream.fansOut, states: upstream.states,
                problem: upstream.problem))
    }
}

private final class TypedEventReader<E: Event>: ElementReader {
    private let reader: EventReader<E>
    private let time: (KeyPath<E, Timestamp> & Sendable)?
    /// Where the column stands for the time of every event that can be decoded.
    private let timeColumn: Int?
    private var times: UnsafePointer<Int64>?
    let timeColumns: [Int]
    let columns: ElementColumns<E>?

    init(
        plan: ExtractionPlan, time: TimeSource<E>?
    ) throws(KappaError) {
        let reader = try EventReader<E>(plan: plan)
        self.reader = reader
        let tracer = reader.tracer
        let timeColumn: Int?
        switch time {
        case .property(let property):
            self.time = property
            timeColumn = tracer.field(of: property).map { reader.fieldColumns[$0] }
            self.timeColumn = reader.isPlain ? timeColumn : nil
        case .ingestion:
            self.time = nil
            timeColumn = plan.ingestionColumn()
            self.timeColumn = timeColumn
        case nil:
            (self.time, timeColumn, self.timeColumn) = (nil, nil, nil)
        }
        timeColumns = timeColumn.map { [$0] } ?? []
        if reader.isPlain, time == nil || timeColumn != nil {
            columns = ElementColumns(
                column: { tracer.field(of: $0).map { reader.fieldColumns[$0] } },
                time: timeColumn,
                required: reader.required)
        } else {
            columns = nil
        }
    }

    func load(_ batch: EventBatch) {
        reader.load(batch)
        times = timeColumn.flatMap { UnsafePointer(batch.times($0).integers) }
    }
    func select(_ range: Range<Int>, into selection: inout [Int32]) {
        reader.select(range, into: &selection)
    }
    func read(_ row: Int, _ body: (E, Timestamp?) throws -> Void) throws {
        try reader.with(row) { event in
            if let times {
                try body(event.pointee, Timestamp(microseconds: times[row]))
            } else {
                try body(event.pointee, time.map { event.pointee[keyPath: $0] })
            }
        }
    }
}

private final class TransformReader<Old, New>: ElementReader {
    typealias Element = New
    private let upstream: any ElementReader<Old>
    private let transform: @Sendable (Old, (New) throws -> Void) throws -> Void

    init(
        upstream: any ElementReader<Old>,
        transform: @escaping @Sendable (Old, (New) throws -> Void) throws -> Void
    ) {
        self.upstream = upstream
        self.transform = transform
    }

    var columns: ElementColumns<New>? { nil }
    var timeColumns: [Int] { upstream.timeColumns }
    func load(_ batch: EventBatch) { upstream.load(batch) }
    func select(_ range: Range<Int>, into selection: inout [Int32]) {
        upstream.select(range, into: &selection)
    }
    func read(_ row: Int, _ body: (New, Timestamp?) throws -> Void) throws {
        try upstream.read(row) { old, time in
            try transform(old) { new in try body(new, time) }
        }
    }
    func settle() { upstream.settle() }
    func undo() { upstream.undo() }
}
