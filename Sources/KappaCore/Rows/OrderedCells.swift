import CKappaJSON
import Glibc

/// How packed rows are ordered: by some of their cells, best first.
struct OrderedCells {
    struct Part {
        let cell: Int
        let kind: ColumnKind
        let isDescending: Bool
    }
    let parts: [Part]
    private let first: Part?
    let cells: Int
    /// Whether two rows of the same rank are ties.
    let ranksAreExact: Bool

    /// - Parameter mayBeNull: Whether the first part's cell may be null.
    init(_ parts: [Part], cells: Int, mayBeNull: Bool) {
        self.parts = parts
        first = parts.first
        self.cells = cells
        ranksAreExact =
            parts.isEmpty || parts.count == 1 && !mayBeNull && parts[0].kind.ranksExactly
    }

    /// A number that orders most rows without a further comparison: of two rows, the one with the smaller
    /// rank comes first. Rows of the same rank need ``compare(_:_:)``.
    @inline(__always)
    func rank(_ column: kj_column, _ row: Int) -> Int64 {
        guard let first else { return 0 }
        let isThere = column.states[row] == UInt8(KJ_VALUE.rawValue)
        let rank: Int64
        switch first.kind {
        case .integer, .timestamp, .bool: rank = isThere ? column.integers[row] : .min
        case .double: rank = isThere ? column.doubles[row].rank : .min
        case .text, .json: rank = isThere ? column.strings[row].buffer.rank : .min
        case .decimal: rank = 0
        }
        return first.isDescending ? ~rank : rank
    }

    /// The same for a packed row.
    func rank(_ row: PackedRow) -> Int64 {
        guard let first else { return 0 }
        let rank: Int64
        switch (first.kind, row.storage(first.cell)) {
        case (.decimal, _): rank = 0
        case (_, .null): rank = .min
        case (.double, _): rank = row.double(first.cell, of: cells).rank
        case (.text, _), (.json, _): rank = row.bytes(first.cell, of: cells).rank
        default: rank = row.integer(first.cell, of: cells)
        }
        return first.isDescending ? ~rank : rank
    }

    /// The last of the `limit` best rows; nil if there are fewer rows.
    func last(of limit: Int, _ rows: some Sequence<PackedRow>) -> PackedRow? {
        // Best first. Most rows are compared only with the last one.
        var best: [PackedRow] = []
        for row in rows {
            if best.count == limit {
                if compare(row, best[limit - 1]) >= 0 { continue }
                best.removeLast()
            }
            var place = best.count
            while place > 0, compare(row, best[place - 1]) < 0 { place -= 1 }
            best.insert(row, at: place)
        }
        return best.count == limit ? best[limit - 1] : nil
    }

    /// Negative, zero or positive, if row `a` comes before `b`, is a tie with it, or comes after it.
    func compare(_ a: PackedRow, _ b: PackedRow) -> Int {
        for part in parts {
            let order = compare(a, b, part)
            if order != 0 { return part.isDescending ? -order : order }
        }
        return 0
    }

    private func compare(_ a: PackedRow, _ b: PackedRow, _ part: Part) -> Int {
        let cell = part.cell
        let (one, two) = (a.storage(cell), b.storage(cell))
        // Nil is less than anything else.
        if one == .null || two == .null { return (one == .null ? 0 : 1) - (two == .null ? 0 : 1) }
        switch part.kind {
        case .bool, .integer, .timestamp:
            return Self.order(a.integer(cell, of: cells), b.integer(cell, of: cells))
        case .double:
            return Self.order(a.double(cell, of: cells).rank, b.double(cell, of: cells).rank)
        case .text, .json:
            return ByteOrder.compare(a.bytes(cell, of: cells), b.bytes(cell, of: cells))
        case .decimal:
            if let x = a.plainDecimal(cell, of: cells), let y = b.plainDecimal(cell, of: cells) {
                return Self.order(x, y)
            }
            return Self.order(a.decimal(cell, of: cells), b.decimal(cell, of: cells))
        }
    }

    private static func order<V: Comparable>(_ a: V, _ b: V) -> Int { a < b ? -1 : a == b ? 0 : 1 }
}

extension PackedRow {
    /// A decimal of at most 15 digits as its nearest double. No two such decimals have the same one, so the
    /// doubles have the decimals' order.
    fileprivate func plainDecimal(_ cell: Int, of cells: Int) -> Double? {
        switch storage(cell) {
        case .double: return double(cell, of: cells)
        case .integer:
            let value = integer(cell, of: cells)
            return value.magnitude < 1_000_000_000_000_000 ? Double(value) : nil
        case .null, .text, .blob: return nil
        }
    }

    fileprivate func decimal(_ cell: Int, of cells: Int) -> ExactDecimal {
        let cursor = PackedCursor()
        cursor.take(self, of: cells)
        return DecimalCell.read(cursor, cell) ?? 0
    }
}

extension ColumnKind {
    /// Whether values of the same rank are equal.
    fileprivate var ranksExactly: Bool {
        switch self {
        case .bool, .integer, .timestamp, .double: true
        case .text, .json, .decimal: false
        }
    }
}

extension Double {
    /// An integer that is ordered as the number is; NaN is largest, and the sign of a zero does not count.
    fileprivate var rank: Int64 { isNaN ? .max : Int64.ordered(self) }
}

extension UnsafeRawBufferPointer {
    /// The first eight bytes as an integer that is ordered as they are.
    fileprivate var rank: Int64 { ByteOrder.integer(ByteOrder.word(of: self)) }
}
