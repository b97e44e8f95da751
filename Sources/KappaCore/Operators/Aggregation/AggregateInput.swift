import CKappaJSON

/// What an aggregate reads from each element.
struct AggregateInput<Element>: Sendable {
    /// Nil for a count.
    var value: Expression<Element>?
    /// The value that ranks elements, for an aggregate such as `argMin`.
    var order: Expression<Element>?
    var condition: Condition<Element>?
}

/// What an aggregate reads from a batch.
struct AggregateColumns {
    /// Nil for a count.
    var value: kj_column?
    /// Valid as long as the rows are.
    var order: UnsafePointer<kj_column>?
    /// If set, only rows whose byte is 1 count. Valid as long as the rows are.
    var mask: UnsafePointer<UInt8>?
}

/// An input read from the columns of fields.
final class DirectInput {
    private let value: Int?
    private let order: Int?
    private let mask: RowMask?
    private let orderColumn = UnsafeMutablePointer<kj_column>.allocate(capacity: 1)

    /// Nil if some part of the input has no column.
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

    /// The input's columns in a batch. The conditions have been evaluated for it.
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

/// An input computed for each element.
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

    /// Computes the input of an element, if its condition holds. The conditions have been evaluated for the
    /// element.
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

/// The conditions of computed inputs. Equal conditions share a mask, and are evaluated once for each element.
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
