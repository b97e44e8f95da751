import KappaCore

/// One query of Nexmark: a view, and the columns that make its result.
struct NexmarkQuery: Sendable {
    let view: View<Columns>
    let columns: [NexmarkColumn]
    /// The lateness of its windows, to pass on to another process.
    var latenessSeconds: Double?

    init(_ view: View<Columns>, _ columns: [NexmarkColumn]) {
        self.view = view
        self.columns = columns
    }

    var name: String { view.name }

    /// All queries with a reproducible result.
    /// - Parameter lateness: How late an event may come in the queries with windows. If it is nil, no event
    ///   is late.
    static func all(lateness: Duration? = nil) -> [NexmarkQuery] {
        [
            q0, q1, q2, q3, q4, q5(lateness: lateness), q6, q7(lateness: lateness),
            q8(lateness: lateness), q9, q10, q11(lateness: lateness), q13, q14, q15, q16, q17,
            q18, q19, q20, q21, q22, q23,
        ].map { query in
            var query = query
            query.latenessSeconds = lateness.map { $0 / .seconds(1) }
            return query
        }
    }
}

/// One column of a result.
struct NexmarkColumn: Sendable, ExpressibleByStringLiteral {
    enum Source: Sendable {
        case column(String)
        /// A decimal with three decimal places.
        case threeDigits(String)
        case day(String)
        case minute(String)
        /// A quotient of integers, without its fraction.
        case quotient(String, String)
    }
    let name: String
    let source: Source

    init(_ name: String, _ source: Source) {
        self.name = name
        self.source = source
    }

    init(stringLiteral name: String) { self.init(name, .column(name)) }

    static func named(_ name: String, _ column: String) -> NexmarkColumn {
        NexmarkColumn(name, .column(column))
    }
    static func threeDigits(_ name: String) -> NexmarkColumn {
        NexmarkColumn(name, .threeDigits(name))
    }
    static func day(_ name: String, _ column: String) -> NexmarkColumn {
        NexmarkColumn(name, .day(column))
    }
    static func minute(_ name: String, _ column: String) -> NexmarkColumn {
        NexmarkColumn(name, .minute(column))
    }
    static func quotient(_ name: String, _ a: String, _ b: String) -> NexmarkColumn {
        NexmarkColumn(name, .quotient(a, b))
    }
}
