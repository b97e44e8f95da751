import CKappaJSON

/// What an aggregate takes of each element.
struct AggregateInput<Element>: Sendable {
    /// Nil for a count.
    var value: Expression<Element>?
    /// What decides which value is kept, for an aggregate such as `argMin`.
    var order: Expression<Element>?
    var condition: Condition<Element>?
}

/// What an aggregate takes of a batch.
struct AggregateColumns {
    /// Nil for a count.
    var value: kj_column?
    /// Valid as long as the rows are.
    var order: UnsafePointer<kj_column>?
    /// Where it is set, only rows count for which it holds 1. Valid as long as the rows are.
    var mask: UnsafePointer<UInt8>?
}

/// An input that can be read from the columns of fields.
final class DirectInput {
    private let value: Int?
    private let order: Int?
    private let mask: RowMask?
    private let orderColumn = UnsafeMutablePointer<kj_column>.allocate(capacity: 1)

    /// Nil where there is no column for some part.
    init?<Element>(
        _ input: AggregateInput<Element>, _ conditions: ColumnConditions,
        _ column: (PartialKeyPath<Element>) -> Int?
    ) {
        value = input.value.flatMap { $0.keyPath.flatMap { column($0) } }
        order = input.order.flatMap { $0.keyPath.flatMap { column($0) } }
        mask = input.condition.flatMap { conditions.mask(of: $0, column) }
        orderColumn.initialize(to: kj_column())
        if input.value != nil, value == nil { return nil }
        if input.order != nil, order == nil { return nil }
        if input.condition != nil, mask == nil { return nil }
    }

    deinit { orderColumn.deallocate() }

    /// The conditions have been evaluated for the batch.
    func columns(_ field: (Int) -> kj_column) -> AggregateColumns {
        var columns = AggregateColumns(value: value.map(field))
        if let order {
            orderColumn.pointee = field(order)
            columns.order = UnsafePointer(orderColumn)
        }
        columns.mask = mask.map { UnsafePointer($0.bytes) }
        return columns
    }
}

/// An input that is computed for each element.
final class ComputedInput<Element> {
    private let input: AggregateInput<Element>
    private let value: ComputedColumn?
    private let order: ComputedColumn?
    private let mask: RowMask?
    private let orderColumn = UnsafeMutablePointer<kj_column>.allocate(capacity: 1)

    init(_ input: AggregateInput<Element>, _ conditions: ComputedConditions<Element>) {
        self.input = input
        value = input.value.map { ComputedColumn(kind: $0.kind) }
        order = input.order.map { ComputedColumn(kind: $0.kind) }
        mask = input.condition.map { conditions.mask(of: $0) }
        orderColumn.initialize(to: kj_column())
    }

    deinit { orderColumn.deallocate() }

    func clear() {
        value?.clear()
        order?.clear()
    }

    /// Computes the value of an element, where it counts. The conditions have been evaluated for it.
    func set(_ row: Int, _ element: Element) throws {
        if let mask, mask.bytes[row] == 0 { return }
        if let value, let expression = input.value {
            value.set(row, try expression.evaluate(element))
        }
        if let order, let expression = input.order {
            order.set(row, try expression.evaluate(element))
        }
    }

    var columns: AggregateColumns {
        var columns = AggregateColumns(value: value?.column)
        if let order {
            orderColumn.pointee = order.column
            columns.order = UnsafePointer(orderColumn)
        }
        columns.mask = mask.map { UnsafePointer($0.bytes) }
        return columns
    }
}

/// The conditions of inputs that are computed: equal ones are one, and are answered once for each
/// element.
final class ComputedConditions<Element> {
    private var all: [(condition: Condition<Element>, mask: RowMask)] = []

    func mask(of condition: Condition<Element>) -> RowMask {
        if let known = all.first(where: { $0.condition.isSame(as: condition) }) {
            return known.mask
        }
        all.append((condition, RowMask()))
        return all[all.count - 1].mask
    }

    func set(_ row: Int, _ element: Element) throws {
        for (condition, mask) in all {
            mask.reserve(row + 1)
            let isIncluded = try condition.holds(for: element)
            mask.bytes[row] = isIncluded ? 1 : 0
        }
    }
}
