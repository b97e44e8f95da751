/// Division of integers with a say in what becomes of the fraction.
enum WholeDivision {
    /// Swift's rules of rounding. Accumulators hold one: Swift's own type may grow, so that whatever holds
    /// it is copied by calls.
    enum Rounding: Sendable {
        case towardZero, awayFromZero, up, down, toNearestOrAwayFromZero, toNearestOrEven

        init(_ rule: FloatingPointRoundingRule) {
            switch rule {
            case .towardZero: self = .towardZero
            case .awayFromZero: self = .awayFromZero
            case .up: self = .up
            case .down: self = .down
            case .toNearestOrAwayFromZero: self = .toNearestOrAwayFromZero
            case .toNearestOrEven: self = .toNearestOrEven
            @unknown default: self = .towardZero
            }
        }
    }

    /// `sum / count`, rounded; `count` is positive, and the quotient fits 64 bits: it is a mean of
    /// such integers.
    static func divide(_ sum: Int128, by count: Int64, rounding: Rounding) -> Int64 {
        let (quotient, rest) = sum.quotientAndRemainder(dividingBy: Int128(count))
        let cut = Int64(truncatingIfNeeded: quotient)
        guard rest != 0 else { return cut }
        let away = cut &+ (sum < 0 ? -1 : 1)
        let half = 2 * rest.magnitude
        let whole = UInt128(count.magnitude)
        switch rounding {
        case .towardZero: return cut
        case .awayFromZero: return away
        case .up: return sum < 0 ? cut : away
        case .down: return sum < 0 ? away : cut
        case .toNearestOrAwayFromZero: return half >= whole ? away : cut
        case .toNearestOrEven:
            if half == whole { return cut % 2 == 0 ? cut : away }
            return half > whole ? away : cut
        }
    }
}
