/// How a stream's elements come out of the log. Opaque: made by ``Events`` and by the methods of
/// ``EventStream``.
public struct StreamSource<Element>: Sendable {
    /// Registers the needed fields with the plan of a scan and returns what reads the elements, those
    /// too that ``condition`` leaves out.
    var openAll: @Sendable (any StreamContext) throws(KappaError) -> any ElementReader<Element>
    /// Which of the elements are in the stream; nil if all are.
    var condition: Condition<Element>?
    // What follows as closures is asked for when the view is worked out: it may call the code of types, which
    // may crash.
    /// What makes this stream, in words; a part of a view's digest.
    var signature: @Sendable () -> String
    /// The names of the event types that are read, for `kappa views`.
    let eventTypes: [String]
    let hasTime: Bool
    /// Whether one event may make several elements.
    var fansOut = false
    /// What the stream remembers from event to event, as tables of its own.
    var states: @Sendable () -> [TableSchema] = { [] }
    /// Why the stream cannot be right.
    var problem: @Sendable () -> KappaError? = { nil }
    /// The property by which the elements differ, if they are known to.
    var uniqueBy: (PartialKeyPath<Element> & Sendable)?

    /// Registers the needed fields with the plan of a scan and returns what reads the elements.
    func open(
        _ context: any StreamContext
    ) throws(KappaError) -> any ElementReader<Element> {
        let reader = try openAll(context)
        return condition.map { FilterReader(reader, $0) } ?? reader
    }

    /// Throws what is known to be wrong with the stream.
    func check() throws(KappaError) {
        if let problem = problem() { throw problem }
    }

    /// The stream with something more that makes it what it is.
    func signed(_ part: String) -> StreamSource {
        var copy = self
        copy.signature = { [signature] in "\(signature()) \(part)" }
        return copy
    }

    /// The stream with a further reason why it cannot be right.
    func unless(_ further: @escaping @Sendable () -> KappaError?) -> StreamSource {
        var copy = self
        copy.problem = { [problem] in problem() ?? further() }
        return copy
    }
}

/// Where a stream that is being opened finds what it needs. Its states are opened in the order in
/// which ``StreamSource/states`` lists them.
package protocol StreamContext: AnyObject {
    var plan: ExtractionPlan { get }
    /// The elements that wait in a stream by key, for each of its sides.
    /// - Parameters:
    ///   - cells: How many cells the rows of each side have.
    ///   - kind: Of the key.
    ///   - window: The start of the window of an event time; both in microseconds.
    func joinSides(
        cells: [Int], kind: ColumnKind, window: @escaping (Int64) -> Int64
    ) throws(KappaError) -> (keys: JoinKeyTable, sides: [JoinRows])
    /// The clock by which a stream judges what is late; kept with the checkpoint.
    /// - Parameter columns: The plan's columns that hold event times; see ``StreamTimekeeper``.
    func clock(columns: [Int]) -> StreamTimekeeper
}
