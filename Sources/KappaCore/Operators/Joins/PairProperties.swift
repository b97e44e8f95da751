/// Names the source of a property in the struct that a join makes of a pair, for a property whose name
/// differs from its source's.
public struct PairProperty<Left, Right, New>: Sendable {
    enum Source: Sendable {
        case left(PartialKeyPath<Left> & Sendable)
        case right(PartialKeyPath<Right> & Sendable)
    }
    let source: Source
    let target: PartialKeyPath<New> & Sendable

    /// Takes a property of the left element.
    public static func left<V>(
        _ property: KeyPath<Left, V> & Sendable, as target: KeyPath<New, V> & Sendable
    ) -> PairProperty {
        PairProperty(source: .left(property), target: target)
    }

    /// Takes a property of the right element.
    public static func right<V>(
        _ property: KeyPath<Right, V> & Sendable, as target: KeyPath<New, V> & Sendable
    ) -> PairProperty {
        PairProperty(source: .right(property), target: target)
    }
}

/// The sources of the cells of a pair's struct.
struct PairCells: Sendable {
    /// A cell of an element, and the side it is on.
    struct Cell: Sendable {
        let isLeft: Bool
        let index: Int
        let kind: ColumnKind
    }
    private(set) var cells: [Cell] = []

    /// Finds the source of each property of the pair's struct.
    /// - Throws: `.usage` if a property has no source.
    init<Left: ViewRow, Right: ViewRow, New: ViewRow>(
        _ properties: [PairProperty<Left, Right, New>]
    ) throws(KappaError) {
        let (left, right) = (try PairSide<Left>(), try PairSide<Right>())
        let new = try PairSide<New>(spread: false)
        var given: [Int: Cell] = [:]
        for property in properties {
            let cell =
                switch property.source {
                case .left(let path):
                    left.cell(path).map { new.cell(at: $0, of: left.fields, true) }
                case .right(let path):
                    right.cell(path).map { new.cell(at: $0, of: right.fields, false) }
                }
            guard let cell, let target = new.cell(property.target) else {
                throw Self.problem(
                    New.self, PropertyPath(property.target).description,
                    "it, or the property it comes from, is not read from a column")
            }
            given[target] = cell
        }
        for (index, field) in new.fields.enumerated() {
            if let cell = given[index] {
                cells.append(cell)
            } else if let found = left.cell(for: field) {
                cells.append(new.cell(at: found, of: left.fields, true))
            } else if let found = right.cell(for: field) {
                cells.append(new.cell(at: found, of: right.fields, false))
            } else {
                throw Self.problem(
                    New.self, field.columnName,
                    "neither \(Left.self) nor \(Right.self) has one of that name and type")
            }
        }
    }

    private static func problem<New>(
        _ type: New.Type, _ name: String, _ reason: String
    ) -> KappaError {
        KappaError(
            .usage, "a join cannot make \(type): nothing provides \(name)", at: "\(type)",
            because: reason,
            advice:
                "Name its source: .left(\\.name, as: \\.\(name)), or make pairs with a closure")
    }

    /// A part of a view's digest.
    var signature: String {
        "as " + cells.map { "\($0.isLeft ? "left" : "right") \($0.index)" }.joined(separator: ",")
    }
}

/// The cells of one of the types involved: the left, the right or the pair's.
private struct PairSide<Element: ViewRow> {
    let fields: [EventField]
    private let shape: EventShape
    private let tracer: FieldTracer<Element>

    init(spread: Bool = true) throws(KappaError) {
        fields = try RowCodec<Element>(spread: spread).fields
        shape = try EventShape(of: Element.self)
        tracer = FieldTracer(shape)
    }

    /// The cell that a key path reads.
    func cell(_ path: PartialKeyPath<Element>) -> Int? {
        tracer.field(of: path).flatMap { field in
            fields.firstIndex { $0.path == shape.fields[field].path }
        }
    }

    /// The cell that can supply a property of another type, by its name and type.
    func cell(for other: EventField) -> Int? {
        fields.firstIndex { $0.canStand(for: other) }
    }

    func cell(at index: Int, of fields: [EventField], _ isLeft: Bool) -> PairCells.Cell {
        PairCells.Cell(isLeft: isLeft, index: index, kind: fields[index].kind)
    }
}
