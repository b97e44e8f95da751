import CKappaJSON
import Glibc

/// For each row of a batch, whether it counts: 1 or 0.
final class RowMask {
    private(set) var bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: 1_024)
    private var capacity = 1_024

    deinit { bytes.deallocate() }

    /// Makes room for rows up to a number; what was there before is kept.
    func reserve(_ rows: Int) {
        guard rows > capacity else { return }
        let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: max(rows, 2 * capacity))
        larger.update(from: bytes, count: capacity)
        bytes.deallocate()
        bytes = larger
        capacity = max(rows, 2 * capacity)
    }
}

/// A condition whose properties all have columns: one loop for each comparison of a batch.
final class ColumnCondition {
    private indirect enum Form {
        case compare(column: Int, kind: ColumnKind, Comparison, Value)
        case both(ColumnCondition, ColumnCondition)
        case either(ColumnCondition, ColumnCondition)
        case not(ColumnCondition)
    }
    private let form: Form
    let mask = RowMask()

    /// Nil where a closure or a computed property is part of the condition.
    init?<Element>(
        _ condition: Condition<Element>, _ column: (PartialKeyPath<Element>) -> Int?
    ) {
        func bound(_ part: Condition<Element>) -> ColumnCondition? {
            ColumnCondition(part, column)
        }
        switch condition.form {
        case .closure: return nil
        case .compare(let value, let comparison, let constant):
            guard let index = value.keyPath.flatMap({ column($0) }) else { return nil }
            form = .compare(column: index, kind: value.kind, comparison, constant)
        case .both(let a, let b):
            guard let a = bound(a), let b = bound(b) else { return nil }
            form = .both(a, b)
        case .either(let a, let b):
            guard let a = bound(a), let b = bound(b) else { return nil }
            form = .either(a, b)
        case .not(let part):
            guard let part = bound(part) else { return nil }
            form = .not(part)
        }
    }

    /// Finds out for the given rows whether it holds.
    func evaluate(_ rows: [Int32], in batch: EventBatch) {
        mask.reserve(Int(rows.last ?? 0) + 1)
        let result = mask.bytes
        switch form {
        case .compare(let column, let kind, let comparison, let constant):
            compare(batch.columns[column], kind, comparison, constant, rows)
        case .both(let a, let b):
            a.evaluate(rows, in: batch)
            b.evaluate(rows, in: batch)
            for row in rows { result[Int(row)] = a.mask.bytes[Int(row)] & b.mask.bytes[Int(row)] }
        case .either(let a, let b):
            a.evaluate(rows, in: batch)
            b.evaluate(rows, in: batch)
            for row in rows { result[Int(row)] = a.mask.bytes[Int(row)] | b.mask.bytes[Int(row)] }
        case .not(let part):
            part.evaluate(rows, in: batch)
            for row in rows { result[Int(row)] = 1 - part.mask.bytes[Int(row)] }
        }
    }

    private func compare(
        _ column: kj_column, _ kind: ColumnKind, _ comparison: Comparison, _ constant: Value,
        _ rows: [Int32]
    ) {
        let whereNull = comparison.holds(.null, constant)
        let result = mask.bytes
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
                each { comparison.holds(order(column.strings[$0].buffer, constant), 0) }
            }
        case .null: each { _ in comparison == .notEqual }
        }
    }

    /// Negative, zero or positive, as `a` stands before, at or behind `b`.
    private func order(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
        if let x = a.baseAddress, let y = b.baseAddress {
            let order = memcmp(x, y, min(a.count, b.count))
            if order != 0 { return Int(order) }
        }
        return a.count - b.count
    }
}
