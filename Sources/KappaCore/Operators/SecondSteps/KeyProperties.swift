/// The properties of a second step's rows that are named as a part of the group's key. They are no columns
/// of their own, and must be the same.
struct KeyProperties: Sendable {
    private let columns: [ColumnSchema]
    /// The column of such a property, and the part of the key.
    private let named: [(column: Int, part: Int)]

    init<Element>(_ columns: [ColumnSchema], _ keys: [GroupKey<Element>]) {
        self.columns = columns
        named = columns.indices.compactMap { column in
            keys.firstIndex { $0.columnName == columns[column].name }.map { (column, $0) }
        }
    }

    /// The columns of the other properties.
    var shown: [Int] {
        columns.indices.filter { column in !named.contains { $0.column == column } }
    }

    /// Checks the cells of a row that is made of the rows of a group.
    /// - Parameter key: The parts of the group's key.
    /// - Throws: `.badInput` where a property has another value than the key: it would be lost.
    func check(_ cells: @autoclosure () -> [Value], key: @autoclosure () -> [Value]) throws {
        if named.isEmpty { return }
        let (cells, key) = (cells(), key())
        for (column, part) in named where cells[column] != key[part] {
            let name = columns[column].name
            throw KappaError(
                .badInput, "a second step made a row whose \(name) is not that of its group",
                because: "it is \(cells[column].jsonText), and the group's key \(name) is "
                    + "\(key[part].jsonText): both would be one column",
                advice: "Give the property another name")
        }
    }
}
