import CKappaJSON

/// For each row of a batch, whether a condition holds: 1 or 0.
final class RowMask {
    private(set) var bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: 1_024)
    private var capacity = 1_024

    deinit { bytes.deallocate() }

    /// Makes room for this many rows; existing values are kept.
    func reserve(_ rows: Int) {
        guard rows > capacity else { return }
        let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: max(rows, 2 * capacity))
        larger.update(from: bytes, count: capacity)
        bytes.deallocate()
        bytes = larger
        capacity = max(rows, 2 * capacity)
    }
}

/// The conditions of an aggregation whose properties all have columns. Equal conditions, and equal parts of
/// conditions, share a mask: each is evaluated once for a batch, in one loop.
final class ColumnConditions {
    /// A condition; its parts are referred to by their numbers.
    private enum Form: Hashable {
        case compare(column: Int, Comparison, Value)
        case compareTwo(column: Int, Comparison, other: Int, ColumnKind)
        /// Whether an integer is in a range: most comparisons, and two of them combined by `&&`.
        case within(column: Int, ClosedRange<Int64>)
        case both(Int, Int)
        case either(Int, Int)
        case not(Int)
        case never
    }

    private var numbers: [Form: Int] = [:]
    /// Parts come before the conditions that use them.
    private var forms: [Form] = []
    private var masks: [RowMask] = []

    /// The number of loops that a batch takes.
    var count: Int { forms.count }

    /// The mask of a condition, which ``evaluate(_:_:)`` fills. Nil if a closure or a computed property is
    /// part of the condition.
    func mask<Element>(
        of condition: Condition<Element>, _ column: (PartialKeyPath<Element>) -> Int?
    ) -> RowMask? {
        guard let form = form(of: condition, column) else { return nil }
        return masks[number(of: form)]
    }

    private func number(of form: Form) -> Int {
        if let known = numbers[form] { return known }
        numbers[form] = forms.count
        forms.append(form)
        masks.append(RowMask())
        return forms.count - 1
    }

    private func form<Element>(
        of condition: Condition<Element>, _ column: (PartialKeyPath<Element>) -> Int?
    ) -> Form? {
        switch condition.form {
        case .closure: return nil
        case .compare(let value, let comparison, let constant):
            guard let index = value.keyPath.flatMap({ column($0) }) else { return nil }
            return Self.form(index, comparison, constant)
        case .compareTwo(let a, let comparison, let b):
            guard let one = a.keyPath.flatMap({ column($0) }),
                let two = b.keyPath.flatMap({ column($0) })
            else { return nil }
            return .compareTwo(column: one, comparison, other: two, a.kind)
        case .both(let a, let b):
            guard let a = form(of: a, column), let b = form(of: b, column) else { return nil }
            if case .within(let one, let x) = a, case .within(let two, let y) = b, one == two {
                let (low, high) = (
                    max(x.lowerBound, y.lowerBound), min(x.upperBound, y.upperBound)
                )
                return low <= high ? .within(column: one, low...high) : .never
            }
            return .both(number(of: a), number(of: b))
        case .either(let a, let b):
            guard let a = form(of: a, column), let b = form(of: b, column) else { return nil }
            return .either(number(of: a), number(of: b))
        case .not(let part):
            guard let part = form(of: part, column) else { return nil }
            return .not(number(of: part))
        }
    }

    private static func form(_ column: Int, _ comparison: Comparison, _ constant: Value) -> Form {
        let bound: Int64
        switch constant {
        case .integer(let integer): bound = integer
        case .timestamp(let time): bound = time.microseconds
        default: return .compare(column: column, comparison, constant)
        }
        switch comparison {
        case .equal: return .within(column: column, bound...bound)
        case .atMost: return .within(column: column, .min...bound)
        case .atLeast: return .within(column: column, bound...(.max))
        case .less:
            return bound == .min ? .never : .within(column: column, .min...(bound - 1))
        case .greater:
            return bound == .max ? .never : .within(column: column, (bound + 1)...(.max))
        case .notEqual: return .compare(column: column, comparison, constant)
        }
    }

    /// Evaluates each condition for the given rows.
    /// - Parameter field: The column of a field, by row.
    func evaluate(_ rows: ArraySlice<Int32>, _ field: (Int) -> kj_column) {
        for (form, mask) in zip(forms, masks) {
            mask.reserve(Int(rows.last ?? 0) + 1)
            evaluate(form, into: mask.bytes, rows, field)
        }
    }

