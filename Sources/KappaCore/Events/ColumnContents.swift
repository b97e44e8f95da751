import CKappaJSON

/// What is true of all events of a batch in one column: found once, so that not every view looks for itself.
struct ColumnContents {
    let isFull: Bool
    let isEmpty: Bool

    init(_ column: kj_column, _ count: Int) {
        guard let states = column.states else {
            (isFull, isEmpty) = (false, false)
            return
        }
        // Loops without branches, which the compiler turns into wide instructions.
        var (all, any): (UInt8, UInt8) = (.max, 0)
        for row in 0..<count {
            all &= states[row]
            any |= states[row]
        }
        isEmpty = any & ~UInt8(KJ_NULL.rawValue) == UInt8(KJ_MISSING.rawValue)
        guard all == any, any == UInt8(KJ_VALUE.rawValue) else {
            isFull = false
            return
        }
        var widest: UInt8 = 0
        if column.kind == KJ_DECIMAL, let scales = column.scales {
            for row in 0..<count { widest = max(widest, scales[row]) }
        }
        isFull = widest < UInt8(KJ_WIDE)
    }
}
