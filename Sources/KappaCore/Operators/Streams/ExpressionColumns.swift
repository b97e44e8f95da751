import CKappaJSON

/// The values of expressions over a reader's elements, as columns by row: the columns of the elements' own
/// fields where an expression is just a field, else computed from the structs.
final class ExpressionColumns<Element> {
    private enum Source {
        case field(Int)
        case computed(ComputedColumn)
        case constant(ConstantColumn)
    }
    private let reader: any ElementReader<Element>
    private let expressions: [Expression<Element>]
    private let sources: [Source]
    /// Whether any expression has to be computed from structs.
    let needsStructs: Bool

    init(
        _ reader: any ElementReader<Element>, _ expressions: [Expression<Element>],
        allowFields: Bool = true
    ) {
        self.reader = reader
        self.expressions = expressions
        let allowFields = allowFields && !ExpressionInputOptions.forbidColumns
        sources = expressions.map { expression in
            if allowFields, let field = expression.keyPath.flatMap({ reader.field(of: $0) }) {
                return .field(field)
            }
            if let constant = expression.constant {
                return .constant(ConstantColumn(constant, kind: expression.kind))
            }
            return .computed(ComputedColumn(kind: expression.kind))
        }
        needsStructs = sources.contains { if case .computed = $0 { true } else { false } }
    }

    /// Forgets the values computed for the previous batch.
    func clear() {
        for source in sources { if case .computed(let column) = source { column.clear() } }
    }

    /// Computes the expressions that are not columns, for one element.
    func compute(_ row: Int, _ element: UnsafePointer<Element>) throws {
        for index in sources.indices {
            guard case .computed(let column) = sources[index] else { continue }
            column.set(row, try expressions[index].evaluate(element.pointee))
        }
    }

    /// Valid until the next reading.
    func column(_ index: Int) -> kj_column {
        switch sources[index] {
        case .field(let field): reader.column(field)
        case .computed(let column): column.column
        case .constant(let column): column.column(upTo: reader.list.rows.max())
        }
    }

    var columns: [kj_column] { sources.indices.map { column($0) } }
    var count: Int { sources.count }
}

/// A column that holds the same value in each row.
private final class ConstantColumn {
    private let value: Value
    private let column: ComputedColumn
    /// How many rows hold it.
    private var count = 0

    init(_ value: Value, kind: ColumnKind) {
        self.value = value
        column = ComputedColumn(kind: kind)
    }

    func column(upTo last: Int32?) -> kj_column {
        let rows = last.map { Int($0) + 1 } ?? 0
        while count < rows {
            column.set(count, value)
            count += 1
        }
        return column.column
    }
}

/// Lets tests compare the two paths.
package enum ExpressionInputOptions {
    @TaskLocal package static var forbidColumns = false
}
