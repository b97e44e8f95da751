/// The properties of a struct that a table's rows are read as.
///
/// `@unchecked Sendable`: it never changes after `init`, and finding the field of a key path only reads.
struct RowProperties<Row: ViewRow>: @unchecked Sendable {
    private let fields: [EventField]
    private let shape: EventShape
    private let tracer: FieldTracer<Row>

    init() throws(KappaError) {
        fields = try RowCodec<Row>().fields
        shape = try EventShape(of: Row.self)
        tracer = FieldTracer<Row>(shape)
    }

    /// The name of a property's column.
    /// - Throws: `.usage` if the property is computed.
    func column(of property: PartialKeyPath<Row>) throws(KappaError) -> String {
        if let field = tracer.field(of: property), shape.fields[field].path.count == 1 {
            return shape.fields[field].columnName
        }
        let path = PropertyPath(property)
        if let name = path.columnName, fields.contains(where: { $0.columnName == name }) {
            return name
        }
        throw KappaError(
            .usage, "a column of \(Row.self) has no name", at: "\(Row.self), \(path.description)",
            because: "an aggregate can be named only after a stored property of the struct itself",
            advice: "Declare the property with let or var, and name the aggregate after it")
    }

    /// - Throws: `.usage` if a property has no column of its name and kind.
    func check(_ table: TableSchema) throws(KappaError) {
        for field in fields {
            let name = field.columnName
            guard let column = table.columns.first(where: { $0.name == name }) else {
                let there = table.columns.map(\.name).joined(separator: ", ")
                throw KappaError(
                    .usage, "nothing fills \(field.path.joined(separator: ".")) of \(Row.self)",
                    at: "table \(table.name)",
                    because: "a property takes an aggregate, a key or a bound of the window, and "
                        + "there is no column \(name) among \(there)",
                    advice: "Name an aggregate after it: .count().as(\\.…); or remove the property")
            }
            if column.kind != field.kind {
                throw KappaError(
                    .usage,
                    "\(field.path.joined(separator: ".")) of \(Row.self) cannot hold its column",
                    at: "table \(table.name), column \(name)",
                    because: "the property is \(field.kind.rawValue), and the column "
                        + "\(column.kind.rawValue)",
                    advice: "Give the property the type of the key that it is named after")
            }
        }
    }
}