    private func evaluate(
        _ form: Form, into result: UnsafeMutablePointer<UInt8>, _ rows: ArraySlice<Int32>,
        _ field: (Int) -> kj_column
    ) {
        switch form {
        case .compare(let column, let comparison, let constant):
            compare(field(column), comparison, constant, rows, result)
        case .compareTwo(let column, let comparison, let other, let kind):
            compare(field(column), comparison, field(other), kind, rows, result)
        case .within(let column, let range):
            let column = field(column)
            let low = range.lowerBound
            let span = UInt64(bitPattern: range.upperBound &- low)
            for row in rows {
                let row = Int(row)
                let isThere = column.states[row] == UInt8(KJ_VALUE.rawValue)
                let distance = UInt64(bitPattern: column.integers[row] &- low)
                result[row] = (isThere ? 1 : 0) & (distance <= span ? 1 : 0)
            }
        case .both(let a, let b):
            let (a, b) = (masks[a].bytes, masks[b].bytes)
            for row in rows { result[Int(row)] = a[Int(row)] & b[Int(row)] }
        case .either(let a, let b):
            let (a, b) = (masks[a].bytes, masks[b].bytes)
            for row in rows { result[Int(row)] = a[Int(row)] | b[Int(row)] }
        case .not(let part):
            let part = masks[part].bytes
            for row in rows { result[Int(row)] = 1 - part[Int(row)] }
        case .never: for row in rows { result[Int(row)] = 0 }
        }
    }

    private func compare(
        _ column: kj_column, _ comparison: Comparison, _ constant: Value, _ rows: ArraySlice<Int32>,
        _ result: UnsafeMutablePointer<UInt8>
    ) {
        let whereNull = comparison.holds(.null, constant)
        @inline(__always)
        func each(_ holds: (Int) -> Bool) {
            for row in rows {
                let row = Int(row)
                let isThere = column.states[row] == UInt8(KJ_VALUE.rawValue)
                result[row] = (isThere ? holds(row) : whereNull) ? 1 : 0
            }
        }
        switch constant {
        case .integer(let constant):
            each { comparison.holds(column.integers[$0], constant) }
        case .timestamp(let constant):
            each { comparison.holds(column.integers[$0], constant.microseconds) }
        case .bool(let constant):
            each { comparison.holds(column.integers[$0] != 0 ? 1 : 0, constant ? 1 : 0) }
        case .double(let constant):
            each { comparison.holds(column.doubles[$0], constant) }
        case .decimal(let constant):
            each { row in column.decimal(row).map { comparison.holds($0, constant) } ?? whereNull }
        case .text(var constant), .json(var constant):
            constant.withUTF8 { constant in
                let constant = UnsafeRawBufferPointer(constant)
                each {
                    comparison.holds(ByteOrder.compare(column.strings[$0].buffer, constant), 0)
                }
            }
        case .null: each { _ in comparison == .notEqual }
        }
    }

    private func compare(
        _ a: kj_column, _ comparison: Comparison, _ b: kj_column, _ kind: ColumnKind,
        _ rows: ArraySlice<Int32>, _ result: UnsafeMutablePointer<UInt8>
    ) {
        let there = UInt8(KJ_VALUE.rawValue)
        @inline(__always)
        func each(_ holds: (Int) -> Bool) {
            for row in rows {
                let row = Int(row)
                let (isA, isB) = (a.states[row] == there, b.states[row] == there)
                let isIn = isA && isB ? holds(row) : comparison.holds(isA, isB)
                result[row] = isIn ? 1 : 0
            }
        }
        switch kind {
        case .integer, .timestamp: each { comparison.holds(a.integers[$0], b.integers[$0]) }
        case .bool:
            each { comparison.holds(a.integers[$0] != 0 ? 1 : 0, b.integers[$0] != 0 ? 1 : 0) }
        case .double: each { comparison.holds(a.doubles[$0], b.doubles[$0]) }
        case .decimal:
            each { row in
                guard let x = a.decimal(row), let y = b.decimal(row) else {
                    return comparison.holds(a.decimal(row) != nil, b.decimal(row) != nil)
                }
                return comparison.holds(x, y)
            }
        case .text, .json:
            each {
                comparison.holds(
                    ByteOrder.compare(a.strings[$0].buffer, b.strings[$0].buffer), 0)
            }
        }
    }
}
