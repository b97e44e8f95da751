/// How a stream's elements are read from the log. Opaque: made by ``Events`` and by the methods of
/// ``EventStream``.
public struct StreamSource<Element>: Sendable {
    /// Registers the needed fields with the plan of a scan, and returns a reader of all elements, including
    /// those that do not meet ``condition``.
    var openAll: @Sendable (any StreamContext) throws(KappaError) -> any ElementReader<Element>
    /// The condition for an element to be in the stream; nil if all are.
    var condition: Condition<Element>?
    // The closures below are called only when the view is defined, because they may call the code of the
    // author's types, which may crash.
    /// A description of the stream; a part of a view's digest.
    var signature: @Sendable () -> String
    /// The names of the event types that are read, for `kappa views`.
    let eventTypes: [String]
    let hasTime: Bool
    /// Whether one event may make several elements.
    var fansOut = false
    /// The tables for the state that the stream keeps from event to event.
    var states: @Sendable () -> [TableSchema] = { [] }
    /// What is wrong with the stream; nil if nothing is.
    var problem: @Sendable () -> KappaError? = { nil }
    /// The property in which any two elements differ, if one is known.
    var uniqueBy: (PartialKeyPath<Element> & Sendable)?

    /// Registers the needed fields with the plan of a scan, and returns a reader of the stream's elements.
    func open(
        _ context: any StreamContext
    ) throws(KappaError) -> any ElementReader<Element> {
        let reader = try openAll(context)
        return condition.map { FilterReader(reader, $0) } ?? reader
    }

    /// Throws the stream's ``problem``, if it has one.
    func check() throws(KappaError) {
        if let problem = problem() { throw problem }
    }

    /// Returns the stream with one more part in its signature.
    func signed(_ part: String) -> StreamSource {
        var copy = self
        copy.signature = { [signature] in "\(signature()) \(part)" }
        return copy
    }

    /// Returns the stream with one more check for problems.
    func unless(_ further: @escaping @Sendable () -> KappaError?) -> StreamSource {
        var copy = self
        copy.problem = { [problem] in problem() ?? further() }
        return copy
    }
}

/// The context in which a stream is opened. The stream opens its states in the order in which
/// ``StreamSource/states`` lists them.
package protocol StreamContext: AnyObject {
    var plan: ExtractionPlan { get }
    /// Opens the elements that a join keeps by key, for each of its sides.
    /// - Parameters:
    ///   - cells: The number of cells in the rows of each side.
    ///   - kind: The kind of the key.
    ///   - window: Returns the start of an event time's window; both in microseconds.
    func joinSides(
        cells: [Int], kind: ColumnKind, window: @escaping (Int64) -> Int64
    ) throws(KappaError) -> (keys: JoinKeyTable, sides: [JoinRows])
    /// Opens the clock by which a stream judges lateness; its time is kept with the checkpoint.
    /// - Parameter columns: The plan's columns that hold event times; see ``StreamTimekeeper``.
    func clock(columns: [Int]) -> StreamTimekeeper
}
