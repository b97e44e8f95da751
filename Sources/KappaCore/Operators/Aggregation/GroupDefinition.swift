/// A stream divided into groups, by keys, by windows, or by both; `aggregate` turns it into a table.
public struct Grouping<Element>: Sendable {
    let source: StreamSource<Element>
    var keys: [GroupKey<Element>] = []
    var window: Window?
    var latenessMicroseconds: Int64?
    var late = LateEvents.dropped
    var keepMicroseconds: Int64?
    /// Whether the window's columns come before the keys' columns, as the author wrote them.
    var windowComesFirst = true
    /// What is wrong with its times; nil if nothing is.
    var fault: String?

    /// - Throws: The error in the definition of the stream or of its groups, if there is one.
    func check(ofTable table: String) throws(KappaError) {
        try source.check()
        if let fault = window?.fault ?? fault { throw .senseless(fault, at: "table \(table)") }
    }
}

/// What happens to an event that comes after its windows have closed.
public enum LateEvents: Sendable {
    /// It is dropped, and counted as late.
    case dropped
    /// It is kept with the view's dead letters, and counted as dead.
    case deadLetters
}

/// One part of a group's key.
struct GroupKey<Element>: Sendable {
    let name: String?
    let expression: Expression<Element>
    /// See ``checkNames(_:ofTable:)``.
    var columnName: String { name ?? expression.propertyName ?? "key" }

    /// The key of a single group with all elements.
    static var all: GroupKey { GroupKey(name: "scope", expression: Expression(constant: "all")) }

    /// - Throws: `.usage` if a part of a key has no name, and the author gave none.
    static func checkNames(_ keys: [GroupKey], ofTable table: String) throws(KappaError) {
        for (index, key) in keys.enumerated()
        where key.name == nil && key.expression.propertyName == nil {
            throw KappaError(
                .usage, "a part of the key of table \(table) has no name",
                at: "table \(table), part \(index + 1) of its key",
                because:
                    "it is a computed property of \(Element.self), and Swift does not tell its name",
                advice: "Name its column: .grouped(as: \"name\", by: \\.property), or "
                    + ".grouped(by: \\.stored, as: \"name\", by: { $0.property })")
        }
    }

    /// The parts of a key, each the value of a property.
    static func properties<First: KeyValue, each Next: KeyValue>(
        _ first: KeyPath<Element, First> & Sendable,
        _ next: repeat KeyPath<Element, each Next> & Sendable
    ) -> [GroupKey] {
        var keys = [GroupKey(name: nil, expression: Expression(first))]
        for property in repeat each next {
            keys.append(GroupKey(name: nil, expression: Expression(property)))
        }
        return keys
    }
}
